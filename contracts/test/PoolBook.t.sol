// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PoolBook} from "./support/PoolBook.sol";
import {vm} from "./support/Vm.sol";

/// @notice What holds of a pool after any sequence of moves by anyone.
contract PoolBookTest {
    PoolBook private book;

    function setUp() public {
        book = new PoolBook();
    }

    /// @dev Read by forge: the one contract whose moves are played, and those moves.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(book);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory moves = new bytes4[](7);
        moves[0] = PoolBook.deposit.selector;
        moves[1] = PoolBook.withdraw.selector;
        moves[2] = PoolBook.lend.selector;
        moves[3] = PoolBook.repay.selector;
        moves[4] = PoolBook.writeOff.selector;
        moves[5] = PoolBook.changeMind.selector;
        moves[6] = PoolBook.steal.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(book), moves);
    }

    function invariant_limitsAreNeverExceeded() public view {
        (uint256 principal, uint256 out, uint256 aprBps) = book.limits();
        vm.assertTrue(book.largestLoan() <= principal, "a loan above the limit");
        vm.assertTrue(book.mostOutstanding() <= out, "more outstanding than the limit");
        vm.assertTrue(book.lowestAprBps() >= aprBps, "an APR below the minimum");
    }

    function invariant_nobodyElseMovesFunds() public view {
        vm.assertFalse(book.robbed(), "robbed");
        vm.assertFalse(book.lentWithoutPermission(), "lent without permission");
        vm.assertEq(
            book.balanceOfPool(),
            book.deposited() + book.repaid() - book.withdrawn() - book.lent(),
            "tokens of the pool"
        );
    }

    function invariant_theBooksAgreeWithTheTokens() public view {
        vm.assertEq(book.outstanding(), book.lent() - book.principalRepaid() - book.writtenOff(), "outstanding");
        vm.assertEq(book.totalAssets(), book.balanceOfPool() + book.outstanding(), "worth");
        vm.assertTrue(book.worthOfAllShares() <= book.totalAssets(), "the shares claim more than there is");
    }

    /// @dev That the moves move something: a book in which nothing can happen holds every invariant.
    function test_theBookLendsAndIsRepaidAndRefused() public {
        book.lend(9_999e6, 2_000e6, 300, 24, 1);
        vm.assertEq(book.loans(), 1, "loans");
        vm.assertEq(book.outstanding(), 9_999e6 + 1, "outstanding");
        book.repay(0, 5_000e6);
        vm.assertEq(book.principalRepaid(), 5_000e6, "repaid");
        book.lend(9_999e6, 2_000e6, 300, 24, 8);
        vm.assertEq(book.refusals(), 1, "refused");
        book.writeOff(0);
        vm.assertEq(book.outstanding(), 0, "written off");
    }

    /// @dev Invariants over a pool that nobody ever asked would prove nothing.
    function afterInvariant() external view {
        vm.assertTrue(book.loans() + book.refusals() > 0, "nobody asked for a loan in the whole run");
    }
}
