"""Sign-ins and what came of them: refresh tokens that work once, and what was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.postgres.database import Database, Transaction
from adapters.postgres.security_log import note
from models.domain.accounts import AccountStatus
from models.domain.credentials import Credential
from models.domain.ids import PLATFORM

# Longer than clocks differ and than any process takes to hear of a revocation.
SLACK: Final = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last: a refresh token unused, a session however much it is used."""

    access: timedelta
    refresh: timedelta
    session: timedelta


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """What a session gives now: to whom, as what, and how much longer its next token lasts.

    `scopes` None: nothing narrows the roles.
    """

    session_id: str
    user_id: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] | None
    refresh_expires_in_s: int


@dataclass(frozen=True, slots=True)
class SessionReused:
    """A refresh token came a second time: one of the two had no right to it, so all is revoked."""

    session_id: str
    revoked_until: datetime


class PostgresSessions:
    """Opens, renews and ends sessions."""

    def __init__(self, database: Database, lifetimes: Lifetimes) -> None:
        self._database = database
        self._lifetimes = lifetimes

    async def open(
        self,
        user_id: str,
        roles: Sequence[str],
        scopes: Sequence[str] | None,
        first: Credential,
    ) -> SessionGrant | None:
        """A new session, with its first refresh token; None if the account was just suspended."""
        lives = self._lifetimes
        async with self._database.transaction(first.tenant_id) as tx:
            status = await tx.value(
                "SELECT status FROM users WHERE tenant_id = $1 AND user_id = $2 FOR SHARE",
                tx.tenant_id, user_id,
            )  # fmt: skip
            if status != AccountStatus.ACTIVE:
                return None
            await _forget_old(tx, user_id)
            await tx.execute(
                "INSERT INTO sessions (tenant_id, session_id, user_id, scopes, expires_at)"
                " VALUES ($1, $2, $3, $4, clock_timestamp() + $5)",
                tx.tenant_id, first.named_id, user_id,
                None if scopes is None else list(scopes), lives.session,
            )  # fmt: skip
            lasts_s = await self._keep(tx, first)
            await note(tx, user_id, "session.opened", first.named_id, {"roles": list(roles)})
        kept = None if scopes is None else tuple(scopes)
        return SessionGrant(first.named_id, user_id, tuple(roles), kept, lasts_s)

    async def renew(
        self, shown: Credential, following: Credential
    ) -> SessionGrant | SessionReused | None:
        """Exchange a refresh token for the following one; None where it opens nothing.

        Of several exchanges of the same token at once, one succeeds: the row decides. The others
        find it used, and that ends the session for everybody.
        """
        async with self._database.transaction(shown.tenant_id) as tx:
            used = await tx.execute(
                "UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE tenant_id = $1"
                " AND token_hash = $2 AND used_at IS NULL AND expires_at > clock_timestamp()",
                tx.tenant_id, shown.fingerprint,
            )  # fmt: skip
            if not used:
                return await self._judge_refused(tx, shown)
            row = await tx.row(
                "SELECT s.user_id, s.scopes, u.roles FROM sessions s"
                " JOIN users u ON u.tenant_id = s.tenant_id AND u.user_id = s.user_id"
                " WHERE s.tenant_id = $1 AND s.session_id = $2 AND s.revoked_at IS NULL"
                " AND s.expires_at > clock_timestamp() AND u.status = $3",
                tx.tenant_id, shown.named_id, AccountStatus.ACTIVE,
            )  # fmt: skip
            if row is None:
                return None
            lasts_s = await self._keep(tx, following)
        scopes = None if row["scopes"] is None else tuple(row["scopes"])
        return SessionGrant(shown.named_id, row["user_id"], tuple(row["roles"]), scopes, lasts_s)

    async def end(
        self, tenant_id: str, subject: str, revoked_ids: Sequence[str], expires_at: datetime
    ) -> datetime:
        """Log out: the session if there is one of this subject, and everything named.

        Returns until when the revocation has to be remembered. Doing it again changes nothing.
        """
        async with self._database.transaction(tenant_id) as tx:
            mine = await tx.rows(
                "SELECT session_id FROM sessions WHERE tenant_id = $1 AND user_id = $2"
                " AND session_id = ANY($3) AND revoked_at IS NULL ORDER BY session_id FOR UPDATE",
                tenant_id, subject, list(revoked_ids),
            )  # fmt: skip
            until: datetime = await tx.value(
                "SELECT greatest($1::timestamptz, clock_timestamp() + $2) + $3",
                expires_at, self._lifetimes.access, SLACK,
            )  # fmt: skip
            for row in mine:
                await _revoke_session(tx, row["session_id"], subject, "logout", until)
            await revoke(tx, revoked_ids, until)
        return until

    async def _judge_refused(self, tx: Transaction, shown: Credential) -> SessionReused | None:
        """Why a token was not exchanged: used before, or simply none."""
        row = await tx.row(
            "SELECT s.user_id, s.revoked_at, clock_timestamp() + $3 AS until FROM refresh_tokens r"
            " JOIN sessions s ON s.tenant_id = r.tenant_id AND s.session_id = r.session_id"
            " WHERE r.tenant_id = $1 AND r.token_hash = $2 AND r.used_at IS NOT NULL"
            " FOR UPDATE OF s",
            tx.tenant_id, shown.fingerprint, self._lifetimes.access + SLACK,
        )  # fmt: skip
        if row is None:
            return None
        if row["revoked_at"] is None:
            await _revoke_session(tx, shown.named_id, row["user_id"], "reuse", row["until"])
        return SessionReused(shown.named_id, row["until"])

    async def _keep(self, tx: Transaction, token: Credential) -> int:
        """Keep a refresh token's hash; it lasts no longer than its session."""
        lasts: int = await tx.value(
            "INSERT INTO refresh_tokens (tenant_id, token_hash, session_id, expires_at)"
            " SELECT $1, $2, $3, least(clock_timestamp() + $4, expires_at) FROM sessions"
            " WHERE tenant_id = $1 AND session_id = $3"
            " RETURNING extract(epoch FROM expires_at - clock_timestamp())::bigint",
            tx.tenant_id, token.fingerprint, token.named_id, self._lifetimes.refresh,
        )  # fmt: skip
        return lasts


