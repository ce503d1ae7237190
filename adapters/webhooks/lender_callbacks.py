"""Lenders' signed callbacks: whose they are, whether they are theirs, and what they say.

The secrets lie with the lender's other credentials, as `callback_secret` and, while one replaces
another, `former_callback_secret`; adapters never see them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from adapters.credential_vault import CredentialRef, CredentialVault
from adapters.postgres import providers_reading
from adapters.postgres.database import PLATFORM, Database
from adapters.postgres.lender_callbacks import PostgresLenderCallbacks
from adapters.providers.assembly import Told
from adapters.strict_json import parse_object
from adapters.webhooks.signature import callback_secrets, verify_callback
from models.domain.errors import Invalid, NotFound
from models.domain.ids import is_name
from models.domain.lender_callback import CallbackOutcome, LenderCallback, LenderCallbackType

CALLBACK_MALFORMED: Final = "CALLBACK_MALFORMED"

_Id = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._\-]{1,128}$")]


class _Message(BaseModel):
    """A lender's message; fields beyond these are ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    event_id: _Id
    tenant: _Id
    type: LenderCallbackType
    sequence: Annotated[int, Field(strict=True, ge=0, lt=2**53)]
    quote_id: _Id | None = None


class LenderCallbacks:
    """Takes callbacks of registered lenders, and of `configured` ones with these credentials."""

    def __init__(
        self,
        database: Database,
        vault: CredentialVault,
        configured: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._database = database
        self._records = PostgresLenderCallbacks(database)
        self._vault = vault
        found = {name: callback_secrets(told) for name, told in configured.items()}
        self._configured = {name: secrets for name, secrets in found.items() if secrets}

    @classmethod
    def of(cls, database: Database, vault: CredentialVault, told: Iterable[Told]) -> Self:
        """With the lenders of the configuration."""
        secrets = {
            each.provider_id: {n: s.get_secret_value() for n, s in each.credentials.items()}
            for each in told
        }
        return cls(database, vault, secrets)

    async def receive(
        self, provider_id: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> CallbackOutcome:
        """Verify, keep once, apply once; a repetition is answered as the first was.

        Raises NotFound for a lender that is unknown or shares no secret, Invalid as
        `verify_callback` does, and Invalid CALLBACK_MALFORMED. A forged one is on the audit trail.
        """
        tenant_id = _tenant_of(body)
        owner, secrets = await self._secrets(tenant_id, provider_id)
        try:
            verify_callback(secrets, headers, body, now)
        except Invalid as error:
            await self._records.refused(owner, provider_id, error.code)
            raise
        tenant_id, callback = parse_lender_callback(body)
        return await self._records.store(tenant_id, owner, provider_id, callback)

    async def _secrets(
        self, tenant_id: str | None, provider_id: str
    ) -> tuple[str, tuple[bytes, ...]]:
        """Whose lender it is, and what it signs with; the tenant is only a hint until verified."""
        if provider_id in self._configured:
            return PLATFORM, self._configured[provider_id]
        if tenant_id is None:
            raise NotFound("VENDOR_UNKNOWN")
        async with self._database.transaction(tenant_id) as tx:
            stored = await providers_reading.one(tx, provider_id)
        if stored is None:
            raise NotFound("VENDOR_UNKNOWN")
        owner = stored.record.tenant_id
        async with self._database.transaction(owner) as tx:
            stored = await providers_reading.one(tx, provider_id)
        if stored is None or stored.kept is None or stored.record.credential is None:
            raise NotFound("VENDOR_UNKNOWN")
        ref = CredentialRef(owner, provider_id, stored.record.credential.version)
        secrets = callback_secrets(await self._vault.open(ref, stored.kept))
        if not secrets:
            raise NotFound("VENDOR_UNKNOWN")
        return owner, secrets


def parse_lender_callback(body: bytes) -> tuple[str, LenderCallback]:
    """The tenant and what is told, of a callback whose signature was verified before.

    Raises Invalid CALLBACK_MALFORMED, naming the field at most.
    """
    try:
        message = _Message.model_validate(parse_object(body))
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Invalid(CALLBACK_MALFORMED, field) from None
    except ValueError as error:
        raise Invalid(CALLBACK_MALFORMED, str(error)) from None
    kind = message.type
    about_a_quote = not kind.startswith("provider.")
    if not is_name(message.tenant) or about_a_quote is (message.quote_id is None):
        raise Invalid(CALLBACK_MALFORMED, "quote_id" if is_name(message.tenant) else "tenant")
    return message.tenant, LenderCallback(
        message.event_id, kind, message.sequence, message.quote_id
    )


def _tenant_of(body: bytes) -> str | None:
    """The tenant a body names, before anything is known of it."""
    try:
        named = parse_object(body).get("tenant")
    except ValueError:
        return None
    return named if isinstance(named, str) and is_name(named) else None
