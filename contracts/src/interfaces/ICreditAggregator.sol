// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the credit aggregator promises
/// @notice Amounts are integers in the token's smallest unit, rates are basis points a year, terms are months,
/// deadlines are Unix seconds and inclusive: a deadline of `t` still holds in a block whose timestamp is `t`.
interface ICreditAggregator {
    /// @notice Life of an offer. `Accepted` and `Cancelled` are final; `None` is an id nobody has used.
    enum OfferStatus {
        None,
        Open,
        Accepted,
        Cancelled
    }

    /// @notice What a lender signs (EIP-712).
    /// @param loanReference The application's settlement key, see `referenceOf`; never zero, settled at most once.
    /// @param lender Pays the principal: an authorised provider's account, or its contract (ERC-1271).
    /// @param borrower Receives the principal, all of it.
    /// @param token An allow-listed ERC-20.
    /// @param principal Units of `token` that move; more than zero.
    /// @param totalRepayable Units of `token` the borrower will owe over the whole term; at least `principal`.
    /// @param aprBps Annual percentage rate in basis points, as disclosed to the borrower. Recorded, not computed with.
    /// @param termMonths Length of the loan in months. Recorded, not computed with.
    /// @param nonce Any number this lender has not used yet; the order is free.
    /// @param deadline Last moment at which these terms may be settled.
    struct LoanTerms {
        bytes32 loanReference;
        address lender;
        address borrower;
        address token;
        uint256 principal;
        uint256 totalRepayable;
        uint32 aprBps;
        uint32 termMonths;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice What a borrower signs (EIP-712).
    /// @param termsHash `hashTerms` of the one set of terms this accepts.
    /// @param borrower The signer; must be the borrower of the terms.
    /// @param nonce Any number this borrower has not used yet; the order is free.
    /// @param deadline Last moment at which the acceptance may be used.
    struct Acceptance {
        bytes32 termsHash;
        address borrower;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice An offer as recorded; members are ordered to share storage slots.
    /// @param provider The lender.
    /// @param interestRate Basis points a year.
    /// @param duration Months.
    /// @param status Where the offer stands.
    /// @param borrower The only account that may accept it.
    /// @param deadline Last moment for acceptance, Unix seconds; anything above 2^64 - 1 is recorded as 2^64 - 1.
    /// @param amount Principal in units of `token`.
    /// @param token What is lent.
    /// @param loanReference The application's settlement key.
    /// @param termsHash `hashTerms` of the signed terms; zero for an offer made with `createOffer`, where nothing is signed.
    /// @param collateralAmount Always zero: collateral is not supported.
    /// @param collateralToken Always the zero address: collateral is not supported.
    struct CreditOffer {
        address provider;
        uint32 interestRate;
        uint32 duration;
        OfferStatus status;
        address borrower;
        uint64 deadline;
        uint256 amount;
        address token;
        bytes32 loanReference;
        bytes32 termsHash;
        uint256 collateralAmount;
        address collateralToken;
    }

    event OfferCreated(uint256 indexed offerId, address indexed provider);
    event OfferAccepted(uint256 indexed offerId, address indexed borrower);
    event OfferCancelled(uint256 indexed offerId, address indexed provider);
    /// @notice `principal` units of `token` moved from `lender` to `borrower`. Emitted once per `loanReference`, for ever.
    event Disbursed(
        bytes32 indexed loanReference,
        uint256 indexed offerId,
        address indexed borrower,
        address lender,
        address token,
        uint256 principal
    );
    event NonceCancelled(address indexed signer, uint256 nonce);
    event ProviderSet(address indexed provider, bool authorized);
    event TokenSet(address indexed token, bool allowed);

    error AcceptanceOfOtherTerms(bytes32 expected, bytes32 given);
    error BorrowerMismatch(address expected, address given);
    error CollateralNotSupported();
    error DeadlinePassed(uint256 deadline);
    /// @notice The token moved another amount at `account` than the principal, as one with transfer fees does.
    error DisbursementMismatch(address account, uint256 expected, uint256 actual);
    error InvalidBorrower(address borrower);
    error InvalidBorrowerSignature();
    error InvalidLenderSignature();
    error NonceAlreadyUsed(address signer, uint256 nonce);
    error NotOfferBorrower(address caller);
    error NotOfferProvider(address caller);
    error OfferNotOpen(uint256 offerId, OfferStatus status);
    error ProviderNotAuthorized(address provider);
    error ReferenceAlreadySettled(bytes32 loanReference, uint256 offerId);
    error RepayableBelowPrincipal(uint256 totalRepayable, uint256 principal);
    error TokenNotAllowed(address token);
    error TokenWithoutCode(address token);
    error ZeroAddress();
    error ZeroPrincipal();
    error ZeroReference();

