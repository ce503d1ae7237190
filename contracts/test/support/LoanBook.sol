// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICreditAggregator} from "../../src/interfaces/ICreditAggregator.sol";
import {AggregatorTest} from "./AggregatorTest.sol";
import {Vm, vm} from "./Vm.sol";

/// @notice Plays three lenders and three borrowers at random over few references and nonces, so that they collide
/// often, and keeps a book of what the aggregator's own events say was paid.
contract LoanBook is AggregatorTest {
    uint256 private constant PEOPLE = 3;
    uint256 private constant REFERENCES = 24;
    uint256 private constant NONCES = 24;

    uint256 public totalDisbursed;
    uint256 public disbursements;
    uint256 public refusals;
    mapping(bytes32 loanReference => uint256 times) public timesSettled;
    mapping(address borrower => uint256 units) public disbursedTo;

    constructor() {
        setUp();
        for (uint256 i = 0; i < PEOPLE; i++) {
            vm.startPrank(OWNER);
            aggregator.setProvider(vm.addr(_lenderKey(i)), true);
            usd.mint(vm.addr(_lenderKey(i)), FUNDS);
            vm.stopPrank();
            vm.prank(vm.addr(_lenderKey(i)));
            usd.approve(address(aggregator), type(uint256).max);
        }
    }

    /* MOVES */

    function settle(uint256 seed, uint256 principal) external {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.loanReference = referenceAt(seed % REFERENCES);
        terms.lender = vm.addr(_lenderKey(seed >> 8));
        terms.borrower = borrowerAt((seed >> 16) % PEOPLE);
        terms.principal = 1 + principal % FUNDS;
        terms.totalRepayable = terms.principal;
        terms.nonce = (seed >> 24) % NONCES;
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
        acceptance.nonce = (seed >> 32) % NONCES;
        Settlement memory s = _signed(terms, acceptance, _lenderKey(seed >> 8), _borrowerKey(seed >> 16));
        _attempt(
            RELAYER,
            abi.encodeCall(aggregator.settle, (s.terms, s.lenderSignature, s.acceptance, s.borrowerSignature))
        );
    }

    function createOffer(uint256 seed, uint256 amount) external {
        address provider = vm.addr(_lenderKey(seed >> 8));
        address to = borrowerAt((seed >> 16) % PEOPLE);
        bytes32 loanReference = referenceAt(seed % REFERENCES);
        _attempt(
            provider,
            abi.encodeCall(
                aggregator.createOffer,
                (to, 1 + amount % FUNDS, 749, 24, 0, address(0), loanReference, address(usd), NOW)
            )
        );
    }

    function acceptOffer(uint256 seed) external {
        uint256 offerId = 1 + seed % (aggregator.offerCount() + 1);
        _attempt(aggregator.offers(offerId).borrower, abi.encodeCall(aggregator.acceptOffer, (offerId)));
    }

    function cancelOffer(uint256 seed) external {
        uint256 offerId = 1 + seed % (aggregator.offerCount() + 1);
        _attempt(aggregator.offers(offerId).provider, abi.encodeCall(aggregator.cancelOffer, (offerId)));
    }

    function cancelNonce(uint256 seed) external {
        _attempt(borrowerAt(seed % PEOPLE), abi.encodeCall(aggregator.cancelNonce, ((seed >> 8) % NONCES)));
    }

    /* THE BOOK */

    function borrowerAt(uint256 index) public pure returns (address) {
        return vm.addr(_borrowerKey(index));
    }

    function referenceAt(uint256 index) public pure returns (bytes32) {
        return keccak256(abi.encode("reference", index));
    }

    function people() external pure returns (uint256) {
        return PEOPLE;
    }

    function references() external pure returns (uint256) {
        return REFERENCES;
    }

    function balanceOfBorrower(uint256 index) external view returns (uint256) {
        return usd.balanceOf(borrowerAt(index));
    }

    function balanceOfLenders() external view returns (uint256 sum) {
        for (uint256 i = 0; i < PEOPLE; i++) {
            sum += usd.balanceOf(vm.addr(_lenderKey(i)));
        }
    }

    function balanceOfAggregator() external view returns (uint256) {
        return usd.balanceOf(address(aggregator));
    }

    function fundsOfLenders() external pure returns (uint256) {
        return PEOPLE * FUNDS;
    }

    function isSettled(bytes32 loanReference) external view returns (bool) {
        return aggregator.isSettled(loanReference);
    }

    /// @dev Calls the aggregator as `caller`; a refusal is fine, whatever happened is read from the events.
    function _attempt(address caller, bytes memory call) private {
        vm.recordLogs();
        vm.prank(caller);
        (bool done,) = address(aggregator).call(call);
        if (!done) refusals += 1;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != ICreditAggregator.Disbursed.selector) continue;
            (,, uint256 principal) = abi.decode(logs[i].data, (address, address, uint256));
            totalDisbursed += principal;
            disbursements += 1;
            timesSettled[logs[i].topics[1]] += 1;
            disbursedTo[address(uint160(uint256(logs[i].topics[3])))] += principal;
        }
    }

    function _lenderKey(uint256 index) private pure returns (uint256) {
        return 0x1000 + index % PEOPLE;
    }

    function _borrowerKey(uint256 index) private pure returns (uint256) {
        return 0x2000 + index % PEOPLE;
    }
}
