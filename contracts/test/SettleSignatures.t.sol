// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditAggregator} from "../src/CreditAggregator.sol";
import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {BrokenLender, PoolLender, SilentLender} from "./mocks/Lenders.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice `settle`: malformed and replayed signatures, and lenders that are contracts (ERC-1271).
contract SettleSignaturesTest is AggregatorTest {
    /* FAILURES */

    function test_refuses_emptySignatures() public {
        Settlement memory s = _signed(_terms());
        s.lenderSignature = "";
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
        s = _signed(_terms());
        s.borrowerSignature = "";
        _assertRefused(s, ICreditAggregator.InvalidBorrowerSignature.selector);
    }

    function testFuzz_refuses_signaturesOfNoise(bytes memory noise) public {
        Settlement memory s = _signed(_terms());
        s.lenderSignature = noise;
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_exchangedSignatures() public {
        Settlement memory s = _signed(_terms());
        (s.lenderSignature, s.borrowerSignature) = (s.borrowerSignature, s.lenderSignature);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_theBorrowersSignatureOverTheTermsInsteadOfAnAcceptance() public {
        Settlement memory s = _signed(_terms());
        s.borrowerSignature = _sign(BORROWER_KEY, _hashOfTerms(s.terms));
        _assertRefused(s, ICreditAggregator.InvalidBorrowerSignature.selector);
    }

    /// @dev For each signature (r, s) the pair (r, n - s) verifies too; only the lower one is taken.
    function test_refuses_theMalleableTwinOfASignature() public {
        Settlement memory s = _signed(_terms());
        (uint8 v, bytes32 r, bytes32 lowS) = vm.sign(LENDER_KEY, _digest(_hashOfTerms(s.terms)));
        bytes32 highS = bytes32(ORDER - uint256(lowS));
        vm.assertEq(ecrecover(_digest(_hashOfTerms(s.terms)), v == 27 ? 28 : 27, r, highS), lender, "the twin verifies");
        s.lenderSignature = abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27));
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_signaturesForAnotherChain() public {
        Settlement memory s = _signed(_terms());
        vm.chainId(block.chainid + 1);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    function testFuzz_refuses_signaturesForAnyOtherChain(uint64 chainId) public {
        vm.assume(chainId != 0 && chainId != block.chainid);
        Settlement memory s = _signed(_terms());
        bytes memory borrowerHere = s.borrowerSignature;
        uint256 here = block.chainid;

        vm.chainId(chainId);
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
        Settlement memory there = _signed(_terms());
        there.borrowerSignature = borrowerHere;
        _assertRefused(there, ICreditAggregator.InvalidBorrowerSignature.selector);

        vm.chainId(here);
        vm.assertEq(_settle(s), 1, "settles where it was meant to");
    }

    function test_refuses_signaturesForAnotherContract() public {
        Settlement memory s = _signed(_terms());
        CreditAggregator other = new CreditAggregator(OWNER);
        vm.startPrank(OWNER);
        other.setProvider(lender, true);
        other.setToken(address(usd), true);
        vm.stopPrank();
        vm.prank(lender);
        usd.approve(address(other), type(uint256).max);

        vm.expectRevert(ICreditAggregator.InvalidLenderSignature.selector);
        other.settle(s.terms, s.lenderSignature, s.acceptance, s.borrowerSignature);
        vm.assertEq(usd.balanceOf(borrower), 0, "borrower");
    }

    function test_refuses_aPoolWhoseOfficerDidNotSign() public {
        (PoolLender pool,) = _pool();
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.lender = address(pool);
        _assertRefused(_signed(terms), ICreditAggregator.InvalidLenderSignature.selector);
    }

    function test_refuses_lendersWhoseCodeDoesNotAgree() public {
        address[2] memory lenders = [address(new BrokenLender()), address(new SilentLender())];
        for (uint256 i = 0; i < lenders.length; i++) {
            vm.prank(OWNER);
            aggregator.setProvider(lenders[i], true);
            ICreditAggregator.LoanTerms memory terms = _terms();
            terms.lender = lenders[i];
            _assertRefused(_signed(terms), ICreditAggregator.InvalidLenderSignature.selector);
        }
    }

    /* SUCCESS */

    function test_settlesFromAPool() public {
        (PoolLender pool, uint256 officerKey) = _pool();
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.lender = address(pool);
        uint256 offerId = _settle(_signed(terms, officerKey, BORROWER_KEY));
        vm.assertEq(usd.balanceOf(borrower), PRINCIPAL, "borrower");
        vm.assertEq(usd.balanceOf(address(pool)), FUNDS - PRINCIPAL, "pool");
        vm.assertEq(aggregator.offers(offerId).provider, address(pool), "provider");
        vm.assertTrue(aggregator.nonceUsed(address(pool), terms.nonce), "the pool's nonce");
    }

    function test_settlesForABorrowerThatIsAContract() public {
        (PoolLender wallet, uint256 holderKey) = _pool();
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.borrower = address(wallet);
        _settle(_signed(terms, LENDER_KEY, holderKey));
        vm.assertEq(usd.balanceOf(address(wallet)), FUNDS + PRINCIPAL, "wallet");
    }

    function _pool() private returns (PoolLender pool, uint256 officerKey) {
        officerKey = 0x0ff1ce2;
        pool = new PoolLender(vm.addr(officerKey), usd, address(aggregator));
        vm.startPrank(OWNER);
        aggregator.setProvider(address(pool), true);
        usd.mint(address(pool), FUNDS);
        vm.stopPrank();
    }
}
