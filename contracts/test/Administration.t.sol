// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TestUSD} from "../src/TestUSD.sol";
import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice What the owner may do, and nobody else.
contract AdministrationTest is AggregatorTest {
    /* FAILURES */

    function testFuzz_refuses_anyoneButTheOwner(address caller) public {
        vm.assume(caller != OWNER);
        bytes[6] memory calls = [
            abi.encodeCall(aggregator.setProvider, (caller, true)),
            abi.encodeCall(aggregator.setToken, (address(usd), false)),
            abi.encodeCall(aggregator.pause, ()),
            abi.encodeCall(aggregator.unpause, ()),
            abi.encodeCall(aggregator.transferOwnership, (caller)),
            abi.encodeCall(aggregator.renounceOwnership, ())
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(caller);
            (bool done, bytes memory reason) = address(aggregator).call(calls[i]);
            vm.assertFalse(done, "a stranger administers");
            bytes memory refusal = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller);
            vm.assertEq(keccak256(reason), keccak256(refusal), "the reason");
        }
    }

    function test_refuses_noProvider() public {
        vm.expectRevert(ICreditAggregator.ZeroAddress.selector);
        vm.prank(OWNER);
        aggregator.setProvider(address(0), true);
    }

    function test_refuses_aTokenWithoutCode() public {
        vm.expectRevert(abi.encodeWithSelector(ICreditAggregator.TokenWithoutCode.selector, stranger));
        vm.prank(OWNER);
        aggregator.setToken(stranger, true);
    }

    /* SUCCESS */

    function test_setsAndUnsetsAProvider() public {
        vm.assertFalse(aggregator.authorizedProviders(stranger), "before");
        for (uint256 i = 0; i < 2; i++) {
            bool authorized = i == 0;
            vm.expectEmit(true, true, true, true, address(aggregator));
            emit ICreditAggregator.ProviderSet(stranger, authorized);
            vm.prank(OWNER);
            aggregator.setProvider(stranger, authorized);
            vm.assertTrue(aggregator.authorizedProviders(stranger) == authorized, "after");
        }
    }

    function test_setsAndUnsetsAToken() public {
        TestUSD token = new TestUSD(OWNER);
        vm.assertFalse(aggregator.allowedTokens(address(token)), "before");
        for (uint256 i = 0; i < 2; i++) {
            bool allowed = i == 0;
            vm.expectEmit(true, true, true, true, address(aggregator));
            emit ICreditAggregator.TokenSet(address(token), allowed);
            vm.prank(OWNER);
            aggregator.setToken(address(token), allowed);
            vm.assertTrue(aggregator.allowedTokens(address(token)) == allowed, "after");
        }
    }

    function test_settlesAgainAfterAPause() public {
        vm.startPrank(OWNER);
        aggregator.pause();
        aggregator.unpause();
        vm.stopPrank();
        vm.assertEq(_settle(_signed(_terms())), 1, "offer id");
    }

    function test_ownershipMovesInTwoSteps() public {
        vm.prank(OWNER);
        aggregator.transferOwnership(stranger);
        vm.assertEq(aggregator.owner(), OWNER, "until it is accepted");
        vm.prank(stranger);
        aggregator.acceptOwnership();
        vm.assertEq(aggregator.owner(), stranger, "afterwards");
    }
}

/// @notice The play money: six decimals, printed by its owner alone.
contract TestUSDTest is AggregatorTest {
    function testFuzz_refuses_printingByAnyoneButTheOwner(address caller) public {
        vm.assume(caller != OWNER);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        vm.prank(caller);
        usd.mint(caller, 1);
    }

    function test_isNamedAndScaled() public view {
        vm.assertEq(usd.name(), "Test USD", "name");
        vm.assertEq(usd.symbol(), "TUSD", "symbol");
        vm.assertEq(usd.decimals(), 6, "decimals");
    }

    function testFuzz_isPrintedByTheOwner(uint256 units) public {
        units %= type(uint256).max - FUNDS;
        vm.prank(OWNER);
        usd.mint(borrower, units);
        vm.assertEq(usd.balanceOf(borrower), units, "borrower");
        vm.assertEq(usd.totalSupply(), FUNDS + units, "supply");
    }
}
