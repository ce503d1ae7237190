// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {FeeToken} from "./mocks/Tokens.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice `acceptOffer`: a borrower that calls for itself.
contract AcceptOfferTest is AggregatorTest {
    /* FAILURES */

    function test_refuses_whilePaused() public {
        uint256 offerId = _createOffer();
        vm.prank(OWNER);
        aggregator.pause();
        _assertAcceptRefused(borrower, offerId, abi.encodePacked(Pausable.EnforcedPause.selector));
    }

    function testFuzz_refuses_anIdNobodyUsed(uint256 offerId) public {
        vm.assume(offerId != _createOffer());
        _assertAcceptRefused(borrower, offerId, _notOpen(offerId, ICreditAggregator.OfferStatus.None));
    }

    function testFuzz_refuses_anyoneButTheBorrower(address caller) public {
        vm.assume(caller != borrower);
        uint256 offerId = _createOffer();
        _assertAcceptRefused(
            caller, offerId, abi.encodeWithSelector(ICreditAggregator.NotOfferBorrower.selector, caller)
        );
    }

    function test_refuses_anAcceptedOffer() public {
        uint256 offerId = _createOffer();
        vm.prank(borrower);
        aggregator.acceptOffer(offerId);
        _assertAcceptRefused(borrower, offerId, _notOpen(offerId, ICreditAggregator.OfferStatus.Accepted));
    }

    function test_refuses_aCancelledOffer() public {
        uint256 offerId = _createOffer();
        vm.prank(lender);
        aggregator.cancelOffer(offerId);
        _assertAcceptRefused(borrower, offerId, _notOpen(offerId, ICreditAggregator.OfferStatus.Cancelled));
    }

    function test_refuses_aSecondOfferForTheSameReference() public {
        uint256 first = _createOffer();
        uint256 second = _createOffer();
        vm.prank(borrower);
        aggregator.acceptOffer(second);
        _assertAcceptRefused(
            borrower,
            first,
            abi.encodeWithSelector(ICreditAggregator.ReferenceAlreadySettled.selector, REFERENCE, second)
        );
    }

    function test_refuses_afterTheDeadline() public {
        uint256 offerId = _createOffer();
        vm.warp(NOW + 1 hours + 1);
        _assertAcceptRefused(
            borrower, offerId, abi.encodeWithSelector(ICreditAggregator.DeadlinePassed.selector, NOW + 1 hours)
        );
    }

    function test_refuses_onceTheProviderIsNoLongerAuthorized() public {
        uint256 offerId = _createOffer();
        vm.prank(OWNER);
        aggregator.setProvider(lender, false);
        _assertAcceptRefused(
            borrower, offerId, abi.encodeWithSelector(ICreditAggregator.ProviderNotAuthorized.selector, lender)
        );
    }

    function test_refuses_onceTheTokenIsNoLongerAllowed() public {
        uint256 offerId = _createOffer();
        vm.prank(OWNER);
        aggregator.setToken(address(usd), false);
        _assertAcceptRefused(
            borrower, offerId, abi.encodeWithSelector(ICreditAggregator.TokenNotAllowed.selector, address(usd))
        );
    }

    function test_refuses_whenTheProviderCannotPay() public {
        uint256 offerId = _createOffer();
        vm.prank(lender);
        usd.transfer(stranger, FUNDS);
        _assertAcceptRefused(
            borrower,
            offerId,
            abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", lender, 0, PRINCIPAL)
        );
    }

    function test_refuses_aTokenThatKeepsAFee() public {
        FeeToken token = new FeeToken();
        token.print(lender, FUNDS);
        vm.prank(OWNER);
        aggregator.setToken(address(token), true);
        vm.startPrank(lender);
        token.approve(address(aggregator), PRINCIPAL);
        uint256 offerId = aggregator.createOffer(
            borrower, PRINCIPAL, 749, 24, 0, address(0), REFERENCE, address(token), NOW + 1 hours
        );
        vm.stopPrank();
        uint256 received = PRINCIPAL - PRINCIPAL / 100;
        _assertAcceptRefused(
            borrower,
            offerId,
            abi.encodeWithSelector(
                ICreditAggregator.DisbursementMismatch.selector, borrower, PRINCIPAL, received
            )
        );
    }

    /* SUCCESS */

    function testFuzz_paysTheBorrower_andTellsSo(uint256 amount) public {
        amount = 1 + amount % FUNDS;
        vm.prank(lender);
        uint256 offerId = aggregator.createOffer(
            borrower, amount, 749, 24, 0, address(0), REFERENCE, address(usd), NOW + 1 hours
        );
        vm.warp(NOW + 1 hours);
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.OfferAccepted(offerId, borrower);
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.Disbursed(REFERENCE, offerId, borrower, lender, address(usd), amount);

        vm.prank(borrower);
        aggregator.acceptOffer(offerId);

        vm.assertEq(usd.balanceOf(borrower), amount, "borrower");
        vm.assertEq(usd.balanceOf(lender), FUNDS - amount, "lender");
        vm.assertEq(_status(offerId), uint256(ICreditAggregator.OfferStatus.Accepted), "status");
        vm.assertTrue(aggregator.isSettled(REFERENCE), "settled");
        vm.assertEq(aggregator.offerOf(REFERENCE), offerId, "offer of the reference");
    }

    function _notOpen(uint256 offerId, ICreditAggregator.OfferStatus status) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ICreditAggregator.OfferNotOpen.selector, offerId, status);
    }

    function _assertAcceptRefused(address caller, uint256 offerId, bytes memory error) private {
        (uint256 borrowerBefore, uint256 lenderBefore) = (usd.balanceOf(borrower), usd.balanceOf(lender));
        uint256 statusBefore = _status(offerId);
        vm.expectRevert(error);
        vm.prank(caller);
        aggregator.acceptOffer(offerId);
        vm.assertEq(usd.balanceOf(borrower), borrowerBefore, "borrower");
        vm.assertEq(usd.balanceOf(lender), lenderBefore, "lender");
        vm.assertEq(_status(offerId), statusBefore, "status");
    }
}
