// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ICreditAggregator} from "./ICreditAggregator.sol";

/// @title What a credit pool promises
/// @notice Liquidity providers deposit one token and hold shares (ERC-4626). The pool lends through one aggregator: it
/// answers for terms that one of its underwriters signed (ERC-1271), within limits that its owner set.
/// Amounts are units of the token, rates are basis points a year, terms are months, PD is in parts per million.
interface ICreditPool is IERC4626, IERC1271 {
    /// @notice What an underwriter may sign. Checked again when a loan settles, against what the pool has lent by then.
    /// @param maxPrincipal Most that one loan may lend.
    /// @param maxOutstanding Most that all loans together may have out.
    /// @param minAprBps Lowest APR; the interest must be worth it as well, see `refusalOf`.
    /// @param maxTermMonths Longest term.
    struct Limits {
        uint256 maxPrincipal;
        uint256 maxOutstanding;
        uint32 minAprBps;
        uint32 maxTermMonths;
    }

    /// @notice How the pool prices a loan, see `nominalRateBps`. Each member is at most its whole: 10,000 or 1,000,000.
    /// @param baseRateBps What an idle pool asks of a borrower who cannot fail.
    /// @param utilisationSlopeBps Added in full when everything is lent, in proportion before.
    /// @param lossGivenDefaultBps Share of a loan that is lost when its borrower fails; times PD, the yearly risk margin.
    /// @param maxPdPpm Highest probability of default that is priced at all.
    struct RateCurve {
        uint32 baseRateBps;
        uint32 utilisationSlopeBps;
        uint32 lossGivenDefaultBps;
        uint32 maxPdPpm;
    }

    /// @notice All that an outsider needs to price a loan, read in one call and so of one block.
    struct Standing {
        uint256 blockNumber;
        address aggregator;
        address asset;
        bool paused;
        uint256 idle;
        uint256 outstanding;
        uint256 totalAssets;
        Limits limits;
        RateCurve curve;
    }

    /// @notice Why the pool does not answer for terms; `None` when it would, once an underwriter has signed them.
    enum Refusal {
        None,
        Paused,
        OtherLender,
        OtherToken,
        PrincipalAboveLimit,
        OutstandingAboveLimit,
        TermOutOfRange,
        AprBelowMinimum,
        InterestBelowMinimum
    }

    event CurveSet(RateCurve curve);
    event LimitsSet(Limits limits);
    event LoanRepaid(uint256 indexed offerId, address indexed payer, uint256 principal, uint256 gain);
    event LoanWrittenOff(uint256 indexed offerId, uint256 loss);
    event UnderwriterSet(address indexed underwriter, bool authorized);

    error CurveOutOfRange();
    error NotALoanOfThisPool(uint256 offerId);
    error ZeroAddress();

    /// @notice Whether this pool lends on the terms whose aggregator digest is `hash`.
    /// @dev Reverts for a signature whose terms do not decode; whoever follows ERC-1271 reads that as a no.
    /// @param hash The EIP-712 digest of `LoanTerms` in the domain of `aggregator`, of no other type or domain.
    /// @param signature `abi.encode(LoanTerms)` (320 bytes) and the underwriter's ECDSA signature over `hash` (65 bytes).
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4 magicValue);

    /// @notice What speaks against these terms now.
    /// @dev Interest is at least principal × minAprBps × (termMonths + 1) / 240,000, rounded up: what level payments at
    /// that rate cost to first order, from below. So a stated APR that the cash flows do not bear is refused.
    function refusalOf(ICreditAggregator.LoanTerms calldata terms) external view returns (Refusal);

    /// @notice baseRate + utilisationSlope × (outstanding + principal) / totalAssets + lossGivenDefault × PD, both
    /// products rounded up in the pool's favour.
    function nominalRateBps(uint256 principal, uint256 pdPpm) external view returns (uint256);

    /// @notice Anyone pays for a loan of this pool: the principal first, everything beyond it is gain for the shares.
    function repay(uint256 offerId, uint256 units) external;

    /// @notice Owner: what is not repaid of the loan's principal is lost; the shares are worth that much less.
    function writeOff(uint256 offerId) external;

    /// @notice Owner: burns a nonce of this pool at the aggregator, so that nothing signed with it can be settled.
    function cancelNonce(uint256 nonce) external;

    /// @notice Owner: lets this account sign terms, or stops it; what it signed and nobody settled is void with it.
    function setUnderwriter(address underwriter, bool authorized) external;

    function setLimits(Limits calldata limits) external;

    function setCurve(RateCurve calldata curve) external;

    /// @notice Owner: stops lending and deposits. Withdrawals and repayments go on.
    function pause() external;

    function unpause() external;

    /// @notice Where the pool stands now.
    function standing() external view returns (Standing memory);

    /// @notice Tokens that can be lent or withdrawn now.
    function idle() external view returns (uint256);

    /// @notice Principal that is lent, neither repaid nor written off.
    function outstanding() external view returns (uint256);

    /// @notice The one contract that may draw on this pool.
    function aggregator() external view returns (ICreditAggregator);

    function underwriters(address account) external view returns (bool authorized);

    /// @notice Of this loan's principal, what was repaid or written off.
    function accountedFor(uint256 offerId) external view returns (uint256 units);
}
