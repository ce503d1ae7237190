"""Personas read from their files: who applies, what happens along the way, and how it ends.

    about           one sentence
    tenant, user_id whose they are
    application     the body of `POST /api/v1/applications`, without the wallet
    counterparties  steering rules by counterparty (counterparties/steering.py), told beforehand;
                    "lenders" stands for each of them
    steps           what the person and the operators do, in this order (journey.py)
    ends_in         the state, and the reasons the applicant reads, in their order

In rules `$borrower` (the wallet's address), `$document_number`, `$national_id` and `$user_id` stand
for the person's own, so a rule meets nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

PERSONAS: Final = Path(__file__).parent / "personas"
LENDERS: Final = "lenders"


class UnknownPersonaError(Exception):
    """There is no such persona."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Document(_Shape):
    """A document the applicant shows."""

    kind: str
    number: str
    country: str


class Step(_Shape):
    """One thing somebody does, as soon as the application looks like `when`.

    `by` and `role` name the operator; without them it is the applicant's step. Operators' steps
    wait for a review of theirs to be open, and the applicant's answer for a question.
    """

    do: Literal[
        "accept", "withdraw", "provide_information", "apply_again", "wait",
        "approve", "reject", "request_information", "reassign",
    ]  # fmt: skip
    when: dict[str, Any] = {}
    by: str = ""
    role: str = ""
    reason: str = ""
    provider: str | None = None  # accept: whose offer; the best one otherwise
    assignee: str = ""
    items: tuple[str, ...] = ()
    message: str = ""
    answers: tuple[dict[str, str], ...] = ()
    document: Document | None = None


class Ending(_Shape):
    """How an application ends."""

    state: str
    reasons: tuple[str, ...] = ()


class Persona(_Shape):
    """One invented person with what happens to the application."""

    name: str
    about: str
    tenant: str
    user_id: str
    application: dict[str, Any]
    counterparties: dict[str, tuple[dict[str, Any], ...]] = {}
    steps: Annotated[tuple[Step, ...], Field(max_length=20)]
    ends_in: Ending

    @property
    def data(self) -> dict[str, Any]:
        """Whose they are, and what they state."""
        return {"tenant": self.tenant, "user_id": self.user_id, **self.application}

    def as_another(self, tenant: str, user_id: str) -> Persona:
        """The same story of another person, with a document of their own.

        National ids stay: what the bureau knows depends on them.
        """
        application = json.loads(json.dumps(self.application))
        document = application["applicant"]["document"]
        document["number"] = f"{document['number']}-{user_id[-12:].upper()}"
        changed = {"tenant": tenant, "user_id": user_id, "application": application}
        return self.model_copy(update=changed)

    def rules(self, borrower: str, lenders: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """What each counterparty is to be told, for the person whose wallet is `borrower`."""
        applicant = self.application["applicant"]
        own = {
            "borrower": borrower,
            "document_number": applicant["document"]["number"],
            "national_id": applicant["national_id"],
            "user_id": self.user_id,
        }
        told: dict[str, list[dict[str, Any]]] = {}
        for name, rules in self.counterparties.items():
            for counterparty in lenders if name == LENDERS else (name,):
                told.setdefault(counterparty, []).extend(_filled(rule, own) for rule in rules)
        return told


def read_persona(name: str) -> Persona:
    """A persona; UnknownPersonaError lists those there are."""
    # Only a listed file is read: a name is never made into a path.
    known = {path.stem: path for path in PERSONAS.glob("*.json")}
    if name not in known:
        listed = ", ".join(sorted(known))
        raise UnknownPersonaError(f"there is no persona {name!r}; there are: {listed}")
    return Persona(name=name, **json.loads(known[name].read_text("utf-8")))


def persona_names() -> list[str]:
    """All personas, by name."""
    return sorted(path.stem for path in PERSONAS.glob("*.json"))


def _filled(value: Any, own: Mapping[str, str]) -> Any:
    """The value with placeholders replaced in every text; KeyError for an unknown one."""
    if isinstance(value, str):
        return Template(value).substitute(own)
    if isinstance(value, Mapping):
        return {name: _filled(each, own) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, own) for each in value]
    return value
