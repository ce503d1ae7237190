// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice Hashes that other programs must compute alike. The literals were computed by eth_account, and
/// tests/contracts/test_interface.py computes them again.
contract ViewsTest is AggregatorTest {
    function test_referenceOf_isWhatOthersCompute() public view {
        vm.assertEq(
            aggregator.referenceOf("acme", "app_01890a5d-ac96-774b-bcce-b302099a8057"),
            0x7abc4f577af04c0c20551353c9201c736693498994800e0dc9ae415e7ffce373,
            "reference"
        );
    }

    function test_domainSeparator_isWhatOthersCompute() public {
        vm.chainId(31337);
        vm.assertEq(address(aggregator), 0x6b182f1488E8EfEb2Eb298155ed5Bd7FF8A14042, "where it is deployed");
        vm.assertEq(
            aggregator.domainSeparator(),
            0xb35bfab66408efc9d95364346b699d48f6c81b72c84d2ee451d50747718e6f7f,
            "domain separator"
        );
    }

    function test_hashTerms_isWhatOthersCompute() public view {
        ICreditAggregator.LoanTerms memory terms = ICreditAggregator.LoanTerms({
            loanReference: 0x7abc4f577af04c0c20551353c9201c736693498994800e0dc9ae415e7ffce373,
            lender: 0x1111111111111111111111111111111111111111,
            borrower: 0x2222222222222222222222222222222222222222,
            token: 0x3333333333333333333333333333333333333333,
            principal: 12_500_000_000,
            totalRepayable: 13_437_500_000,
            aprBps: 749,
            termMonths: 24,
            nonce: 7,
            deadline: 1_900_000_000
        });
        vm.assertEq(
            aggregator.hashTerms(terms),
            0x53874260e025f23589e477fc285e91732dd94639445b42f8b8e43dbb13c9d873,
            "terms hash"
        );
        // The acceptance's hash is internal to the contract; the fixture's copy is what all settlements are signed with.
        vm.assertEq(
            _hashOfAcceptance(
                ICreditAggregator.Acceptance({
                    termsHash: aggregator.hashTerms(terms), borrower: terms.borrower, nonce: 9, deadline: 1_900_000_100
                })
            ),
            0x8b520227dd1d6c8f487e1e1da1462d0bb3c0dd71466a355bc38e61f18c718827,
            "acceptance hash"
        );
    }

    function testFuzz_hashTerms_coversEveryMember(ICreditAggregator.LoanTerms memory terms) public view {
        vm.assertEq(aggregator.hashTerms(terms), _hashOfTerms(terms), "terms hash");
    }

    function testFuzz_domainSeparator_followsTheChain(uint64 chainId) public {
        vm.assume(chainId != 0);
        vm.chainId(chainId);
        vm.assertEq(aggregator.domainSeparator(), _domain(chainId, address(aggregator)), "domain separator");
    }

    /// @dev Moving a letter from one name to the other gives another reference.
    function testFuzz_referenceOf_keepsTheNamesApart(string memory tenant, string memory application) public view {
        vm.assertTrue(
            aggregator.referenceOf(string.concat(tenant, "x"), application)
                != aggregator.referenceOf(tenant, string.concat("x", application)),
            "two applications share a reference"
        );
    }

    function testFuzz_anUnknownReference_isNotSettled(bytes32 loanReference) public view {
        vm.assertFalse(aggregator.isSettled(loanReference), "settled");
        vm.assertEq(aggregator.offerOf(loanReference), 0, "offer");
        vm.assertEq(_status(uint256(loanReference)), uint256(ICreditAggregator.OfferStatus.None), "status");
    }
}
