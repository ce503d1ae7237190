"""Invitations: how staff gets in; the address is sealed, and goes once it is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from adapters.postgres import sealed_answers
from adapters.postgres.database import Database, Transaction
from adapters.postgres.security_log import note
from models.domain.accounts import Invitation, SignUp
from models.domain.credentials import Credential, CredentialKind
from models.domain.errors import Conflict, NotFound
from models.domain.writes import StoredAnswer, WriteKey

_PURPOSE: Final = "invitations"
_STATE: Final = (
    "CASE WHEN accepted_at IS NOT NULL THEN 'accepted' WHEN revoked_at IS NOT NULL THEN 'revoked'"
    " WHEN expires_at <= clock_timestamp() THEN 'expired' ELSE 'open' END AS state"
)


class PostgresInvitations:
    """Asks people to become staff, and takes it back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def invite(
        self,
        write: WriteKey,
        email: str,
        roles: Sequence[str],
        lasts: timedelta,
        index: str,
        answer: Callable[[Invitation, Credential], StoredAnswer],
    ) -> StoredAnswer:
        """A new invitation with its code, which is told once; the kept answer is sealed."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await sealed_answers.reserve(tx, write)) is not None:
                return earlier
            code = Credential.new(CredentialKind.INVITATION, write.tenant_id)
            made = await self._insert(tx, code, email, roles, lasts, index, write.subject)
            given = answer(made, code)
            await sealed_answers.answer(tx, write, given)
        return given

    async def invite_by_hand(
        self, tenant_id: str, email: str, roles: Sequence[str], lasts: timedelta, index: str,
        operator: str,
    ) -> Credential:  # fmt: skip
        """As `invite`, by an operator at a terminal."""
        code = Credential.new(CredentialKind.INVITATION, tenant_id)
        async with self._database.transaction(tenant_id) as tx:
            await self._insert(tx, code, email, roles, lasts, index, operator)
        return code

    async def all(self, tenant_id: str, limit: int) -> tuple[Invitation, ...]:
        """The tenant's invitations, the newest first."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(
                f"SELECT *, {_STATE} FROM invitations WHERE tenant_id = $1"  # noqa: S608 - ours
                " ORDER BY created_at DESC LIMIT $2",
                tenant_id, limit,
            )  # fmt: skip
            return tuple(_invitation(tx, row) for row in rows)

    async def revoke(
        self, write: WriteKey, invitation_id: str, answer: Callable[[Invitation], StoredAnswer]
    ) -> StoredAnswer:
        """Take an open invitation back; raises NotFound or Conflict INVITATION_NOT_OPEN."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await sealed_answers.reserve(tx, write)) is not None:
                return earlier
            row = await _locked(tx, invitation_id)
            if row is None:
                raise NotFound("INVITATION_UNKNOWN")
            if row["state"] != "open":
                raise Conflict("INVITATION_NOT_OPEN")
            await tx.execute(
                "UPDATE invitations SET revoked_at = clock_timestamp(), sealed_email = NULL"
                " WHERE tenant_id = $1 AND invitation_id = $2",
                tx.tenant_id, invitation_id,
            )  # fmt: skip
            await note(tx, write.subject, "invitation.revoked", invitation_id, {})
            row = await _locked(tx, invitation_id)
            given = answer(_invitation(tx, row))
            await sealed_answers.answer(tx, write, given)
        return given

    async def _insert(
        self, tx: Transaction, code: Credential, email: str, roles: Sequence[str],
        lasts: timedelta, index: str, actor: str,
    ) -> Invitation:  # fmt: skip
        sealed = tx.keyring.seal(tx.tenant_id, _PURPOSE, email.encode(), _context(code.named_id))
        row = await tx.row(
            "INSERT INTO invitations (tenant_id, invitation_id, code_hash, login_index, key_id,"  # noqa: S608
            " sealed_email, roles, invited_by, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9)"
            f" RETURNING *, {_STATE}",
            tx.tenant_id, code.named_id, code.fingerprint, index, tx.keyring.current, sealed,
            list(roles), actor, lasts,
        )  # fmt: skip
        await note(tx, actor, "invitation.made", code.named_id, {"roles": list(roles)})
        return _invitation(tx, row)


async def accept(
    tx: Transaction, sign_up: SignUp, user_id: str, indexes: Sequence[str]
) -> tuple[str, ...]:
    """The roles an invitation gives to whom it was meant for; it is used up by that.

    Raises Conflict INVITATION_NOT_OPEN for one that is not, that is wrong or somebody else's.
    """
    code = Credential.read(CredentialKind.INVITATION, sign_up.invitation or "")
    row = await _locked(tx, code.named_id) if code and code.tenant_id == tx.tenant_id else None
    if (
        code is None
        or row is None
        or row["code_hash"] != code.fingerprint
        or row["login_index"] not in indexes
        or row["state"] != "open"
    ):
        raise Conflict("INVITATION_NOT_OPEN")
    await tx.execute(
        "UPDATE invitations SET accepted_at = clock_timestamp(), accepted_by = $3,"
        " sealed_email = NULL WHERE tenant_id = $1 AND invitation_id = $2",
        tx.tenant_id, code.named_id, user_id,
    )  # fmt: skip
    await note(tx, user_id, "invitation.accepted", code.named_id, {"roles": row["roles"]})
    return tuple(row["roles"])


async def _locked(tx: Transaction, invitation_id: str) -> Any:
    return await tx.row(
        f"SELECT *, {_STATE} FROM invitations"  # noqa: S608 - our own words
        " WHERE tenant_id = $1 AND invitation_id = $2 FOR UPDATE",
        tx.tenant_id, invitation_id,
    )  # fmt: skip


def _invitation(tx: Transaction, row: Any) -> Invitation:
    email = None
    if row["sealed_email"] is not None:
        place = _context(row["invitation_id"])
        email = tx.keyring.open(
            tx.tenant_id, _PURPOSE, row["key_id"], row["sealed_email"], place
        ).decode()
    return Invitation(
        row["invitation_id"],
        email,
        tuple(row["roles"]),
        row["state"],
        row["invited_by"],
        row["created_at"],
        row["expires_at"],
    )


def _context(invitation_id: str) -> str:
    return f"invitations.sealed_email|{invitation_id}"
