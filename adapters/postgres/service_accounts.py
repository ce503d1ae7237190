"""Programs that call the API: their accounts, and their keys, of which only hashes are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.postgres import idempotency, sealed_answers
from adapters.postgres.database import Database, Transaction
from adapters.postgres.security_log import note
from adapters.postgres.sessions import SLACK, revoke
from models.domain.accounts import APIKey, KeyHolder, ServiceAccount
from models.domain.credentials import Credential, CredentialKind
from models.domain.errors import Conflict, NotFound
from models.domain.ids import new_id
from models.domain.writes import StoredAnswer, WriteKey

# More keys than anybody rotates at once; a list stays readable.
MOST_OPEN_KEYS: Final = 10
# Their last use is written no more often than this.
USE_NOTED_EVERY: Final = timedelta(minutes=1)


class PostgresServiceAccounts:
    """Makes, lists, rotates and revokes; and knows whose a key is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        write: WriteKey,
        name: str,
        roles: Sequence[str],
        answer: Callable[[ServiceAccount], StoredAnswer],
    ) -> StoredAnswer:
        """A new service account, without a key."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            row = await tx.row(
                "INSERT INTO service_accounts (tenant_id, service_account_id, name, roles,"
                " created_by) VALUES ($1, $2, $3, $4, $5) RETURNING *",
                tx.tenant_id, new_id("svc"), name, list(roles), write.subject,
            )  # fmt: skip
            made = _service_account(row)
            detail = {"roles": list(roles)}
            await note(
                tx, write.subject, "service_account.created", made.service_account_id, detail
            )
            given = answer(made)
            await idempotency.answer(tx, write, given)
        return given

    async def all(self, tenant_id: str, limit: int) -> tuple[ServiceAccount, ...]:
        """The tenant's service accounts, the newest first."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(
                "SELECT * FROM service_accounts WHERE tenant_id = $1"
                " ORDER BY created_at DESC LIMIT $2",
                tenant_id, limit,
            )  # fmt: skip
        return tuple(_service_account(row) for row in rows)

    async def keys(self, tenant_id: str, service_account_id: str) -> tuple[APIKey, ...]:
        """An account's keys, the newest first; raises NotFound."""
        async with self._database.transaction(tenant_id) as tx:
            await _refuse_unknown(tx, service_account_id)
            rows = await tx.rows(
                "SELECT * FROM api_keys WHERE tenant_id = $1 AND service_account_id = $2"
                " ORDER BY created_at DESC LIMIT 100",
                tenant_id, service_account_id,
            )  # fmt: skip
        return tuple(_api_key(row) for row in rows)

    async def create_key(
        self,
        write: WriteKey,
        service_account_id: str,
        scopes: Sequence[str] | None,
        lasts: timedelta,
        answer: Callable[[APIKey, Credential], StoredAnswer],
    ) -> StoredAnswer:
        """A new key, told once; raises NotFound or Conflict TOO_MANY_KEYS."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await sealed_answers.reserve(tx, write)) is not None:
                return earlier
            await _refuse_unknown(tx, service_account_id)
            key = await _insert_key(tx, service_account_id, scopes, lasts, write.subject)
            given = answer(*key)
            await sealed_answers.answer(tx, write, given)
        return given

    async def rotate_key(
        self,
        write: WriteKey,
        service_account_id: str,
        key_id: str,
        lasts: timedelta,
        overlap: timedelta,
        answer: Callable[[APIKey, Credential], StoredAnswer],
    ) -> tuple[StoredAnswer, datetime | None]:
        """A key with the same scopes takes another's place, which stays good for `overlap`.

        Returns also until when the old key's revocation matters, if it ended at once. Raises
        NotFound, or Conflict API_KEY_NOT_OPEN for a key that is revoked, expired or replaced.
        """
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await sealed_answers.reserve(tx, write)) is not None:
                return earlier, None
            old = await _open_key(tx, service_account_id, key_id)
            made, secret = await _insert_key(
                tx, service_account_id, old["scopes"], lasts, write.subject
            )
            row = await tx.row(
                "UPDATE api_keys SET replaced_by = $3,"
                " expires_at = least(expires_at, clock_timestamp() + $4)"
                " WHERE tenant_id = $1 AND key_id = $2"
                " RETURNING expires_at + $5 AS until",
                tx.tenant_id, key_id, made.key_id, overlap, SLACK,
            )  # fmt: skip
            if not overlap:
                await revoke(tx, [key_id], row["until"])
            detail = {"replaced_by": made.key_id, "overlap_s": int(overlap.total_seconds())}
            await note(tx, write.subject, "api_key.rotated", key_id, detail)
            given = answer(made, secret)
            await sealed_answers.answer(tx, write, given)
        return given, None if overlap else row["until"]

    async def revoke_key(
        self,
        write: WriteKey,
        service_account_id: str,
        key_id: str,
        answer: Callable[[APIKey], StoredAnswer],
    ) -> tuple[StoredAnswer, datetime | None]:
        """End a key; returns also until when that matters. Ending it again changes nothing."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier, None
            row = await tx.row(
                "UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp())"
                " WHERE tenant_id = $1 AND service_account_id = $2 AND key_id = $3"
                " RETURNING *, clock_timestamp() + $4 AS until",
                tx.tenant_id, service_account_id, key_id, SLACK,
            )  # fmt: skip
            if row is None:
                raise NotFound("API_KEY_UNKNOWN")
            await revoke(tx, [key_id], row["until"])
            await note(tx, write.subject, "api_key.revoked", key_id, {})
            given = answer(_api_key(row))
            await idempotency.answer(tx, write, given)
        return given, row["until"]

    async def holder(self, key: Credential) -> KeyHolder | None:
        """Whose a key is; None unless it is good. That it was used is noted, once a minute."""
        async with self._database.transaction(key.tenant_id) as tx:
            row = await tx.row(
                "SELECT k.key_hash, k.scopes, k.expires_at, a.service_account_id, a.roles,"
                " k.last_used_at IS NULL OR clock_timestamp() - k.last_used_at > $3 AS unnoted"
                " FROM api_keys k JOIN service_accounts a ON a.tenant_id = k.tenant_id"
                " AND a.service_account_id = k.service_account_id"
                " WHERE k.tenant_id = $1 AND k.key_id = $2 AND k.revoked_at IS NULL"
                " AND k.expires_at > clock_timestamp()",
                key.tenant_id, key.named_id, USE_NOTED_EVERY,
            )  # fmt: skip
            # Hashes of 256 random bits: how long the comparison takes tells nothing of use.
            if row is None or row["key_hash"] != key.fingerprint:
                return None
            if row["unnoted"]:
                await tx.execute(
                    "UPDATE api_keys SET last_used_at = clock_timestamp()"
                    " WHERE tenant_id = $1 AND key_id = $2",
                    key.tenant_id, key.named_id,
                )  # fmt: skip
        return KeyHolder(
            key.tenant_id,
            row["service_account_id"],
            key.named_id,
            tuple(row["roles"]),
            None if row["scopes"] is None else tuple(row["scopes"]),
            row["expires_at"],
        )