async def end_all(tx: Transaction, user_id: str, because: str, access: timedelta) -> list[str]:
    """End every session of somebody; returns their ids."""
    rows = await tx.rows(
        "SELECT session_id, clock_timestamp() + $3 AS until FROM sessions"
        " WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL"
        " ORDER BY session_id FOR UPDATE",
        tx.tenant_id, user_id, access + SLACK,
    )  # fmt: skip
    for row in rows:
        await _revoke_session(tx, row["session_id"], user_id, because, row["until"])
    return [row["session_id"] for row in rows]


async def revoke(tx: Transaction, revoked_ids: Sequence[str], until: datetime) -> None:
    """Write down what opens nothing any more; every process reads it within about a second."""
    await tx.execute(
        "INSERT INTO revocations (tenant_id, revoked_id, expires_at)"
        " SELECT $1, each, $3 FROM unnest($2::text[]) AS each"
        " ON CONFLICT (tenant_id, revoked_id) DO UPDATE"
        " SET expires_at = greatest(revocations.expires_at, excluded.expires_at)",
        tx.tenant_id, list(revoked_ids), until,
    )  # fmt: skip
    await tx.execute(
        "DELETE FROM revocations WHERE tenant_id = $1 AND revoked_id IN ("
        "SELECT revoked_id FROM revocations WHERE tenant_id = $1"
        " AND expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED)",
        tx.tenant_id,
    )


async def recent_revocations(
    database: Database, since: datetime
) -> list[tuple[str, datetime, datetime]]:
    """(id, when revoked, until when it matters) of every tenant's since then."""
    async with database.transaction(PLATFORM) as tx:
        rows: list[Any] = await tx.rows(
            "SELECT revoked_id, revoked_at, expires_at FROM revocations"
            " WHERE revoked_at > $1 AND expires_at > clock_timestamp() ORDER BY revoked_at",
            since,
        )
    return [(row["revoked_id"], row["revoked_at"], row["expires_at"]) for row in rows]


async def _revoke_session(
    tx: Transaction, session_id: str, actor: str, because: str, until: datetime
) -> None:
    await tx.execute(
        "UPDATE sessions SET revoked_at = clock_timestamp(), revoked_because = $3"
        " WHERE tenant_id = $1 AND session_id = $2",
        tx.tenant_id, session_id, because,
    )  # fmt: skip
    await revoke(tx, [session_id], until)
    await note(tx, actor, "session.revoked", session_id, {"because": because})


async def _forget_old(tx: Transaction, user_id: str) -> None:
    """Sessions of this person that ended by themselves; their tokens are refused either way."""
    await tx.execute(
        "WITH old AS (DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2"
        " AND expires_at < clock_timestamp() RETURNING session_id)"
        " DELETE FROM refresh_tokens r USING old WHERE r.tenant_id = $1"
        " AND r.session_id = old.session_id",
        tx.tenant_id, user_id,
    )  # fmt: skip
