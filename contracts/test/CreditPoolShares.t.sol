// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {CreditPool} from "../src/CreditPool.sol";
import {ICreditPool} from "../src/interfaces/ICreditPool.sol";
import {CreditPoolTest} from "./support/CreditPoolTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice What the shares are worth and who may move the pool's tokens.
contract CreditPoolSharesTest is CreditPoolTest {
    /* FAILURES */

    function test_refuses_withdrawingWhatIsLent() public {
        _lend(1, MAX_PRINCIPAL);
        uint256 idle = DEPOSITED - MAX_PRINCIPAL;
        vm.assertEq(pool.maxWithdraw(PROVIDER), idle, "most that may be withdrawn");
        vm.expectRevert(
            abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, PROVIDER, idle + 1, idle)
        );
        vm.prank(PROVIDER);
        pool.withdraw(idle + 1, PROVIDER, PROVIDER);
    }

    function test_refuses_withdrawingAnothersShares() public {
        vm.expectRevert();
        vm.prank(stranger);
        pool.withdraw(1, stranger, PROVIDER);
    }

    function test_refuses_drawingThePoolsTokens() public {
        vm.assertEq(usd.allowance(address(pool), address(aggregator)), type(uint256).max, "the aggregator's");
        address[5] memory others = [stranger, CURATOR, underwriter, PROVIDER, OWNER];
        for (uint256 i = 0; i < others.length; i++) {
            vm.assertEq(usd.allowance(address(pool), others[i]), 0, "an allowance");
            vm.expectRevert();
            vm.prank(others[i]);
            usd.transferFrom(address(pool), others[i], 1);
        }
    }

    function test_refuses_depositsWhilePaused_butNotWithdrawals() public {
        vm.prank(CURATOR);
        pool.pause();
        vm.assertEq(pool.maxDeposit(PROVIDER), 0, "most that may be deposited");
        vm.assertEq(pool.maxMint(PROVIDER), 0, "most that may be minted");
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, PROVIDER, 1, 0));
        vm.prank(PROVIDER);
        pool.deposit(1, PROVIDER);
        vm.prank(PROVIDER);
        pool.withdraw(DEPOSITED, PROVIDER, PROVIDER);
        vm.assertEq(usd.balanceOf(PROVIDER), DEPOSITED, "withdrawn");
    }

    function test_refuses_administrationByAnybodyElse() public {
        bytes[7] memory calls = [
            abi.encodeCall(ICreditPool.setUnderwriter, (stranger, true)),
            abi.encodeCall(ICreditPool.setLimits, (_limits())),
            abi.encodeCall(ICreditPool.setCurve, (_curve())),
            abi.encodeCall(ICreditPool.writeOff, (1)),
            abi.encodeCall(ICreditPool.cancelNonce, (1)),
            abi.encodeCall(ICreditPool.pause, ()),
            abi.encodeCall(ICreditPool.unpause, ())
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(underwriter);
            (bool done, bytes memory answer) = address(pool).call(calls[i]);
            vm.assertFalse(done, "done");
            vm.assertTrue(bytes4(answer) == Ownable.OwnableUnauthorizedAccount.selector, "another refusal");
        }
    }

    function test_refuses_anUnderwriterOfNobody() public {
        vm.expectRevert(ICreditPool.ZeroAddress.selector);
        vm.prank(CURATOR);
        pool.setUnderwriter(address(0), true);
    }

    function test_refuses_aCurveBeyondItsWhole() public {
        for (uint256 i = 0; i < 4; i++) {
            ICreditPool.RateCurve memory curve = _curve();
            if (i == 0) curve.baseRateBps = 10_001;
            if (i == 1) curve.utilisationSlopeBps = 10_001;
            if (i == 2) curve.lossGivenDefaultBps = 10_001;
            if (i == 3) curve.maxPdPpm = 1_000_001;
            vm.expectRevert(ICreditPool.CurveOutOfRange.selector);
            vm.prank(CURATOR);
            pool.setCurve(curve);
        }
    }

    function test_refuses_repayingWhatIsNoLoanOfThisPool() public {
        uint256 open = _createOffer();
        uint256[3] memory offers = [uint256(0), open, 99];
        for (uint256 i = 0; i < offers.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(ICreditPool.NotALoanOfThisPool.selector, offers[i]));
            pool.repay(offers[i], 1);
        }
        vm.prank(borrower);
        aggregator.acceptOffer(open);
        vm.expectRevert(abi.encodeWithSelector(ICreditPool.NotALoanOfThisPool.selector, open));
        pool.repay(open, 1);
    }

    function test_refuses_aRepaymentThatIsNotPaid() public {
        uint256 offerId = _lend(1, MAX_PRINCIPAL);
        vm.expectRevert();
        vm.prank(stranger);
        pool.repay(offerId, 1);
        vm.assertEq(pool.accountedFor(offerId), 0, "accounted for");
        vm.assertEq(pool.outstanding(), MAX_PRINCIPAL, "outstanding");
    }

    /* SUCCESS */

    function test_interestBelongsToTheShares_principalComesFirst() public {
        uint256 offerId = _lend(1, 10_000e6);
        _repay(offerId, 4_000e6);
        vm.assertEq(pool.outstanding(), 6_000e6, "outstanding after a part");
        vm.assertEq(pool.totalAssets(), DEPOSITED, "no gain before the principal is back");
        vm.prank(OWNER);
        usd.mint(stranger, 7_000e6);
        vm.startPrank(stranger);
        usd.approve(address(pool), 7_000e6);
        vm.expectEmit(true, true, true, true, address(pool));
        emit ICreditPool.LoanRepaid(offerId, stranger, 6_000e6, 1_000e6);
        pool.repay(offerId, 7_000e6);
        vm.stopPrank();
        vm.assertEq(pool.outstanding(), 0, "outstanding");
        vm.assertEq(pool.totalAssets(), DEPOSITED + 1_000e6, "gain");
        // The one unit of the virtual share stays behind.
        vm.assertTrue(pool.maxWithdraw(PROVIDER) >= DEPOSITED + 1_000e6 - 1, "the provider's");
    }

    function test_aLossIsTheShares_andWhatComesAfterItIsGain() public {
        uint256 offerId = _lend(1, 10_000e6);
        _repay(offerId, 1_000e6);
        vm.expectEmit(true, true, true, true, address(pool));
        emit ICreditPool.LoanWrittenOff(offerId, 9_000e6);
        vm.prank(CURATOR);
        pool.writeOff(offerId);
        vm.assertEq(pool.totalAssets(), DEPOSITED - 9_000e6, "lost");
        vm.assertEq(pool.outstanding(), 0, "outstanding");
        vm.prank(CURATOR);
        pool.writeOff(offerId);
        vm.assertEq(pool.totalAssets(), DEPOSITED - 9_000e6, "lost once");
        _repay(offerId, 500e6);
        vm.assertEq(pool.totalAssets(), DEPOSITED - 8_500e6, "recovered");
    }

    function test_aLoanChangesNobodysSharePrice() public {
        _lend(1, MAX_PRINCIPAL);
        _provide(stranger, 10_000e6);
        vm.assertEq(pool.convertToAssets(pool.balanceOf(stranger)), 10_000e6, "the newcomer's");
        vm.assertEq(pool.convertToAssets(pool.balanceOf(PROVIDER)), DEPOSITED, "the first one's");
    }

    function test_aGiftBelongsToNoShare_andCoversLoans() public {
        _lend(1, 10_000e6);
        vm.prank(OWNER);
        usd.mint(address(pool), 12_000e6);
        vm.assertEq(pool.totalAssets(), DEPOSITED, "total");
        vm.assertEq(pool.outstanding(), 0, "outstanding");
        vm.assertEq(pool.idle(), DEPOSITED, "idle");
        vm.prank(PROVIDER);
        pool.withdraw(DEPOSITED, PROVIDER, PROVIDER);
        vm.assertEq(usd.balanceOf(address(pool)), 2_000e6, "what is left of the gift");
        vm.prank(CURATOR);
        pool.writeOff(1);
        vm.assertEq(pool.totalAssets(), 0, "nothing left to lose");
    }

    function test_theRateByHand() public {
        // Idle: 5.00 % + 10,000 of 100,000 of 4.00 % + 2 % PD of 45 %.
        vm.assertEq(pool.nominalRateBps(10_000e6, 20_000), 500 + 40 + 90, "idle pool");
        _lend(1, MAX_PRINCIPAL);
        vm.assertEq(pool.nominalRateBps(10_000e6, 20_000), 500 + 120 + 90, "a fifth is lent");
        // 0.0001 % of 45 % and a unit of 4 % are less than a basis point: rounded up, each.
        vm.assertEq(pool.nominalRateBps(1, 1), 500 + 81 + 1, "rounded up");
        vm.assertEq(pool.nominalRateBps(type(uint128).max, 0), 900, "never beyond the slope");
    }

    function test_anEmptyPoolHasARate() public {
        CreditPool empty = new CreditPool(usd, aggregator, CURATOR, _limits(), _curve());
        vm.assertEq(empty.nominalRateBps(1, 0), 900, "rate");
    }

    function test_itsStandingIsWhatItsViewsSay() public {
        _lend(1, MAX_PRINCIPAL);
        vm.prank(CURATOR);
        pool.pause();
        ICreditPool.Standing memory now_ = pool.standing();
        vm.assertEq(now_.blockNumber, block.number, "block");
        vm.assertEq(now_.aggregator, address(aggregator), "aggregator");
        vm.assertEq(now_.asset, address(usd), "asset");
        vm.assertTrue(now_.paused, "paused");
        vm.assertEq(now_.idle, DEPOSITED - MAX_PRINCIPAL, "idle");
        vm.assertEq(now_.outstanding, MAX_PRINCIPAL, "outstanding");
        vm.assertEq(now_.totalAssets, DEPOSITED, "total");
        vm.assertEq(now_.limits.maxOutstanding, MAX_OUTSTANDING, "limit");
        vm.assertEq(now_.curve.utilisationSlopeBps, 400, "slope");
    }

    function test_theCuratorChangesLimits() public {
        ICreditPool.Limits memory limits = _limits();
        limits.maxPrincipal = 1;
        vm.expectEmit(true, true, true, true, address(pool));
        emit ICreditPool.LimitsSet(limits);
        vm.prank(CURATOR);
        pool.setLimits(limits);
        _assertRefusal(_poolTerms(), ICreditPool.Refusal.PrincipalAboveLimit);
    }

    function test_lendsAgainAfterAPause() public {
        vm.prank(CURATOR);
        pool.pause();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        vm.prank(CURATOR);
        pool.pause();
        vm.prank(CURATOR);
        pool.unpause();
        _lend(1, MAX_PRINCIPAL);
    }
}
