// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditAggregator} from "../../src/CreditAggregator.sol";
import {TestUSD} from "../../src/TestUSD.sol";
import {ICreditAggregator} from "../../src/interfaces/ICreditAggregator.sol";
import {vm} from "./Vm.sol";

/// @notice A deployed aggregator, a lender with money and an allowance, a borrower, and the pen to sign for both.
abstract contract AggregatorTest {
    /// @dev Everything a relayer needs in order to settle.
    struct Settlement {
        ICreditAggregator.LoanTerms terms;
        bytes lenderSignature;
        ICreditAggregator.Acceptance acceptance;
        bytes borrowerSignature;
    }

    uint256 internal constant LENDER_KEY = 0x1e4de2;
    uint256 internal constant BORROWER_KEY = 0xb0220e2;
    uint256 internal constant STRANGER_KEY = 0x57a4e2;
    /// @dev Order of secp256k1: private keys are 1 … ORDER - 1.
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    address internal constant DEPLOYER = address(0xA11cE);
    address internal constant OWNER = address(0x0143e2);
    address internal constant RELAYER = address(0x2e1a7e2);
    bytes32 internal constant REFERENCE = keccak256("the first application");
    uint256 internal constant NOW = 1_800_000_000;
    uint256 internal constant PRINCIPAL = 12_500e6;
    uint256 internal constant FUNDS = 1_000_000e6;

    CreditAggregator internal aggregator;
    TestUSD internal usd;
    address internal lender;
    address internal borrower;
    address internal stranger;

    function setUp() public virtual {
        vm.warp(NOW);
        lender = vm.addr(LENDER_KEY);
        borrower = vm.addr(BORROWER_KEY);
        stranger = vm.addr(STRANGER_KEY);

        vm.startPrank(DEPLOYER);
        aggregator = new CreditAggregator(OWNER);
        usd = new TestUSD(OWNER);
        vm.stopPrank();

        vm.startPrank(OWNER);
        aggregator.setProvider(lender, true);
        aggregator.setToken(address(usd), true);
        usd.mint(lender, FUNDS);
        vm.stopPrank();

        vm.prank(lender);
        usd.approve(address(aggregator), type(uint256).max);
    }

    /* WHAT IS SIGNED */

    function _terms() internal view returns (ICreditAggregator.LoanTerms memory) {
        return ICreditAggregator.LoanTerms({
            loanReference: REFERENCE,
            lender: lender,
            borrower: borrower,
            token: address(usd),
            principal: PRINCIPAL,
            totalRepayable: 13_437_500_000,
            aprBps: 749,
            termMonths: 24,
            nonce: 7,
            deadline: NOW + 1 hours
        });
    }

    function _acceptanceOf(ICreditAggregator.LoanTerms memory terms)
        internal
        pure
        returns (ICreditAggregator.Acceptance memory)
    {
        return ICreditAggregator.Acceptance({
            termsHash: _hashOfTerms(terms), borrower: terms.borrower, nonce: 9, deadline: NOW + 30 minutes
        });
    }

    /// @dev Written out member by member, on purpose not the way the contract does it.
    function _hashOfTerms(ICreditAggregator.LoanTerms memory t) internal pure returns (bytes32) {
        bytes32 typehash = keccak256(
            "LoanTerms(bytes32 loanReference,address lender,address borrower,address token,uint256 principal,uint256 totalRepayable,uint32 aprBps,uint32 termMonths,uint256 nonce,uint256 deadline)"
        );
        return keccak256(
            bytes.concat(
                abi.encode(typehash, t.loanReference, t.lender, t.borrower, t.token),
                abi.encode(t.principal, t.totalRepayable, t.aprBps, t.termMonths, t.nonce, t.deadline)
            )
        );
    }

    function _hashOfAcceptance(ICreditAggregator.Acceptance memory a) internal pure returns (bytes32) {
        bytes32 typehash = keccak256("Acceptance(bytes32 termsHash,address borrower,uint256 nonce,uint256 deadline)");
        return keccak256(abi.encode(typehash, a.termsHash, a.borrower, a.nonce, a.deadline));
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(bytes.concat(hex"1901", _domain(block.chainid, address(aggregator)), structHash));
    }

    function _domain(uint256 chainId, address verifyingContract) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("CreditAggregator"),
                keccak256("1"),
                chainId,
                verifyingContract
            )
        );
    }

    function _sign(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, _digest(structHash));
        return abi.encodePacked(r, s, v);
    }

    /// @dev Terms and a matching acceptance, signed by the given keys.
    function _signed(ICreditAggregator.LoanTerms memory terms, uint256 lenderKey, uint256 borrowerKey)
        internal
        view
        returns (Settlement memory)
    {
        return _signed(terms, _acceptanceOf(terms), lenderKey, borrowerKey);
    }

    function _signed(
        ICreditAggregator.LoanTerms memory terms,
        ICreditAggregator.Acceptance memory acceptance,
        uint256 lenderKey,
        uint256 borrowerKey
    ) internal view returns (Settlement memory) {
        return Settlement({
            terms: terms,
            lenderSignature: _sign(lenderKey, _hashOfTerms(terms)),
            acceptance: acceptance,
            borrowerSignature: _sign(borrowerKey, _hashOfAcceptance(acceptance))
        });
    }

    function _signed(ICreditAggregator.LoanTerms memory terms) internal view returns (Settlement memory) {
        return _signed(terms, LENDER_KEY, BORROWER_KEY);
    }

    /* WHAT IS DONE */

    function _settle(Settlement memory s) internal returns (uint256 offerId) {
        vm.prank(RELAYER);
        return aggregator.settle(s.terms, s.lenderSignature, s.acceptance, s.borrowerSignature);
    }

    /// @dev The settlement is refused with exactly this error, and nothing has changed.
    function _assertRefused(Settlement memory s, bytes memory error) internal {
        uint256 borrowerBefore = usd.balanceOf(s.terms.borrower);
        uint256 lenderBefore = usd.balanceOf(s.terms.lender);
        uint256 offersBefore = aggregator.offerCount();
        uint256 settledBefore = aggregator.offerOf(s.terms.loanReference);

        vm.expectRevert(error);
        _settle(s);

        vm.assertEq(usd.balanceOf(s.terms.borrower), borrowerBefore, "borrower's balance");
        vm.assertEq(usd.balanceOf(s.terms.lender), lenderBefore, "lender's balance");
        vm.assertEq(aggregator.offerCount(), offersBefore, "offers recorded");
        vm.assertEq(aggregator.offerOf(s.terms.loanReference), settledBefore, "settled offer");
    }

    function _assertRefused(Settlement memory s, bytes4 error) internal {
        _assertRefused(s, abi.encodePacked(error));
    }

    /// @dev The lender offers the usual loan itself.
    function _createOffer() internal returns (uint256 offerId) {
        vm.prank(lender);
        return
            aggregator.createOffer(
                borrower, PRINCIPAL, 749, 24, 0, address(0), REFERENCE, address(usd), NOW + 1 hours
            );
    }

    function _status(uint256 offerId) internal view returns (uint256) {
        return uint256(aggregator.offers(offerId).status);
    }
}
