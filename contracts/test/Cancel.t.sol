// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice `cancelOffer`: the way out for a provider.
contract CancelOfferTest is AggregatorTest {
    /* FAILURES */

    function testFuzz_refuses_anyoneButTheProvider(address caller) public {
        vm.assume(caller != lender);
        uint256 offerId = _createOffer();
        vm.expectRevert(abi.encodeWithSelector(ICreditAggregator.NotOfferProvider.selector, caller));
        vm.prank(caller);
        aggregator.cancelOffer(offerId);
        vm.assertEq(_status(offerId), uint256(ICreditAggregator.OfferStatus.Open), "status");
    }

    function test_refuses_offersThatAreNotOpen() public {
        _assertNotOpen(1, ICreditAggregator.OfferStatus.None);

        uint256 cancelled = _createOffer();
        vm.prank(lender);
        aggregator.cancelOffer(cancelled);
        _assertNotOpen(cancelled, ICreditAggregator.OfferStatus.Cancelled);

        uint256 settled = _settle(_signed(_terms()));
        _assertNotOpen(settled, ICreditAggregator.OfferStatus.Accepted);
    }

    /* SUCCESS */

    function test_cancels_whilePausedAndAfterTheProviderLostItsPermission() public {
        uint256 offerId = _createOffer();
        vm.startPrank(OWNER);
        aggregator.setProvider(lender, false);
        aggregator.pause();
        vm.stopPrank();

        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.OfferCancelled(offerId, lender);
        vm.prank(lender);
        aggregator.cancelOffer(offerId);

        vm.assertEq(_status(offerId), uint256(ICreditAggregator.OfferStatus.Cancelled), "status");
    }

    function test_leavesTheReferenceFree() public {
        uint256 offerId = _createOffer();
        vm.prank(lender);
        aggregator.cancelOffer(offerId);
        vm.assertEq(_settle(_signed(_terms())), offerId + 1, "offer id");
    }

    function _assertNotOpen(uint256 offerId, ICreditAggregator.OfferStatus status) private {
        vm.expectRevert(abi.encodeWithSelector(ICreditAggregator.OfferNotOpen.selector, offerId, status));
        vm.prank(lender);
        aggregator.cancelOffer(offerId);
    }
}

/// @notice `cancelNonce`: the way out for whoever has signed something.
contract CancelNonceTest is AggregatorTest {
    /* FAILURES */

    function test_refuses_aNonceSettledWith() public {
        _settle(_signed(_terms()));
        vm.expectRevert(abi.encodeWithSelector(ICreditAggregator.NonceAlreadyUsed.selector, lender, uint256(7)));
        vm.prank(lender);
        aggregator.cancelNonce(7);
    }

    function testFuzz_refuses_aNonceCancelledBefore(uint256 nonce) public {
        aggregator.cancelNonce(nonce);
        vm.expectRevert(
            abi.encodeWithSelector(ICreditAggregator.NonceAlreadyUsed.selector, address(this), nonce)
        );
        aggregator.cancelNonce(nonce);
    }

    /* SUCCESS */

    function testFuzz_burnsTheCallersNonceAlone(address caller, address other, uint256 nonce) public {
        vm.assume(caller != other);
        vm.prank(OWNER);
        aggregator.pause();
        vm.expectEmit(true, true, true, true, address(aggregator));
        emit ICreditAggregator.NonceCancelled(caller, nonce);

        vm.prank(caller);
        aggregator.cancelNonce(nonce);

        vm.assertTrue(aggregator.nonceUsed(caller, nonce), "the caller's nonce");
        vm.assertFalse(aggregator.nonceUsed(other, nonce), "another signer's nonce");
    }
}