    /// @notice Creates and accepts an offer and pays the principal from lender to borrower, all or nothing.
    /// @dev Anyone may relay. Every amount and every recipient is under both signatures, so the relayer chooses only when.
    /// A reference that was settled before is refused before anything else is looked at: a relayer that repeats itself
    /// always reads `ReferenceAlreadySettled`, even when nonces are used and deadlines have passed.
    /// @param terms Terms signed by `terms.lender`, which has approved this contract for at least the principal.
    /// @param lenderSignature ECDSA (65 bytes, low s) over the terms, or what the lender's contract accepts (ERC-1271).
    /// @param acceptance The borrower's consent to exactly these terms.
    /// @param borrowerSignature As above, over the acceptance.
    /// @return offerId The id of the recorded offer, above zero.
    function settle(
        LoanTerms calldata terms,
        bytes calldata lenderSignature,
        Acceptance calldata acceptance,
        bytes calldata borrowerSignature
    ) external returns (uint256 offerId);

    /// @notice Records an offer by the calling provider. No token moves before the borrower accepts.
    /// @dev Does not reserve the reference: several providers may offer for one application, one of them is accepted.
    /// @param borrower The only account that may accept.
    /// @param amount Principal in units of `token`, more than zero.
    /// @param interestRate Basis points a year. Recorded, not computed with.
    /// @param duration Months. Recorded, not computed with.
    /// @param collateralAmount Must be zero.
    /// @param collateralToken Must be the zero address.
    /// @param loanReference The application's settlement key, not yet settled.
    /// @param token An allow-listed ERC-20.
    /// @param deadline Last moment for acceptance.
    /// @return offerId The id of the recorded offer, above zero.
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
    ) external returns (uint256 offerId);

    /// @notice The offer's borrower accepts, and the principal moves from the provider to the borrower.
    function acceptOffer(uint256 offerId) external;

    /// @notice The offer's provider withdraws an open offer; works while paused and after the provider lost its permission.
    function cancelOffer(uint256 offerId) external;

    /// @notice The caller burns one of its own nonces, so that nothing signed with it can be settled; works while paused.
    function cancelNonce(uint256 nonce) external;

    /// @notice Owner: lets `provider` lend here, or stops it from doing so again. Settled loans are untouched.
    function setProvider(address provider, bool authorized) external;

    /// @notice Owner: lets `token` be lent here, or stops it from being lent again.
    function setToken(address token, bool allowed) external;

    /// @notice Owner: stops `settle`, `createOffer` and `acceptOffer`.
    function pause() external;

    /// @notice Owner: lets them go on.
    function unpause() external;

    /// @notice Whether money has moved for this reference, on either path.
    function isSettled(bytes32 loanReference) external view returns (bool);

    /// @notice The offer that settled this reference; zero if none did.
    function offerOf(bytes32 loanReference) external view returns (uint256 offerId);

    /// @notice The recorded offer; all zero for an unused id.
    function offers(uint256 offerId) external view returns (CreditOffer memory);

    /// @notice The `index`-th offer made to this borrower.
    function userOffers(address borrower, uint256 index) external view returns (uint256 offerId);

    /// @notice The id given out last; ids are 1, 2, 3, …
    function offerCount() external view returns (uint256);

    function authorizedProviders(address provider) external view returns (bool);

    function allowedTokens(address token) external view returns (bool);

    /// @notice Whether this signer has settled with, or cancelled, this nonce.
    function nonceUsed(address signer, uint256 nonce) external view returns (bool);

    /// @notice EIP-712 `hashStruct` of the terms, without the domain.
    function hashTerms(LoanTerms calldata terms) external pure returns (bytes32);

    /// @notice keccak256(abi.encode("caas/v1", tenant, applicationId, "disburse")): one per application, everywhere.
    function referenceOf(string calldata tenant, string calldata applicationId) external pure returns (bytes32);

    /// @notice EIP-712 domain separator: name "CreditAggregator", version "1", this chain, this contract.
    function domainSeparator() external view returns (bytes32);
}
