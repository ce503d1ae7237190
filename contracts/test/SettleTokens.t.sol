// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {
    CallingToken,
    FeeToken,
    LyingToken,
    OverchargingToken,
    PrintedToken,
    RefusingToken,
    SpeechlessToken,
    StealingToken
} from "./mocks/Tokens.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice `settle` with tokens that misbehave, should the owner ever list one.
contract SettleTokensTest is AggregatorTest {
    /* FAILURES */

    function test_refuses_aTokenThatKeepsAFee() public {
        _assertRefused(
            _settlementIn(_listed(new FeeToken())), _mismatch(borrower, PRINCIPAL - PRINCIPAL / 100)
        );
    }

    function test_refuses_aTokenThatChargesTheLenderMore() public {
        _assertRefused(_settlementIn(_listed(new OverchargingToken())), _mismatch(lender, PRINCIPAL + 1));
    }

    function test_refuses_aTokenThatMovesNothing() public {
        _assertRefused(_settlementIn(_listed(new LyingToken())), _mismatch(lender, 0));
    }

    function test_refuses_aTokenThatSaysNo() public {
        PrintedToken token = _listed(new RefusingToken());
        _assertRefused(
            _settlementIn(token), abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(token))
        );
    }

    function test_refuses_aTokenThatTakesFromTheBorrower() public {
        PrintedToken token = _listed(new StealingToken());
        token.print(borrower, PRINCIPAL);
        _assertRefused(_settlementIn(token), _mismatch(borrower, 0));
        vm.assertEq(token.balanceOf(borrower), PRINCIPAL, "borrower keeps what it had");
    }

    /* A TOKEN THAT CALLS BACK */

    function test_isNotReentered_bySettle() public {
        CallingToken token = CallingToken(address(_listed(new CallingToken())));
        ICreditAggregator.LoanTerms memory other = _terms();
        (other.loanReference, other.nonce, other.token) = (keccak256("another"), 70, address(token));
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(other);
        acceptance.nonce = 90;
        Settlement memory second = _signed(other, acceptance, LENDER_KEY, BORROWER_KEY);
        token.callDuringTransfer(
            address(aggregator),
            abi.encodeCall(
                aggregator.settle,
                (second.terms, second.lenderSignature, second.acceptance, second.borrowerSignature)
            )
        );
        _settleAndAssertNotReentered(token);
        vm.assertFalse(aggregator.isSettled(other.loanReference), "the nested loan");
        // What was refused inside is fine outside: the refusal above was about re-entering, nothing else.
        token.callDuringTransfer(address(this), "");
        _settle(second);
        vm.assertTrue(aggregator.isSettled(other.loanReference), "the same loan afterwards");
    }

    function test_isNotReentered_byAcceptOffer() public {
        CallingToken token = CallingToken(address(_listed(new CallingToken())));
        vm.prank(lender);
        uint256 offerId = aggregator.createOffer(
            address(token), PRINCIPAL, 749, 24, 0, address(0), keccak256("another"), address(token), NOW + 1 hours
        );
        token.callDuringTransfer(address(aggregator), abi.encodeCall(aggregator.acceptOffer, (offerId)));
        _settleAndAssertNotReentered(token);
        vm.assertEq(_status(offerId), uint256(ICreditAggregator.OfferStatus.Open), "the offer stays open");
    }

    /// @dev While the token runs, the loan already counts as settled: nobody reads a stale answer in between.
    function test_looksSettledDuringTheTransfer() public {
        CallingToken token = CallingToken(address(_listed(new CallingToken())));
        token.callDuringTransfer(address(this), abi.encodeCall(this.requireSettled, ()));
        _settle(_settlementIn(token));
        vm.assertTrue(token.reentered(), "seen as settled");
    }

    function requireSettled() external view {
        require(aggregator.isSettled(REFERENCE) && aggregator.nonceUsed(lender, 7), "not settled yet");
    }

    /* SUCCESS */

    function test_settlesInATokenWithoutReturnValue() public {
        SpeechlessToken token = new SpeechlessToken();
        token.print(lender, FUNDS);
        vm.prank(lender);
        token.approve(address(aggregator), PRINCIPAL);
        vm.prank(OWNER);
        aggregator.setToken(address(token), true);
        _settle(_settlementIn(PrintedToken(address(token))));
        vm.assertEq(token.balanceOf(borrower), PRINCIPAL, "borrower");
        vm.assertEq(token.balanceOf(lender), FUNDS - PRINCIPAL, "lender");
    }

    function _settleAndAssertNotReentered(CallingToken token) private {
        _settle(_settlementIn(token));
        vm.assertFalse(token.reentered(), "re-entered");
        vm.assertEq(
            bytes32(token.answer()), bytes32(ReentrancyGuard.ReentrancyGuardReentrantCall.selector), "the reason"
        );
        vm.assertEq(token.balanceOf(borrower), PRINCIPAL, "borrower is paid once");
    }

    /// @dev The lender has funds and an allowance in the token, and the owner has listed it.
    function _listed(PrintedToken token) private returns (PrintedToken) {
        token.print(lender, FUNDS);
        vm.prank(lender);
        token.approve(address(aggregator), type(uint256).max);
        vm.prank(OWNER);
        aggregator.setToken(address(token), true);
        return token;
    }

    function _settlementIn(PrintedToken token) private view returns (Settlement memory) {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.token = address(token);
        return _signed(terms);
    }

    function _mismatch(address account, uint256 actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            ICreditAggregator.DisbursementMismatch.selector, account, PRINCIPAL, actual
        );
    }
}
