// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditAggregator} from "../src/CreditAggregator.sol";
import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {ICreditPool} from "../src/interfaces/ICreditPool.sol";
import {CreditPoolTest} from "./support/CreditPoolTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice What the pool answers for: every refusal through the real aggregator, then what a loan leaves behind.
contract CreditPoolLendingTest is CreditPoolTest {
    bytes4 private constant YES = 0x1626ba7e;

    /* FAILURES */

    function test_refuses_aStrangersSignature() public {
        Settlement memory s = _fromPool(_poolTerms());
        s.lenderSignature = _blob(s.terms, STRANGER_KEY);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_theCuratorWhoIsNoUnderwriter() public {
        uint256 key = 0xc02a702;
        Settlement memory s = _fromPool(_poolTerms());
        vm.prank(CURATOR);
        pool.transferOwnership(vm.addr(key));
        vm.prank(vm.addr(key));
        pool.acceptOwnership();
        s.lenderSignature = _blob(s.terms, key);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_whatARevokedUnderwriterHadSigned() public {
        Settlement memory s = _fromPool(_poolTerms());
        vm.prank(CURATOR);
        pool.setUnderwriter(underwriter, false);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_whilePaused() public {
        vm.prank(CURATOR);
        pool.pause();
        _assertRefusal(_poolTerms(), ICreditPool.Refusal.Paused);
    }

    function test_refuses_aSignatureThatCarriesOtherTerms() public {
        ICreditAggregator.LoanTerms memory small = _poolTerms();
        ICreditAggregator.LoanTerms memory large = _poolTerms();
        large.principal = MAX_PRINCIPAL + 1;
        large.totalRepayable = 2 * MAX_PRINCIPAL;
        // Terms within the limits are shown to the pool, others are settled; each signature is genuine.
        Settlement memory s = _fromPool(large);
        s.lenderSignature = bytes.concat(abi.encode(small), _sign(UNDERWRITER_KEY, _hashOfTerms(large)));
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
        s.lenderSignature = _blob(small, UNDERWRITER_KEY);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_theBareSignatureOfItsUnderwriter() public {
        Settlement memory s = _fromPool(_poolTerms());
        s.lenderSignature = _sign(UNDERWRITER_KEY, _hashOfTerms(s.terms));
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_aSignatureWithAnythingBehindIt() public {
        Settlement memory s = _fromPool(_poolTerms());
        s.lenderSignature = bytes.concat(s.lenderSignature, hex"00");
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_termsThatDoNotDecode() public {
        Settlement memory s = _fromPool(_poolTerms());
        s.lenderSignature[32] = 0xff; // the highest byte of the lender's word, which must be zero
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_theMalleableTwinOfASignature() public {
        Settlement memory s = _fromPool(_poolTerms());
        (uint8 v, bytes32 r, bytes32 lowS) = vm.sign(UNDERWRITER_KEY, _digest(_hashOfTerms(s.terms)));
        bytes memory twin = abi.encodePacked(r, bytes32(ORDER - uint256(lowS)), v == 27 ? uint8(28) : uint8(27));
        s.lenderSignature = bytes.concat(abi.encode(s.terms), twin);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_anotherAggregator() public {
        CreditAggregator other = new CreditAggregator(OWNER);
        vm.startPrank(OWNER);
        other.setProvider(address(pool), true);
        other.setToken(address(usd), true);
        vm.stopPrank();
        Settlement memory s = _fromPool(_poolTerms());
        vm.expectRevert(ICreditAggregator.InvalidLenderSignature.selector);
        other.settle(s.terms, s.lenderSignature, s.acceptance, s.borrowerSignature);
    }

    function test_refuses_anotherChain() public {
        Settlement memory s = _fromPool(_poolTerms());
        vm.chainId(block.chainid + 1);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_toAnswerForAnotherLender() public {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        terms.lender = lender;
        vm.assertEq(uint256(pool.refusalOf(terms)), uint256(ICreditPool.Refusal.OtherLender), "refusal");
        bytes32 digest = _digest(_hashOfTerms(terms));
        vm.assertTrue(pool.isValidSignature(digest, _blob(terms, UNDERWRITER_KEY)) != YES, "answers for another");
    }

    function test_refuses_anotherToken() public {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        terms.token = address(pool);
        vm.prank(OWNER);
        aggregator.setToken(address(pool), true);
        vm.assertEq(uint256(pool.refusalOf(terms)), uint256(ICreditPool.Refusal.OtherToken), "refusal");
        vm.expectRevert(ICreditAggregator.InvalidLenderSignature.selector);
        this.settleOutside(_fromPool(terms));
    }

    function test_refuses_aPrincipalAboveTheLimit() public {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        (terms.principal, terms.totalRepayable) = (MAX_PRINCIPAL + 1, 2 * MAX_PRINCIPAL);
        _assertRefusal(terms, ICreditPool.Refusal.PrincipalAboveLimit);
    }

    function test_refuses_whatWouldExceedTheOutstandingLimit_thoughItWasSignedBefore() public {
        Settlement memory third = _loan(3, 10_000e6 + 1);
        _lend(1, MAX_PRINCIPAL);
        _lend(2, MAX_PRINCIPAL);
        vm.assertEq(
            uint256(pool.refusalOf(third.terms)), uint256(ICreditPool.Refusal.OutstandingAboveLimit), "refusal"
        );
        _assertRefused(third, ICreditAggregator.InvalidLenderSignature.selector);
        _lend(4, 10_000e6);
        vm.assertEq(pool.outstanding(), MAX_OUTSTANDING, "outstanding");
    }

    function test_refuses_aTermOutOfRange() public {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        terms.termMonths = MAX_TERM_MONTHS + 1;
        _assertRefusal(terms, ICreditPool.Refusal.TermOutOfRange);
        terms.termMonths = 0;
        _assertRefusal(terms, ICreditPool.Refusal.TermOutOfRange);
    }

    function test_refuses_anAPRBelowTheMinimum() public {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        terms.aprBps = MIN_APR_BPS - 1;
        _assertRefusal(terms, ICreditPool.Refusal.AprBelowMinimum);
    }

    /// @dev An APR may be stated without the cash flows to bear it; the pool looks at the interest too.
    function test_refuses_anAPRThatTheInterestDoesNotBear() public {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        // 12,500.00 × 5 % × 25 / 24 = 651.041666…, rounded up to a unit.
        terms.totalRepayable = PRINCIPAL + 651_041_666;
        _assertRefusal(terms, ICreditPool.Refusal.InterestBelowMinimum);
        terms.totalRepayable += 1;
        vm.assertEq(uint256(pool.refusalOf(terms)), 0, "the least interest");
        _settle(_fromPool(terms));
    }

    function test_refuses_aNonceTheCuratorCancelled() public {
        Settlement memory s = _fromPool(_poolTerms());
        vm.prank(CURATOR);
        pool.cancelNonce(s.terms.nonce);
        _assertRefused(
            s,
            abi.encodeWithSelector(ICreditAggregator.NonceAlreadyUsed.selector, address(pool), s.terms.nonce)
        );
    }

    /* SUCCESS */

    function test_settlesThroughTheAggregator() public {
        Settlement memory s = _fromPool(_poolTerms());
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.Disbursed(REFERENCE, 1, borrower, address(pool), address(usd), PRINCIPAL);
        uint256 offerId = _settle(s);
        vm.assertEq(usd.balanceOf(borrower), PRINCIPAL, "borrower");
        vm.assertEq(usd.balanceOf(address(pool)), DEPOSITED - PRINCIPAL, "pool");
        vm.assertEq(pool.idle(), DEPOSITED - PRINCIPAL, "idle");
        vm.assertEq(pool.outstanding(), PRINCIPAL, "outstanding");
        vm.assertEq(pool.totalAssets(), DEPOSITED, "the shares are worth what they were");
        vm.assertEq(aggregator.offers(offerId).provider, address(pool), "provider");
    }

    function test_answersYesOnlyForItsOwnDigest() public view {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        bytes memory blob = _blob(terms, UNDERWRITER_KEY);
        bytes32 digest = _digest(_hashOfTerms(terms));
        vm.assertTrue(pool.isValidSignature(digest, blob) == YES, "its digest");
        vm.assertTrue(pool.isValidSignature(_hashOfTerms(terms), blob) != YES, "the struct hash alone");
        vm.assertTrue(pool.isValidSignature(keccak256("anything"), blob) != YES, "any other hash");
    }

    function test_twoUnderwritersMaySign() public {
        vm.prank(CURATOR);
        pool.setUnderwriter(stranger, true);
        Settlement memory s = _fromPool(_poolTerms());
        s.lenderSignature = _blob(s.terms, STRANGER_KEY);
        _settle(s);
        _lend(2, 1_000e6);
    }

    function test_aRepaidLoanMakesRoomForAnother() public {
        uint256 first = _lend(1, MAX_PRINCIPAL);
        _lend(2, MAX_PRINCIPAL);
        _assertRefused(_loan(3, MAX_PRINCIPAL), ICreditAggregator.InvalidLenderSignature.selector);
        _repay(first, MAX_PRINCIPAL);
        _lend(3, MAX_PRINCIPAL);
        vm.assertEq(pool.outstanding(), 2 * MAX_PRINCIPAL, "outstanding");
    }

    function settleOutside(Settlement memory s) external {
        aggregator.settle(s.terms, s.lenderSignature, s.acceptance, s.borrowerSignature);
    }
}
