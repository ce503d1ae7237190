// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICreditAggregator} from "../../src/interfaces/ICreditAggregator.sol";
import {CreditPoolTest} from "./CreditPoolTest.sol";
import {Vm, vm} from "./Vm.sol";

/// @notice Plays three liquidity providers, an underwriter who signs anything, a curator who changes his mind and
/// strangers who try their luck; keeps a book of what the tokens' and the aggregator's own events say.
contract PoolBook is CreditPoolTest {
    uint256 private constant PROVIDERS = 3;

    uint256 public deposited = DEPOSITED;
    uint256 public withdrawn;
    uint256 public lent;
    uint256 public repaid;
    uint256 public principalRepaid;
    uint256 public writtenOff;
    uint256 public loans;
    uint256 public refusals;
    uint256 public largestLoan;
    uint256 public mostOutstanding;
    uint256 public lowestAprBps = type(uint256).max;
    /// @dev Set when a loan settled although the underwriter was revoked or the pool paused at that moment.
    bool public lentWithoutPermission;
    /// @dev Set when anybody but the aggregator and the shares' holders got tokens out of the pool.
    bool public robbed;

    uint256[] private _offers;
    uint256 private _number;

    constructor() {
        setUp();
    }

    /* MOVES */

    function deposit(uint256 seed, uint256 units) external {
        if (pool.paused()) return;
        units = 1 + units % DEPOSITED;
        _provide(_provider(seed), units);
        deposited += units;
    }

    function withdraw(uint256 seed, uint256 units) external {
        address provider = _provider(seed);
        uint256 most = pool.maxWithdraw(provider);
        units = most == 0 ? 0 : units % (most + 1);
        vm.prank(provider);
        pool.withdraw(units, provider, provider);
        withdrawn += units;
    }

    function lend(uint256 principal, uint256 interest, uint32 aprBps, uint32 termMonths, uint256 signer) external {
        bool byStranger = signer % 8 == 0;
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        terms.loanReference = keccak256(abi.encode("book", ++_number));
        terms.principal = 1 + principal % (MAX_PRINCIPAL + MAX_PRINCIPAL / 4);
        terms.totalRepayable = terms.principal + interest % (terms.principal + 1);
        (terms.aprBps, terms.termMonths, terms.nonce) = (400 + aprBps % 1_000, termMonths % 64, _number);
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
        acceptance.nonce = _number;
        Settlement memory s = _signed(terms, acceptance, UNDERWRITER_KEY, BORROWER_KEY);
        s.lenderSignature = _blob(terms, byStranger ? STRANGER_KEY : UNDERWRITER_KEY);
        bool permitted = !byStranger && pool.underwriters(underwriter) && !pool.paused();
        vm.prank(RELAYER);
        try aggregator.settle(s.terms, s.lenderSignature, s.acceptance, s.borrowerSignature) returns (uint256 offerId) {
            if (!permitted) lentWithoutPermission = true;
            _keep(offerId, terms);
        } catch {
            refusals += 1;
        }
    }

    function repay(uint256 seed, uint256 units) external {
        if (_offers.length == 0) return;
        uint256 offerId = _offers[seed % _offers.length];
        uint256 owed = aggregator.offers(offerId).amount - pool.accountedFor(offerId);
        units = units % (MAX_PRINCIPAL + 1);
        _repay(offerId, units);
        repaid += units;
        principalRepaid += units < owed ? units : owed;
    }

    function writeOff(uint256 seed) external {
        // One in eight: a pool that loses everything lends nothing, and then little is tested.
        if (_offers.length == 0 || seed % 8 != 0) return;
        uint256 offerId = _offers[(seed >> 8) % _offers.length];
        writtenOff += aggregator.offers(offerId).amount - pool.accountedFor(offerId);
        vm.prank(CURATOR);
        pool.writeOff(offerId);
    }

    function changeMind(uint256 seed) external {
        vm.startPrank(CURATOR);
        pool.setUnderwriter(underwriter, seed % 4 != 0);
        if (pool.paused()) pool.unpause();
        else if (seed % 5 == 0) pool.pause();
        vm.stopPrank();
    }

    /// @dev Whoever is neither the aggregator nor a share's holder gets nothing, whatever it calls.
    function steal(uint256 seed, uint256 units) external {
        address thief = seed % 2 == 0 ? stranger : underwriter;
        uint256 before = usd.balanceOf(address(pool));
        bytes[5] memory calls = [
            abi.encodeCall(usd.transferFrom, (address(pool), thief, units)),
            abi.encodeCall(pool.withdraw, (units, thief, PROVIDER)),
            abi.encodeCall(pool.redeem, (units, thief, thief)),
            abi.encodeCall(pool.writeOff, (units)),
            abi.encodeCall(pool.setUnderwriter, (thief, true))
        ];
        uint256 which = (seed >> 8) % calls.length;
        vm.prank(thief);
        (bool done,) = (which == 0 ? address(usd) : address(pool)).call(calls[which]);
        if ((done && units > 0 && which != 2) || usd.balanceOf(address(pool)) != before) robbed = true;
    }

    /* THE BOOK */

    function balanceOfPool() external view returns (uint256) {
        return usd.balanceOf(address(pool));
    }

    function outstanding() external view returns (uint256) {
        return pool.outstanding();
    }

    function totalAssets() external view returns (uint256) {
        return pool.totalAssets();
    }

    function worthOfAllShares() external view returns (uint256 sum) {
        for (uint256 i = 0; i < PROVIDERS; i++) {
            sum += pool.convertToAssets(pool.balanceOf(_provider(i)));
        }
    }

    function limits() external pure returns (uint256 principal, uint256 out, uint256 aprBps) {
        return (MAX_PRINCIPAL, MAX_OUTSTANDING, MIN_APR_BPS);
    }

    function _keep(uint256 offerId, ICreditAggregator.LoanTerms memory terms) private {
        _offers.push(offerId);
        loans += 1;
        lent += terms.principal;
        if (terms.principal > largestLoan) largestLoan = terms.principal;
        if (terms.aprBps < lowestAprBps) lowestAprBps = terms.aprBps;
        uint256 out = lent - principalRepaid - writtenOff;
        if (out > mostOutstanding) mostOutstanding = out;
    }

    function _provider(uint256 seed) private pure returns (address) {
        return seed % PROVIDERS == 0 ? PROVIDER : address(uint160(0x9201 + seed % PROVIDERS));
    }
}
