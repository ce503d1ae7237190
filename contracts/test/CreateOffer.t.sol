// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice `createOffer`: a provider that calls for itself.
contract CreateOfferTest is AggregatorTest {
    /// @dev The arguments of `createOffer`, so that a test can change one of them.
    struct Draft {
        address caller;
        address borrower;
        uint256 amount;
        uint256 collateralAmount;
        address collateralToken;
        bytes32 loanReference;
        address token;
        uint256 deadline;
    }

    /* FAILURES */

    function test_refuses_whilePaused() public {
        vm.prank(OWNER);
        aggregator.pause();
        _assertDraftRefused(_draft(), abi.encodePacked(Pausable.EnforcedPause.selector));
    }

    function testFuzz_refuses_aCallerThatIsNotAuthorized(address caller) public {
        vm.assume(caller != lender);
        Draft memory draft = _draft();
        draft.caller = caller;
        _assertDraftRefused(
            draft, abi.encodeWithSelector(ICreditAggregator.ProviderNotAuthorized.selector, caller)
        );
    }

    function test_refuses_noBorrowerAndTheProviderItself() public {
        address[2] memory borrowers = [address(0), lender];
        for (uint256 i = 0; i < borrowers.length; i++) {
            Draft memory draft = _draft();
            draft.borrower = borrowers[i];
            _assertDraftRefused(
                draft, abi.encodeWithSelector(ICreditAggregator.InvalidBorrower.selector, borrowers[i])
            );
        }
    }

    function test_refuses_noAmount() public {
        Draft memory draft = _draft();
        draft.amount = 0;
        _assertDraftRefused(draft, abi.encodePacked(ICreditAggregator.ZeroPrincipal.selector));
    }

    function test_refuses_aTokenThatIsNotAllowed() public {
        Draft memory draft = _draft();
        draft.token = address(0xdead);
        _assertDraftRefused(
            draft, abi.encodeWithSelector(ICreditAggregator.TokenNotAllowed.selector, address(0xdead))
        );
    }

    function test_refuses_noReference() public {
        Draft memory draft = _draft();
        draft.loanReference = bytes32(0);
        _assertDraftRefused(draft, abi.encodePacked(ICreditAggregator.ZeroReference.selector));
    }

    function test_refuses_aSettledReference() public {
        uint256 offerId = _settle(_signed(_terms()));
        _assertDraftRefused(
            _draft(),
            abi.encodeWithSelector(ICreditAggregator.ReferenceAlreadySettled.selector, REFERENCE, offerId)
        );
    }

    function test_refuses_aPassedDeadline() public {
        Draft memory draft = _draft();
        draft.deadline = NOW - 1;
        _assertDraftRefused(draft, abi.encodeWithSelector(ICreditAggregator.DeadlinePassed.selector, NOW - 1));
    }

    function testFuzz_refuses_anyCollateral(uint256 amount, address token) public {
        vm.assume(amount != 0 || token != address(0));
        Draft memory draft = _draft();
        (draft.collateralAmount, draft.collateralToken) = (amount, token);
        _assertDraftRefused(draft, abi.encodePacked(ICreditAggregator.CollateralNotSupported.selector));
    }

    /* SUCCESS */

    function testFuzz_recordsTheOffer_andMovesNothing(uint256 amount, uint32 rate, uint32 months, uint64 deadline)
        public
    {
        vm.assume(amount != 0);
        if (deadline < NOW) deadline += uint64(NOW);
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.OfferCreated(1, lender);
        vm.prank(lender);
        uint256 offerId = aggregator.createOffer(
            borrower, amount, rate, months, 0, address(0), REFERENCE, address(usd), deadline
        );

        ICreditAggregator.CreditOffer memory offer = aggregator.offers(offerId);
        vm.assertEq(offer.provider, lender, "provider");
        vm.assertEq(offer.borrower, borrower, "borrower");
        vm.assertEq(offer.amount, amount, "amount");
        vm.assertEq(offer.interestRate, rate, "rate");
        vm.assertEq(offer.duration, months, "duration");
        vm.assertEq(offer.deadline, deadline, "deadline");
        vm.assertEq(offer.token, address(usd), "token");
        vm.assertEq(offer.loanReference, REFERENCE, "reference");
        vm.assertEq(offer.termsHash, bytes32(0), "nothing was signed");
        vm.assertEq(offer.collateralAmount, 0, "collateral");
        vm.assertEq(_status(offerId), uint256(ICreditAggregator.OfferStatus.Open), "status");
        vm.assertEq(aggregator.userOffers(borrower, 0), offerId, "the borrower's offers");
        vm.assertFalse(aggregator.isSettled(REFERENCE), "settled");
        vm.assertEq(usd.balanceOf(borrower), 0, "borrower");
        vm.assertEq(usd.balanceOf(lender), FUNDS, "lender");
    }

    function test_givesEachOfferItsOwnId() public {
        vm.assertEq(_createOffer(), 1, "first");
        vm.assertEq(_createOffer(), 2, "second, for the same reference");
        vm.assertEq(aggregator.offerCount(), 2, "count");
        vm.assertEq(aggregator.userOffers(borrower, 1), 2, "the borrower's second offer");
    }

    function _draft() private view returns (Draft memory) {
        return Draft(lender, borrower, PRINCIPAL, 0, address(0), REFERENCE, address(usd), NOW + 1 hours);
    }

    function _assertDraftRefused(Draft memory d, bytes memory error) private {
        uint256 offersBefore = aggregator.offerCount();
        vm.expectRevert(error);
        vm.prank(d.caller);
        aggregator.createOffer(
            d.borrower, d.amount, 749, 24, d.collateralAmount, d.collateralToken, d.loanReference, d.token, d.deadline
        );
        vm.assertEq(aggregator.offerCount(), offersBefore, "offers recorded");
    }
}
