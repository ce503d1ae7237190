// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICreditAggregator} from "../src/interfaces/ICreditAggregator.sol";
import {AggregatorTest} from "./support/AggregatorTest.sol";
import {vm} from "./support/Vm.sol";

/// @notice `settle` over the whole range of what can be signed.
contract SettleFuzzTest is AggregatorTest {
    /// @dev Whatever terms the two sign, the borrower gets the principal and the record says what was signed.
    function testFuzz_paysExactlyWhatWasSigned(ICreditAggregator.LoanTerms memory terms, uint256 borrowerNonce)
        public
    {
        vm.assume(terms.loanReference != bytes32(0));
        (terms.lender, terms.borrower, terms.token) = (lender, borrower, address(usd));
        terms.principal = 1 + terms.principal % FUNDS;
        if (terms.totalRepayable < terms.principal) terms.totalRepayable += terms.principal;
        if (terms.deadline < NOW) terms.deadline += NOW;
        ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
        acceptance.nonce = borrowerNonce;

        uint256 offerId = _settle(_signed(terms, acceptance, LENDER_KEY, BORROWER_KEY));

        vm.assertEq(usd.balanceOf(borrower), terms.principal, "borrower");
        vm.assertEq(usd.balanceOf(lender), FUNDS - terms.principal, "lender");
        vm.assertEq(aggregator.offerOf(terms.loanReference), offerId, "offer of the reference");
        ICreditAggregator.CreditOffer memory offer = aggregator.offers(offerId);
        vm.assertEq(offer.amount, terms.principal, "amount");
        vm.assertEq(offer.interestRate, terms.aprBps, "rate");
        vm.assertEq(offer.duration, terms.termMonths, "duration");
        vm.assertEq(offer.termsHash, _hashOfTerms(terms), "terms hash");
    }

    /// @dev The relayer is nobody: whoever it is, the same money moves between the same two.
    function testFuzz_anyoneMayRelay(address relayer) public {
        vm.assume(relayer != lender && relayer != borrower);
        uint256 relayerBefore = usd.balanceOf(relayer);
        Settlement memory s = _signed(_terms());
        vm.prank(relayer);
        aggregator.settle(s.terms, s.lenderSignature, s.acceptance, s.borrowerSignature);
        vm.assertEq(usd.balanceOf(borrower), PRINCIPAL, "borrower");
        vm.assertEq(usd.balanceOf(relayer), relayerBefore, "relayer");
    }

    function testFuzz_refuses_aLendersWrongKey(uint256 key) public {
        key = _anyKeyBut(key, LENDER_KEY);
        _assertRefused(_signed(_terms(), key, BORROWER_KEY), ICreditAggregator.InvalidLenderSignature.selector);
    }

    function testFuzz_refuses_aBorrowersWrongKey(uint256 key) public {
        key = _anyKeyBut(key, BORROWER_KEY);
        _assertRefused(_signed(_terms(), LENDER_KEY, key), ICreditAggregator.InvalidBorrowerSignature.selector);
    }

    /// @dev Any one member of the terms changed after the lender signed. The borrower signs the changed terms, so that
    /// the lender's signature alone stands in the way.
    function testFuzz_refuses_termsChangedAfterTheLenderSigned(uint256 member, uint256 change) public {
        bytes memory lenderSignature = _sign(LENDER_KEY, _hashOfTerms(_terms()));
        ICreditAggregator.LoanTerms memory terms = _changed(_terms(), member, change);
        Settlement memory s = _signed(terms, STRANGER_KEY, terms.borrower == stranger ? STRANGER_KEY : BORROWER_KEY);
        s.lenderSignature = lenderSignature;
        _assertRefused(s, ICreditAggregator.InvalidLenderSignature.selector);
    }

    /// @dev The same, with a lender that would sign anything: the borrower's consent alone stands in the way.
    function testFuzz_refuses_termsChangedAfterTheBorrowerAccepted(uint256 member, uint256 change) public {
        Settlement memory s = _signed(_terms());
        s.terms = _changed(_terms(), member, change);
        s.lenderSignature = _sign(s.terms.lender == lender ? LENDER_KEY : STRANGER_KEY, _hashOfTerms(s.terms));
        _assertRefused(
            s,
            abi.encodeWithSelector(
                ICreditAggregator.AcceptanceOfOtherTerms.selector, _hashOfTerms(s.terms), s.acceptance.termsHash
            )
        );

        // Correcting the hash in the acceptance does not help: the borrower signed the hash.
        s.acceptance.termsHash = _hashOfTerms(s.terms);
        s.acceptance.borrower = s.terms.borrower;
        _assertRefused(s, ICreditAggregator.InvalidBorrowerSignature.selector);
    }

    function testFuzz_refuses_anAcceptanceChangedAfterItWasSigned(uint256 nonce, uint256 deadline) public {
        Settlement memory s = _signed(_terms());
        if (deadline < NOW) deadline += NOW;
        vm.assume(nonce != s.acceptance.nonce || deadline != s.acceptance.deadline);
        (s.acceptance.nonce, s.acceptance.deadline) = (nonce, deadline);
        _assertRefused(s, ICreditAggregator.InvalidBorrowerSignature.selector);
    }

    function testFuzz_refuses_moreThanTheLenderApproved(uint256 approved) public {
        approved %= PRINCIPAL;
        vm.prank(lender);
        usd.approve(address(aggregator), approved);
        _assertRefused(
            _signed(_terms()),
            abi.encodeWithSignature(
                "ERC20InsufficientAllowance(address,uint256,uint256)", address(aggregator), approved, PRINCIPAL
            )
        );
    }

    function testFuzz_refuses_moreThanTheLenderHas(uint256 principal) public {
        ICreditAggregator.LoanTerms memory terms = _terms();
        terms.principal = FUNDS + 1 + principal % (type(uint256).max - FUNDS);
        terms.totalRepayable = type(uint256).max;
        _assertRefused(
            _signed(terms),
            abi.encodeWithSignature(
                "ERC20InsufficientBalance(address,uint256,uint256)", lender, FUNDS, terms.principal
            )
        );
    }

    function testFuzz_takesNoncesInAnyOrder(uint256 first, uint256 second) public {
        vm.assume(first != second);
        uint256[2] memory nonces = [first, second];
        for (uint256 i = 0; i < 2; i++) {
            ICreditAggregator.LoanTerms memory terms = _terms();
            (terms.loanReference, terms.nonce) = (keccak256(abi.encode(i)), nonces[i]);
            ICreditAggregator.Acceptance memory acceptance = _acceptanceOf(terms);
            acceptance.nonce = nonces[i];
            vm.assertEq(_settle(_signed(terms, acceptance, LENDER_KEY, BORROWER_KEY)), i + 1, "offer id");
        }
        vm.assertEq(usd.balanceOf(borrower), 2 * PRINCIPAL, "borrower");
    }

    function _anyKeyBut(uint256 key, uint256 excluded) private pure returns (uint256) {
        key = 1 + key % (ORDER - 1);
        vm.assume(key != excluded);
        return key;
    }

    /// @dev One member gets another value under which the terms are still fit to settle; the stranger and a second
    /// token are made fit for it.
    function _changed(ICreditAggregator.LoanTerms memory terms, uint256 member, uint256 change)
        private
        returns (ICreditAggregator.LoanTerms memory)
    {
        member %= 10;
        change = 1 + change % 1e6;
        if (member == 0) terms.loanReference = bytes32(uint256(terms.loanReference) ^ change);
        if (member == 1) terms.lender = _fitLender();
        if (member == 2) terms.borrower = stranger;
        if (member == 3) terms.token = _fitToken();
        if (member == 4) terms.principal -= change;
        if (member == 5) terms.totalRepayable += change;
        if (member == 6) terms.aprBps += uint32(change);
        if (member == 7) terms.termMonths += uint32(change);
        if (member == 8) terms.nonce += change;
        if (member == 9) terms.deadline += change;
        return terms;
    }

    function _fitLender() private returns (address) {
        vm.prank(OWNER);
        aggregator.setProvider(stranger, true);
        return stranger;
    }

    function _fitToken() private returns (address) {
        vm.prank(OWNER);
        aggregator.setToken(address(this), true);
        return address(this);
    }
}
