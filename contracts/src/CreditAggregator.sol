// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ICreditAggregator} from "./interfaces/ICreditAggregator.sol";

/// @title Settles accepted credit offers, each application once and for ever
/// @notice Principal goes from lender to borrower in one transfer; this contract never holds it and takes no fee.
/// @dev Every operation has one order: require, state, transfer, check, event.
///
/// Assumed, and written down in the README of this directory:
/// - the owner lists only plain ERC-20 tokens: no fee on transfer, no rebasing, no way to move balances inside a transfer;
/// - the owner authorises only providers it knows, and a provider guards its key;
/// - whoever reads `Disbursed` compares borrower, token and principal with what was agreed, not the reference alone.
contract CreditAggregator is ICreditAggregator, Ownable2Step, Pausable, ReentrancyGuard, EIP712 {
    using SafeERC20 for IERC20;

    /// @notice EIP-712 type of what the lender signs.
    bytes32 public constant LOAN_TERMS_TYPEHASH = keccak256(
        "LoanTerms(bytes32 loanReference,address lender,address borrower,address token,uint256 principal,uint256 totalRepayable,uint32 aprBps,uint32 termMonths,uint256 nonce,uint256 deadline)"
    );

    /// @notice EIP-712 type of what the borrower signs.
    bytes32 public constant ACCEPTANCE_TYPEHASH =
        keccak256("Acceptance(bytes32 termsHash,address borrower,uint256 nonce,uint256 deadline)");

    /// @inheritdoc ICreditAggregator
    uint256 public offerCount;

    /// @inheritdoc ICreditAggregator
    mapping(address borrower => uint256[] offerIds) public userOffers;

    /// @inheritdoc ICreditAggregator
    mapping(address provider => bool authorized) public authorizedProviders;

    /// @inheritdoc ICreditAggregator
    mapping(address token => bool allowed) public allowedTokens;

    /// @inheritdoc ICreditAggregator
    mapping(address signer => mapping(uint256 nonce => bool used)) public nonceUsed;

    /// @inheritdoc ICreditAggregator
    mapping(bytes32 loanReference => uint256 offerId) public offerOf;

    mapping(uint256 offerId => CreditOffer offer) private _offers;

    /// @param initialOwner May authorise providers and tokens, and pause; a multi-signature account in production.
    constructor(address initialOwner) Ownable(initialOwner) EIP712("CreditAggregator", "1") {}

    /* SETTLEMENT */

    /// @inheritdoc ICreditAggregator
    function settle(
        LoanTerms calldata terms,
        bytes calldata lenderSignature,
        Acceptance calldata acceptance,
        bytes calldata borrowerSignature
    ) external whenNotPaused nonReentrant returns (uint256 offerId) {
        bytes32 termsHash = hashTerms(terms);

        _requireUnsettled(terms.loanReference);
        _requireLendable(terms.lender, terms.borrower, terms.token, terms.principal);
        if (terms.totalRepayable < terms.principal) {
            revert RepayableBelowPrincipal(terms.totalRepayable, terms.principal);
        }
        if (acceptance.termsHash != termsHash) revert AcceptanceOfOtherTerms(termsHash, acceptance.termsHash);
        if (acceptance.borrower != terms.borrower) revert BorrowerMismatch(terms.borrower, acceptance.borrower);
        _requireNotPassed(terms.deadline);
        _requireNotPassed(acceptance.deadline);
        _requireUnusedNonce(terms.lender, terms.nonce);
        _requireUnusedNonce(terms.borrower, acceptance.nonce);
        if (!_isSignedBy(terms.lender, termsHash, lenderSignature)) revert InvalidLenderSignature();
        if (!_isSignedBy(terms.borrower, _hashAcceptance(acceptance), borrowerSignature)) {
            revert InvalidBorrowerSignature();
        }

        nonceUsed[terms.lender][terms.nonce] = true;
        nonceUsed[terms.borrower][acceptance.nonce] = true;
        offerId = _recordTerms(terms, termsHash);
        offerOf[terms.loanReference] = offerId;

        _disburse(terms.token, terms.lender, terms.borrower, terms.principal);

        emit OfferCreated(offerId, terms.lender);
        emit OfferAccepted(offerId, terms.borrower);
        emit Disbursed(terms.loanReference, offerId, terms.borrower, terms.lender, terms.token, terms.principal);
    }

    /* OFFERS MADE AND ACCEPTED BY THE PARTIES THEMSELVES */

    /// @inheritdoc ICreditAggregator
    function createOffer(
        address borrower,
        uint256 amount,
        uint32 interestRate,
        uint32 duration,
        uint256 collateralAmount,
        address collateralToken,
        bytes32 loanReference,
        address token,
        uint256 deadline
    ) external whenNotPaused returns (uint256 offerId) {
        _requireUnsettled(loanReference);
        _requireLendable(msg.sender, borrower, token, amount);
        if (collateralAmount != 0 || collateralToken != address(0)) revert CollateralNotSupported();
        _requireNotPassed(deadline);

        offerId = ++offerCount;
        CreditOffer storage offer = _offers[offerId];
        offer.provider = msg.sender;
        offer.interestRate = interestRate;
        offer.duration = duration;
        offer.status = OfferStatus.Open;
        offer.borrower = borrower;
        offer.deadline = _saturated(deadline);
        offer.amount = amount;
        offer.token = token;
        offer.loanReference = loanReference;
        userOffers[borrower].push(offerId);

        emit OfferCreated(offerId, msg.sender);
    }

    /// @inheritdoc ICreditAggregator
    function acceptOffer(uint256 offerId) external whenNotPaused nonReentrant {
        CreditOffer storage offer = _offers[offerId];
        (address provider, address token, uint256 amount) = (offer.provider, offer.token, offer.amount);
        bytes32 loanReference = offer.loanReference;

        if (offer.status != OfferStatus.Open) revert OfferNotOpen(offerId, offer.status);
        if (msg.sender != offer.borrower) revert NotOfferBorrower(msg.sender);
        _requireUnsettled(loanReference);
        // The owner may have withdrawn its trust in the provider or the token since the offer was made.
        _requireLendable(provider, msg.sender, token, amount);
        _requireNotPassed(offer.deadline);

        offer.status = OfferStatus.Accepted;
        offerOf[loanReference] = offerId;

        _disburse(token, provider, msg.sender, amount);

        emit OfferAccepted(offerId, msg.sender);
        emit Disbursed(loanReference, offerId, msg.sender, provider, token, amount);
    }

    /// @inheritdoc ICreditAggregator
    function cancelOffer(uint256 offerId) external {
        CreditOffer storage offer = _offers[offerId];

        if (offer.status != OfferStatus.Open) revert OfferNotOpen(offerId, offer.status);
        if (msg.sender != offer.provider) revert NotOfferProvider(msg.sender);

        offer.status = OfferStatus.Cancelled;

        emit OfferCancelled(offerId, msg.sender);
    }

    /// @inheritdoc ICreditAggregator
    function cancelNonce(uint256 nonce) external {
        _requireUnusedNonce(msg.sender, nonce);

        nonceUsed[msg.sender][nonce] = true;

        emit NonceCancelled(msg.sender, nonce);
    }

    /* ADMINISTRATION */

    /// @inheritdoc ICreditAggregator
    function setProvider(address provider, bool authorized) external onlyOwner {
        if (provider == address(0)) revert ZeroAddress();

        authorizedProviders[provider] = authorized;

        emit ProviderSet(provider, authorized);
    }

    /// @inheritdoc ICreditAggregator
    function setToken(address token, bool allowed) external onlyOwner {
        if (allowed && token.code.length == 0) revert TokenWithoutCode(token);

        allowedTokens[token] = allowed;

        emit TokenSet(token, allowed);
    }

    /// @inheritdoc ICreditAggregator
    function pause() external onlyOwner {
        _pause();
    }

    /// @inheritdoc ICreditAggregator
    function unpause() external onlyOwner {
        _unpause();
    }

    /* VIEWS */

    /// @inheritdoc ICreditAggregator
    function isSettled(bytes32 loanReference) external view returns (bool) {
        return offerOf[loanReference] != 0;
    }

    /// @inheritdoc ICreditAggregator
    function offers(uint256 offerId) external view returns (CreditOffer memory) {
        return _offers[offerId];
    }

    /// @inheritdoc ICreditAggregator
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc ICreditAggregator
    function referenceOf(string calldata tenant, string calldata applicationId) external pure returns (bytes32) {
        return keccak256(abi.encode("caas/v1", tenant, applicationId, "disburse"));
    }

    /// @inheritdoc ICreditAggregator
    function hashTerms(LoanTerms calldata terms) public pure returns (bytes32) {
        // All members are static, so encoding the struct is encoding its members one after another.
        return keccak256(abi.encode(LOAN_TERMS_TYPEHASH, terms));
    }

    /* REQUIREMENTS AND EFFECTS SHARED BY BOTH PATHS */

    function _requireUnsettled(bytes32 loanReference) private view {
        if (loanReference == bytes32(0)) revert ZeroReference();
        uint256 offerId = offerOf[loanReference];
        if (offerId != 0) revert ReferenceAlreadySettled(loanReference, offerId);
    }

    function _requireLendable(address lender, address borrower, address token, uint256 principal) private view {
        if (!authorizedProviders[lender]) revert ProviderNotAuthorized(lender);
        if (borrower == address(0) || borrower == lender) revert InvalidBorrower(borrower);
        if (!allowedTokens[token]) revert TokenNotAllowed(token);
        if (principal == 0) revert ZeroPrincipal();
    }

    function _requireNotPassed(uint256 deadline) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline);
    }

    function _requireUnusedNonce(address signer, uint256 nonce) private view {
        if (nonceUsed[signer][nonce]) revert NonceAlreadyUsed(signer, nonce);
    }

    function _isSignedBy(address signer, bytes32 structHash, bytes calldata signature) private view returns (bool) {
        return SignatureChecker.isValidSignatureNowCalldata(signer, _hashTypedDataV4(structHash), signature);
    }

    function _hashAcceptance(Acceptance calldata acceptance) private pure returns (bytes32) {
        return keccak256(abi.encode(ACCEPTANCE_TYPEHASH, acceptance));
    }

    /// @dev Writes the offer of signed terms, accepted from the start. Collateral stays at its zero default.
    function _recordTerms(LoanTerms calldata terms, bytes32 termsHash) private returns (uint256 offerId) {
        offerId = ++offerCount;
        CreditOffer storage offer = _offers[offerId];
        offer.provider = terms.lender;
        offer.interestRate = terms.aprBps;
        offer.duration = terms.termMonths;
        offer.status = OfferStatus.Accepted;
        offer.borrower = terms.borrower;
        offer.deadline = _saturated(terms.deadline);
        offer.amount = terms.principal;
        offer.token = terms.token;
        offer.loanReference = terms.loanReference;
        offer.termsHash = termsHash;
        userOffers[terms.borrower].push(offerId);
    }

    /// @dev Moves the principal and insists that exactly the principal left the lender and reached the borrower.
    function _disburse(address token, address lender, address borrower, uint256 principal) private {
        uint256 lenderBefore = IERC20(token).balanceOf(lender);
        uint256 borrowerBefore = IERC20(token).balanceOf(borrower);

        IERC20(token).safeTransferFrom(lender, borrower, principal);

        uint256 paid = Math.saturatingSub(lenderBefore, IERC20(token).balanceOf(lender));
        if (paid != principal) revert DisbursementMismatch(lender, principal, paid);
        uint256 received = Math.saturatingSub(IERC20(token).balanceOf(borrower), borrowerBefore);
        if (received != principal) revert DisbursementMismatch(borrower, principal, received);
    }

    /// @dev 2^64 - 1 seconds lie beyond any block, so the recorded deadline means the same as the given one.
    function _saturated(uint256 deadline) private pure returns (uint64) {
        return uint64(Math.min(deadline, type(uint64).max));
    }
}
