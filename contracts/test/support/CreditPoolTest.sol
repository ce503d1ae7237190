// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditPool} from "../../src/CreditPool.sol";
import {ICreditAggregator} from "../../src/interfaces/ICreditAggregator.sol";
import {ICreditPool} from "../../src/interfaces/ICreditPool.sol";
import {AggregatorTest} from "./AggregatorTest.sol";
import {vm} from "./Vm.sol";

/// @notice A pool that the aggregator lists, with one provider's money in it and one underwriter.
abstract contract CreditPoolTest is AggregatorTest {
    uint256 internal constant UNDERWRITER_KEY = 0x0dde2;
    address internal constant CURATOR = address(0xC02a702);
    address internal constant PROVIDER = address(0x92011de2);
    uint256 internal constant DEPOSITED = 100_000e6;
    uint256 internal constant MAX_PRINCIPAL = 20_000e6;
    uint256 internal constant MAX_OUTSTANDING = 50_000e6;
    uint32 internal constant MIN_APR_BPS = 500;
    uint32 internal constant MAX_TERM_MONTHS = 60;

    CreditPool internal pool;
    address internal underwriter;

    function setUp() public virtual override {
        super.setUp();
        underwriter = vm.addr(UNDERWRITER_KEY);
        pool = new CreditPool(usd, aggregator, CURATOR, _limits(), _curve());
        vm.prank(CURATOR);
        pool.setUnderwriter(underwriter, true);
        vm.prank(OWNER);
        aggregator.setProvider(address(pool), true);
        _provide(PROVIDER, DEPOSITED);
    }

    function _limits() internal pure returns (ICreditPool.Limits memory) {
        return ICreditPool.Limits(MAX_PRINCIPAL, MAX_OUTSTANDING, MIN_APR_BPS, MAX_TERM_MONTHS);
    }

    function _curve() internal pure returns (ICreditPool.RateCurve memory) {
        return ICreditPool.RateCurve(500, 400, 4_500, 200_000);
    }

    /// @dev Prints money for an account and deposits it.
    function _provide(address provider, uint256 units) internal {
        vm.prank(OWNER);
        usd.mint(provider, units);
        vm.startPrank(provider);
        usd.approve(address(pool), units);
        pool.deposit(units, provider);
        vm.stopPrank();
    }

    /// @dev 12,500 for 24 months at 7.49 %: within every limit.
    function _poolTerms() internal view returns (ICreditAggregator.LoanTerms memory terms) {
        terms = _terms();
        terms.lender = address(pool);
    }

    /// @dev What the pool is asked about: the terms, and the underwriter's signature over their digest.
    function _blob(ICreditAggregator.LoanTerms memory terms, uint256 key) internal view returns (bytes memory) {
        return bytes.concat(abi.encode(terms), _sign(key, _hashOfTerms(terms)));
    }

    function _fromPool(ICreditAggregator.LoanTerms memory terms) internal view returns (Settlement memory s) {
        s = _signed(terms, UNDERWRITER_KEY, BORROWER_KEY);
        s.lenderSignature = _blob(terms, UNDERWRITER_KEY);
    }

    function _assertPoolRefuses(ICreditAggregator.LoanTerms memory terms) internal {
        _assertRefused(_fromPool(terms), ICreditAggregator.InvalidLenderSignature.selector);
    }

    function _assertRefusal(ICreditAggregator.LoanTerms memory terms, ICreditPool.Refusal why) internal {
        vm.assertEq(uint256(pool.refusalOf(terms)), uint256(why), "why the pool refuses");
        _assertPoolRefuses(terms);
    }

    /// @dev The n-th loan of the usual terms, with a reference and nonces of its own.
    function _lend(uint256 number, uint256 principal) internal returns (uint256 offerId) {
        return _settle(_loan(number, principal));
    }

    function _loan(uint256 number, uint256 principal) internal view returns (Settlement memory s) {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        terms.loanReference = keccak256(abi.encode("loan", number));
        (terms.principal, terms.totalRepayable, terms.nonce) = (principal, principal + principal / 10 + 1, number);
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
        acceptance.nonce = number;
        s = _signed(terms, acceptance, UNDERWRITER_KEY, BORROWER_KEY);
        s.lenderSignature = _blob(terms, UNDERWRITER_KEY);
    }

    function _repay(uint256 offerId, uint256 units) internal {
        vm.prank(OWNER);
        usd.mint(borrower, units);
        vm.startPrank(borrower);
        usd.approve(address(pool), units);
        pool.repay(offerId, units);
        vm.stopPrank();
    }
}
