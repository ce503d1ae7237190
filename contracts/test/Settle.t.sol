// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice `settle`: who is refused and why, then what a settled loan leaves behind.
contract SettleTest is AggregatorTest {
    /* FAILURES */

    function test_refuses_whilePaused() public {
        vm.prank(OWNER);
        aggregator.pause();
        _assertRefused(_signed(_terms()), Pausable.EnforcedPause.selector);
    }

    function test_refuses_aLenderThatIsNotAuthorized() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.lender = stranger;
        _assertRefused(
            _signed(terms, STRANGER_KEY, BORROWER_KEY),
            abi.encodeWithSelector(ICreditAggregator.ProviderNotAuthorized.selector, stranger)
        );
    }

    function test_refuses_aLenderThatIsNoLongerAuthorized() public {
        Settlement memory s = _signed(_terms());
        vm.prank(OWNER);
        aggregator.setProvider(lender, false);
        _assertRefused(s, abi.encodeWithSelector(ICreditAggregator.ProviderNotAuthorized.selector, lender));
    }

    function test_refuses_aTokenThatIsNotAllowed() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.token = address(0xdead);
        _assertRefused(
            _signed(terms), abi.encodeWithSelector(ICreditAggregator.TokenNotAllowed.selector, address(0xdead))
        );
    }

    function test_refuses_noPrincipal() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.principal = 0;
        _assertRefused(_signed(terms), ICreditAggregator.ZeroPrincipal.selector);
    }

    function test_refuses_repayingLessThanThePrincipal() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.totalRepayable = PRINCIPAL - 1;
        _assertRefused(
            _signed(terms),
            abi.encodeWithSelector(ICreditAggregator.RepayableBelowPrincipal.selector, PRINCIPAL - 1, PRINCIPAL)
        );
    }

    function test_refuses_noReference() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.loanReference = bytes32(0);
        _assertRefused(_signed(terms), ICreditAggregator.ZeroReference.selector);
    }

    function test_refuses_noBorrower() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.borrower = address(0);
        _assertRefused(
            _signed(terms), abi.encodeWithSelector(ICreditAggregator.InvalidBorrower.selector, address(0))
        );
    }

    function test_refuses_aLenderLendingToItself() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.borrower = lender;
        _assertRefused(
            _signed(terms, LENDER_KEY, LENDER_KEY),
            abi.encodeWithSelector(ICreditAggregator.InvalidBorrower.selector, lender)
        );
    }

    function test_refuses_anAcceptanceByAnotherBorrower() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
        acceptance.borrower = stranger;
        _assertRefused(
            _signed(terms, acceptance, LENDER_KEY, STRANGER_KEY),
            abi.encodeWithSelector(ICreditAggregator.BorrowerMismatch.selector, borrower, stranger)
        );
    }

    function test_refuses_anAcceptanceOfOtherTerms() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
        terms.totalRepayable += 1;
        _assertRefused(
            _signed(terms, acceptance, LENDER_KEY, BORROWER_KEY),
            abi.encodeWithSelector(
                ICreditAggregator.AcceptanceOfOtherTerms.selector, _hashOfTerms(terms), acceptance.termsHash
            )
        );
    }

    function test_refuses_termsPastTheirDeadline() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
        acceptance.deadline = terms.deadline + 1 days;
        vm.warp(terms.deadline + 1);
        _assertRefused(
            _signed(terms, acceptance, LENDER_KEY, BORROWER_KEY),
            abi.encodeWithSelector(ICreditAggregator.DeadlinePassed.selector, terms.deadline)
        );
    }

    function test_refuses_anAcceptancePastItsDeadline() public {
        Settlement memory s = _signed(_terms());
        vm.warp(s.acceptance.deadline + 1);
        _assertRefused(s, abi.encodeWithSelector(ICreditAggregator.DeadlinePassed.selector, s.acceptance.deadline));
    }

    function test_refuses_theSameSettlementTwice() public {
        Settlement memory s = _signed(_terms());
        uint256 offerId = _settle(s);
        // Long afterwards too: who repeats must read that the money has moved, not that a deadline passed.
        vm.warp(NOW + 3650 days);
        _assertRefused(
            s, abi.encodeWithSelector(ICreditAggregator.ReferenceAlreadySettled.selector, REFERENCE, offerId)
        );
    }

    function test_refuses_aSettledReferenceForEver_evenAfterRepayment() public {
        uint256 offerId = _settle(_signed(_terms()));
        vm.prank(borrower);
        usd.transfer(lender, PRINCIPAL);
        vm.warp(NOW + 1 days);
        ICreditAggregator.LoanTerms memory again = _terms();
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(again);
        (again.nonce, again.deadline, again.principal) = (100, NOW + 2 days, 1e6);
        acceptance.termsHash = _hashOfTerms(again);
        (acceptance.nonce, acceptance.deadline) = (101, NOW + 2 days);
        _assertRefused(
            _signed(again, acceptance, LENDER_KEY, BORROWER_KEY),
            abi.encodeWithSelector(ICreditAggregator.ReferenceAlreadySettled.selector, REFERENCE, offerId)
        );
    }

    function test_refuses_aReferenceSettledByAnAcceptedOffer() public {
        uint256 offerId = _createOffer();
        vm.prank(borrower);
        aggregator.acceptOffer(offerId);
        _assertRefused(
            _signed(_terms()),
            abi.encodeWithSelector(ICreditAggregator.ReferenceAlreadySettled.selector, REFERENCE, offerId)
        );
    }

    function test_refuses_aLendersNonceTwice() public {
        _settle(_signed(_terms()));
        ICreditAggregator.LoanTerms memory next = _terms();
        next.loanReference = keccak256("the second application");
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(next);
        acceptance.nonce = 10;
        _assertRefused(
            _signed(next, acceptance, LENDER_KEY, BORROWER_KEY),
            abi.encodeWithSelector(ICreditAggregator.NonceAlreadyUsed.selector, lender, next.nonce)
        );
    }

    function test_refuses_aBorrowersNonceTwice() public {
        _settle(_signed(_terms()));
        ICreditAggregator.LoanTerms memory next = _terms();
        (next.loanReference, next.nonce) = (keccak256("the second application"), 8);
        _assertRefused(
            _signed(next), abi.encodeWithSelector(ICreditAggregator.NonceAlreadyUsed.selector, borrower, uint256(9))
        );
    }

    function test_refuses_aNonceItsSignerCancelled() public {
        Settlement memory s = _signed(_terms());
        vm.prank(borrower);
        aggregator.cancelNonce(s.acceptance.nonce);
        _assertRefused(
            s, abi.encodeWithSelector(ICreditAggregator.NonceAlreadyUsed.selector, borrower, s.acceptance.nonce)
        );
    }

    /* SUCCESS */

    function test_paysTheBorrower_andTellsSo() public {
        Settlement memory s = _signed(_terms());
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.OfferCreated(1, lender);
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.OfferAccepted(1, borrower);
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.Disbursed(REFERENCE, 1, borrower, lender, address(usd), PRINCIPAL);

        uint256 offerId = _settle(s);

        vm.assertEq(offerId, 1, "offer id");
        vm.assertEq(usd.balanceOf(borrower), PRINCIPAL, "borrower");
        vm.assertEq(usd.balanceOf(lender), FUNDS - PRINCIPAL, "lender");
        vm.assertEq(usd.balanceOf(address(aggregator)), 0, "aggregator");
        vm.assertEq(usd.balanceOf(RELAYER), 0, "relayer");
    }

    function test_recordsTheOffer() public {
        Settlement memory s = _signed(_terms());
        uint256 offerId = _settle(s);
        ICreditAggregator.CreditOffer memory offer = aggregator.offers(offerId);
        vm.assertEq(offer.provider, lender, "provider");
        vm.assertEq(offer.borrower, borrower, "borrower");
        vm.assertEq(offer.amount, PRINCIPAL, "amount");
        vm.assertEq(offer.interestRate, 749, "rate");
        vm.assertEq(offer.duration, 24, "duration");
        vm.assertEq(offer.collateralAmount, 0, "collateral");
        vm.assertEq(offer.collateralToken, address(0), "collateral token");
        vm.assertEq(offer.token, address(usd), "token");
        vm.assertEq(offer.loanReference, REFERENCE, "reference");
        vm.assertEq(offer.termsHash, s.acceptance.termsHash, "terms hash");
        vm.assertEq(offer.deadline, s.terms.deadline, "deadline");
        vm.assertEq(_status(offerId), uint256(ICreditAggregator.OfferStatus.Accepted), "status");
        vm.assertEq(aggregator.userOffers(borrower, 0), offerId, "the borrower's offers");
        vm.assertEq(aggregator.offerOf(REFERENCE), offerId, "offer of the reference");
        vm.assertTrue(aggregator.isSettled(REFERENCE), "settled");
        vm.assertTrue(aggregator.nonceUsed(lender, 7), "lender's nonce");
        vm.assertTrue(aggregator.nonceUsed(borrower, 9), "borrower's nonce");
    }

    function test_settlesInTheLastSecondOfBothDeadlines() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.deadline = NOW + 30 minutes;
        vm.warp(terms.deadline);
        vm.assertEq(_settle(_signed(terms)), 1, "offer id");
    }

    function test_settlesWithoutDeadline_recordedAsTheLargest() public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.deadline = type(uint256).max;
        uint256 offerId = _settle(_signed(terms));
        vm.assertEq(aggregator.offers(offerId).deadline, type(uint64).max, "deadline");
    }

    function test_settlesWhileAnotherProvidersOfferForTheReferenceIsOpen() public {
        uint256 open = _createOffer();
        uint256 settled = _settle(_signed(_terms()));
        vm.assertEq(aggregator.offerOf(REFERENCE), settled, "offer of the reference");
        vm.expectRevert(
            abi.encodeWithSelector(ICreditAggregator.ReferenceAlreadySettled.selector, REFERENCE, settled)
        );
        vm.prank(borrower);
        aggregator.acceptOffer(open);
    }
}
