"""People's sealed data: a data key per person, wrapped by the tenant's key."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

from adapters.postgres.database import Transaction
from adapters.vault import decrypt, encrypt, new_key
from models.domain.application import Applicant
from models.domain.errors import NotFound

T = TypeVar("T")

_SUBJECTS = "subjects"


class SealedPerson:
    """Seals and opens what belongs to one person, within one transaction."""

    def __init__(self, tenant_id: str, user_id: str, key: bytes) -> None:
        self._tenant_id = tenant_id
        self._user_id = user_id
        self._key = key

    def seal(self, shape: TypeAdapter[T], value: T, place: str) -> bytes:
        """Seal a value for one place (`table.column/row`); it opens nowhere else."""
        return encrypt(self._key, shape.dump_json(value), self._context(place))

    def open(self, shape: TypeAdapter[T], sealed: bytes, place: str) -> T:
        """Open what `seal` made for the same place; raises Undecipherable."""
        return shape.validate_json(decrypt(self._key, sealed, self._context(place)))

    def _context(self, place: str) -> str:
        return f"{place}|{self._tenant_id}|{self._user_id}"


APPLICANT = TypeAdapter(Applicant)


async def person(tx: Transaction, user_id: str, *, create: bool = False) -> SealedPerson:
    """The person's key; NotFound when there is none, or when it was destroyed."""
    if create:
        wrapped = tx.keyring.seal(tx.tenant_id, _SUBJECTS, new_key(), _key_context(tx, user_id))
        await tx.execute(
            "INSERT INTO subject_keys (tenant_id, user_id, key_id, wrapped_key)"
            " VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, user_id) DO NOTHING",
            tx.tenant_id, user_id, tx.keyring.current, wrapped,
        )  # fmt: skip
    row = await tx.row(
        "SELECT key_id, wrapped_key FROM subject_keys WHERE tenant_id = $1 AND user_id = $2",
        tx.tenant_id, user_id,
    )  # fmt: skip
    return _unwrapped(tx, user_id, row)


def _unwrapped(tx: Transaction, user_id: str, row: Any) -> SealedPerson:
    if row is None or row["wrapped_key"] is None:
        raise NotFound("PERSON_UNKNOWN")
    key = tx.keyring.open(
        tx.tenant_id, _SUBJECTS, row["key_id"], row["wrapped_key"], _key_context(tx, user_id)
    )
    return SealedPerson(tx.tenant_id, user_id, key)


async def applicant(tx: Transaction, application_id: str) -> Applicant:
    """The person behind an application; raises NotFound."""
    row = await tx.row(
        "SELECT user_id, sealed_applicant, key_id, wrapped_key FROM applications"
        " LEFT JOIN subject_keys USING (tenant_id, user_id)"
        " WHERE tenant_id = $1 AND application_id = $2",
        tx.tenant_id, application_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("APPLICATION_UNKNOWN")
    sealed = _unwrapped(tx, row["user_id"], row)
    return sealed.open(APPLICANT, row["sealed_applicant"], applicant_place(application_id))


def applicant_place(application_id: str) -> str:
    """Where an applicant's data is sealed for."""
    return f"applications.sealed_applicant/{application_id}"


def _key_context(tx: Transaction, user_id: str) -> str:
    return f"subject_keys.wrapped_key|{tx.tenant_id}|{user_id}"
