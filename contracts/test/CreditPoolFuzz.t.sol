// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {ICreditPool} from "../src/interfaces/ICreditPool.sol";
import {CreditPoolTest} from "./support/CreditPoolTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice The pool over the whole range of what can be signed.
contract CreditPoolFuzzTest is CreditPoolTest {
    bytes4 private constant YES = 0x1626ba7e;

    /// @dev Whatever is signed, a loan that settles is within every limit, and every loan within them settles.
    function testFuzz_lendsExactlyWithinItsLimits(
        uint256 principal,
        uint256 interest,
        uint32 aprBps,
        uint32 termMonths,
        uint256 lentBefore
    ) public {
        lentBefore %= MAX_PRINCIPAL;
        if (lentBefore > 0) _lend(1, lentBefore);
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        terms.principal = 1 + principal % (2 * MAX_PRINCIPAL);
        terms.totalRepayable = terms.principal + interest % MAX_PRINCIPAL;
        (terms.aprBps, terms.termMonths) = (aprBps % 2_000, termMonths % 80);
        // Written otherwise than the contract does it: interest ÷ principal ≥ APR ÷ 12 × (months + 1) ÷ 2.
        bool bears = (terms.totalRepayable - terms.principal) * 240_000
            >= terms.principal * MIN_APR_BPS * (uint256(terms.termMonths) + 1);
        bool within = terms.principal <= MAX_PRINCIPAL && lentBefore + terms.principal <= MAX_OUTSTANDING
            && terms.aprBps >= MIN_APR_BPS && terms.termMonths >= 1 && terms.termMonths <= MAX_TERM_MONTHS && bears;

        vm.assertTrue((pool.refusalOf(terms) == ICreditPool.Refusal.None) == within, "refusal");
        if (within) {
            _settle(_fromPool(terms));
            vm.assertEq(pool.outstanding(), lentBefore + terms.principal, "outstanding");
        } else {
            _assertPoolRefuses(terms);
        }
    }

    /// @dev No limit and no terms make the pool overflow instead of refusing.
    function testFuzz_neverOverflows(ICreditAggregator.LoanTerms memory terms, ICreditPool.Limits memory limits)
        public
    {
        vm.prank(CURATOR);
        pool.setLimits(limits);
        (terms.lender, terms.token) = (address(pool), address(usd));
        pool.refusalOf(terms);
    }

    function testFuzz_refuses_anyOtherKey(uint256 key) public {
        key = 1 + key % (ORDER - 1);
        vm.assume(key != UNDERWRITER_KEY);
        Settlement memory s = _fromPool(_poolTerms());
        s.lenderSignature = _blob(s.terms, key);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    /// @dev Any bit of what the pool is shown, flipped.
    function testFuzz_refuses_aChangedSignature(uint256 place, uint8 change) public {
        vm.assume(change != 0);
        Settlement memory s = _fromPool(_poolTerms());
        place %= s.lenderSignature.length;
        s.lenderSignature[place] ^= bytes1(change);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function testFuzz_refuses_anyOtherHash(bytes32 hash) public view {
        ICreditAggregator.LoanTerms memory terms = _poolTerms();
        vm.assume(hash != _digest(_hashOfTerms(terms)));
        vm.assertTrue(pool.isValidSignature(hash, _blob(terms, UNDERWRITER_KEY)) != YES, "another hash");
    }

    /// @dev A round trip never gains a unit, whatever the pool earned or lost before.
    function testFuzz_depositingAndWithdrawingNeverGains(uint256 units, uint256 gain, bool lost) public {
        uint256 offerId = _lend(1, MAX_PRINCIPAL);
        if (lost) {
            vm.prank(CURATOR);
            pool.writeOff(offerId);
        } else {
            _repay(offerId, MAX_PRINCIPAL + gain % DEPOSITED);
        }
        units = 1 + units % DEPOSITED;
        _provide(stranger, units);
        uint256 shares = pool.balanceOf(stranger);
        vm.prank(stranger);
        uint256 returned = pool.redeem(shares, stranger, stranger);
        vm.assertTrue(returned <= units, "gained by a round trip");
    }

    function testFuzz_theRateNeverFallsWithRiskOrUse(uint256 first, uint256 second, uint256 pd, uint256 morePd)
        public
        view
    {
        (first, second) = first < second ? (first, second) : (second, first);
        (first, second) = (first % DEPOSITED, DEPOSITED + second % DEPOSITED);
        (pd, morePd) = (pd % 500_000, 500_000 + morePd % 500_000);
        vm.assertTrue(pool.nominalRateBps(first, pd) <= pool.nominalRateBps(second, morePd), "falls");
    }
}