async def _refuse_unknown(tx: Transaction, service_account_id: str) -> None:
    known = await tx.value(
        "SELECT true FROM service_accounts WHERE tenant_id = $1 AND service_account_id = $2",
        tx.tenant_id, service_account_id,
    )  # fmt: skip
    if not known:
        raise NotFound("SERVICE_ACCOUNT_UNKNOWN")


async def _open_key(tx: Transaction, service_account_id: str, key_id: str) -> Any:
    row = await tx.row(
        "SELECT scopes, revoked_at IS NULL AND replaced_by IS NULL"
        " AND expires_at > clock_timestamp() AS open FROM api_keys"
        " WHERE tenant_id = $1 AND service_account_id = $2 AND key_id = $3 FOR UPDATE",
        tx.tenant_id, service_account_id, key_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("API_KEY_UNKNOWN")
    if not row["open"]:
        raise Conflict("API_KEY_NOT_OPEN")
    return row


async def _insert_key(
    tx: Transaction, service_account_id: str, scopes: Sequence[str] | None, lasts: timedelta,
    actor: str,
) -> tuple[APIKey, Credential]:  # fmt: skip
    lock = f"api_keys|{tx.tenant_id}|{service_account_id}"
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock)
    open_ones = await tx.value(
        "SELECT count(*) FROM api_keys WHERE tenant_id = $1 AND service_account_id = $2"
        " AND revoked_at IS NULL AND expires_at > clock_timestamp()",
        tx.tenant_id, service_account_id,
    )  # fmt: skip
    if open_ones >= MOST_OPEN_KEYS:
        raise Conflict("TOO_MANY_KEYS")
    secret = Credential.new(CredentialKind.API_KEY, tx.tenant_id)
    row = await tx.row(
        "INSERT INTO api_keys (tenant_id, key_id, service_account_id, key_hash, scopes, created_by,"
        " expires_at) VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7) RETURNING *",
        tx.tenant_id, secret.named_id, service_account_id, secret.fingerprint,
        None if scopes is None else list(scopes), actor, lasts,
    )  # fmt: skip
    detail = {"service_account_id": service_account_id}
    await note(tx, actor, "api_key.created", secret.named_id, detail)
    return _api_key(row), secret


def _service_account(row: Any) -> ServiceAccount:
    return ServiceAccount(
        row["service_account_id"],
        row["name"],
        tuple(row["roles"]),
        row["created_by"],
        row["created_at"],
    )


def _api_key(row: Any) -> APIKey:
    return APIKey(
        row["key_id"],
        f"{CredentialKind.API_KEY}~{row['tenant_id']}~{row['key_id']}",
        None if row["scopes"] is None else tuple(row["scopes"]),
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
        row["last_used_at"],
    )
