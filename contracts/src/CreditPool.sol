// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626, IERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ICreditAggregator} from "./interfaces/ICreditAggregator.sol";
import {ICreditPool} from "./interfaces/ICreditPool.sol";

/// @title A pool of liquidity providers that lends through a credit aggregator
/// @notice Tokens leave in three ways: withdrawn against shares, drawn by the aggregator for a loan this pool answered
/// for, and no third.
/// @dev The aggregator cannot tell a lender that it drew, so loans are not counted but read off: `_booked` is what the
/// shares are worth, and what of it is not here is lent. A plain transfer to the pool is therefore a gift that covers
/// loans; it belongs to no share.
///
/// Assumed, and written down in the README of this directory: the token is a plain ERC-20, and the aggregator is the
/// one whose sources lie beside this file.
contract CreditPool is ICreditPool, ERC4626, Ownable2Step, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /// @dev Ten static members, one word each.
    uint256 private constant TERMS_BYTES = 320;
    uint256 private constant SIGNATURE_BYTES = TERMS_BYTES + 65;
    uint256 private constant BPS = 10_000;
    uint256 private constant PPM = 1_000_000;
    /// @dev Months in a year, twice, in basis points: see `refusalOf`.
    uint256 private constant INTEREST_SCALE = 2 * 12 * BPS;

    /// @inheritdoc ICreditPool
    ICreditAggregator public immutable aggregator;

    /// @inheritdoc ICreditPool
    mapping(address account => bool authorized) public underwriters;

    /// @inheritdoc ICreditPool
    mapping(uint256 offerId => uint256 units) public accountedFor;

    Limits private _limits;
    RateCurve private _curve;

    /// @dev Deposits and gains, less withdrawals and losses: the tokens here and the principal that is out.
    uint256 private _booked;

    /// @param initialOwner Sets limits and underwriters; a multi-signature account in production.
    constructor(IERC20 token, ICreditAggregator aggregator_, address initialOwner, Limits memory limits, RateCurve memory curve)
        ERC20("Credit Pool Share", "CPS")
        ERC4626(token)
        Ownable(initialOwner)
    {
        aggregator = aggregator_;
        _setLimits(limits);
        _setCurve(curve);
        token.forceApprove(address(aggregator_), type(uint256).max);
    }

    /* LENDING */

    /// @inheritdoc ICreditPool
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != SIGNATURE_BYTES) return 0xffffffff;
        ICreditAggregator.LoanTerms memory terms =
            abi.decode(signature[:TERMS_BYTES], (ICreditAggregator.LoanTerms));

        // The hash must be of these very terms, or the limits below would be held against others than are settled.
        bytes32 digest = MessageHashUtils.toTypedDataHash(aggregator.domainSeparator(), aggregator.hashTerms(terms));
        if (hash != digest) return 0xffffffff;
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(hash, signature[TERMS_BYTES:]);
        if (problem != ECDSA.RecoverError.NoError || !underwriters[signer]) return 0xffffffff;
        if (_refusalOf(terms) != Refusal.None) return 0xffffffff;

        return IERC1271.isValidSignature.selector;
    }

    /// @inheritdoc ICreditPool
    function refusalOf(ICreditAggregator.LoanTerms calldata terms) external view returns (Refusal) {
        return _refusalOf(terms);
    }

    /// @inheritdoc ICreditPool
    function repay(uint256 offerId, uint256 units) external nonReentrant {
        uint256 principal = Math.min(units, _unaccountedFor(offerId));
        uint256 gain = units - principal;

        accountedFor[offerId] += principal;
        _booked += gain;

        IERC20(asset()).safeTransferFrom(msg.sender, address(this), units);

        emit LoanRepaid(offerId, msg.sender, principal, gain);
    }

    /* ADMINISTRATION */

    /// @inheritdoc ICreditPool
    function writeOff(uint256 offerId) external onlyOwner {
        uint256 loss = _unaccountedFor(offerId);

        accountedFor[offerId] += loss;
        // Gifts may have let providers withdraw what this loan still owed; then there is less left to lose.
        _booked = Math.saturatingSub(_booked, loss);

        emit LoanWrittenOff(offerId, loss);
    }

    /// @inheritdoc ICreditPool
    function cancelNonce(uint256 nonce) external onlyOwner {
        aggregator.cancelNonce(nonce);
    }

    /// @inheritdoc ICreditPool
    function setUnderwriter(address underwriter, bool authorized) external onlyOwner {
        if (underwriter == address(0)) revert ZeroAddress();

        underwriters[underwriter] = authorized;

        emit UnderwriterSet(underwriter, authorized);
    }

    /// @inheritdoc ICreditPool
    function setLimits(Limits calldata limits) external onlyOwner {
        _setLimits(limits);
    }

    /// @inheritdoc ICreditPool
    function setCurve(RateCurve calldata curve) external onlyOwner {
        _setCurve(curve);
    }

    /// @inheritdoc ICreditPool
    function pause() external onlyOwner {
        _pause();
    }

    /// @inheritdoc ICreditPool
    function unpause() external onlyOwner {
        _unpause();
    }

    /* VIEWS */

    /// @inheritdoc ICreditPool
    function standing() external view returns (Standing memory) {
        return Standing({
            blockNumber: block.number,
            aggregator: address(aggregator),
            asset: asset(),
            paused: paused(),
            idle: idle(),
            outstanding: outstanding(),
            totalAssets: _booked,
            limits: _limits,
            curve: _curve
        });
    }

    /// @inheritdoc ICreditPool
    function nominalRateBps(uint256 principal, uint256 pdPpm) external view returns (uint256) {
        // Never below one, so that an empty pool answers with a rate instead of a division by zero.
        uint256 whole = Math.max(_booked, 1);
        uint256 utilised = Math.min(outstanding() + principal, whole);
        return _curve.baseRateBps
            + Math.mulDiv(_curve.utilisationSlopeBps, utilised, whole, Math.Rounding.Ceil)
            + Math.mulDiv(_curve.lossGivenDefaultBps, pdPpm, PPM, Math.Rounding.Ceil);
    }

    /// @inheritdoc ICreditPool
    function idle() public view returns (uint256) {
        return Math.min(_balance(), _booked);
    }

    /// @inheritdoc ICreditPool
    function outstanding() public view returns (uint256) {
        return Math.saturatingSub(_booked, _balance());
    }

    /// @inheritdoc IERC4626
    function totalAssets() public view override(ERC4626, IERC4626) returns (uint256) {
        return _booked;
    }

    /// @inheritdoc IERC4626
    function maxDeposit(address) public view override(ERC4626, IERC4626) returns (uint256) {
        return paused() ? 0 : type(uint256).max;
    }

    /// @inheritdoc IERC4626
    function maxMint(address) public view override(ERC4626, IERC4626) returns (uint256) {
        return paused() ? 0 : type(uint256).max;
    }

    /// @inheritdoc IERC4626
    /// @dev What is lent cannot be withdrawn before it is repaid; first come, first served until then.
    function maxRedeem(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        return Math.min(balanceOf(owner), convertToShares(idle()));
    }

    /* INTERNALS */

    function _refusalOf(ICreditAggregator.LoanTerms memory terms) private view returns (Refusal) {
        Limits memory limits = _limits;
        if (paused()) return Refusal.Paused;
        if (terms.lender != address(this)) return Refusal.OtherLender;
        if (terms.token != asset()) return Refusal.OtherToken;
        if (terms.principal > limits.maxPrincipal) return Refusal.PrincipalAboveLimit;
        // Compared by subtraction: a limit near the largest number must not overflow.
        if (terms.principal > Math.saturatingSub(limits.maxOutstanding, outstanding())) {
            return Refusal.OutstandingAboveLimit;
        }
        if (terms.termMonths == 0 || terms.termMonths > limits.maxTermMonths) return Refusal.TermOutOfRange;
        if (terms.aprBps < limits.minAprBps) return Refusal.AprBelowMinimum;
        uint256 leastInterest = Math.mulDiv(
            terms.principal,
            uint256(limits.minAprBps) * (uint256(terms.termMonths) + 1),
            INTEREST_SCALE,
            Math.Rounding.Ceil
        );
        if (Math.saturatingSub(terms.totalRepayable, terms.principal) < leastInterest) {
            return Refusal.InterestBelowMinimum;
        }
        return Refusal.None;
    }

    /// @dev The principal of a loan of this pool that is neither repaid nor written off.
    function _unaccountedFor(uint256 offerId) private view returns (uint256) {
        ICreditAggregator.CreditOffer memory offer = aggregator.offers(offerId);
        if (offer.provider != address(this) || offer.status != ICreditAggregator.OfferStatus.Accepted) {
            revert NotALoanOfThisPool(offerId);
        }
        return offer.amount - accountedFor[offerId];
    }

    function _setLimits(Limits memory limits) private {
        _limits = limits;

        emit LimitsSet(limits);
    }

    function _setCurve(RateCurve memory curve) private {
        if (
            curve.baseRateBps > BPS || curve.utilisationSlopeBps > BPS || curve.lossGivenDefaultBps > BPS
                || curve.maxPdPpm > PPM
        ) revert CurveOutOfRange();

        _curve = curve;

        emit CurveSet(curve);
    }

    function _balance() private view returns (uint256) {
        return IERC20(asset()).balanceOf(address(this));
    }

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override nonReentrant {
        super._deposit(caller, receiver, assets, shares);
        _booked += assets;
    }

    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
        nonReentrant
    {
        _booked -= assets;
        super._withdraw(caller, receiver, owner, assets, shares);
    }
}
