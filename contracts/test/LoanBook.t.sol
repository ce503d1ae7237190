// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LoanBook} from "./support/LoanBook.sol";
import {vm} from "./support/Vm.sol";

/// @notice What holds after any sequence of moves by anyone.
contract LoanBookTest {
    LoanBook private book;

    function setUp() public {
        book = new LoanBook();
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
        bytes4[] memory moves = new bytes4[](5);
        moves[0] = LoanBook.settle.selector;
        moves[1] = LoanBook.createOffer.selector;
        moves[2] = LoanBook.acceptOffer.selector;
        moves[3] = LoanBook.cancelOffer.selector;
        moves[4] = LoanBook.cancelNonce.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(book), moves);
    }

    function invariant_borrowersHoldWhatWasDisbursed() public view {
        uint256 sum;
        for (uint256 i = 0; i < book.people(); i++) {
            uint256 balance = book.balanceOfBorrower(i);
            vm.assertEq(balance, book.disbursedTo(book.borrowerAt(i)), "one borrower's balance");
            sum += balance;
        }
        vm.assertEq(sum, book.totalDisbursed(), "all borrowers' balances");
        vm.assertEq(book.balanceOfLenders(), book.fundsOfLenders() - sum, "all lenders' balances");
    }

    function invariant_aReferenceSettlesAtMostOnce() public view {
        for (uint256 i = 0; i < book.references(); i++) {
            bytes32 loanReference = book.referenceAt(i);
            uint256 times = book.timesSettled(loanReference);
            vm.assertTrue(times <= 1, "settled twice");
            vm.assertTrue(book.isSettled(loanReference) == (times == 1), "the view and the events disagree");
        }
    }

    function invariant_theAggregatorHoldsNothing() public view {
        vm.assertEq(book.balanceOfAggregator(), 0, "aggregator");
    }

    /// @dev Invariants over a book in which nothing was ever paid or refused would prove nothing.
    function afterInvariant() external view {
        vm.assertTrue(book.disbursements() > 0, "no loan was settled in the whole run");
        vm.assertTrue(book.refusals() > 0, "nothing was refused in the whole run");
    }
}
