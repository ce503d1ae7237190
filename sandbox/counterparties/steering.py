"""Telling a counterparty how to behave: rules for requests, by what they contain and never by luck.

    POST   /steering            {"rules": [rule, …]}: add rules, or replace those of the same id
    GET    /steering            the rules, and how often each was passed over and took effect
    DELETE /steering            forget all rules
    DELETE /steering/{rule_id}  forget one

all under `Authorization: Bearer <steering_secret>`, the secret being part of the counterparty's
configuration; without it there is no steering. A rule:

    {"id": "ada-slow", "match": {"endpoint": "POST /v1/quotes", "field": "a.b.c", "equals": 5},
     "skip": 0, "times": 1, "do": {"slow_s": 3}}

`endpoint` is a route as the counterparty's own docstring lists it (null: any of them); `field` a
path into the request's JSON, or `path.<name>` for a part of the address; `equals` is compared by
type and value. A rule passes its first `skip` matching requests over and applies to the next
`times` of them (null: to all). The first applicable rule applies, alone, and is journaled as
`steered`. Rules and their counts are kept beside the journal, so a killed counterparty goes on.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.strict_json import parse_object
from sandbox.counterparties.answers import Refusal

MAX_RULES: Final = 10_000  # the longest soak knows a thousand faults
_MAX_MATCHED_BYTES: Final = 65_536  # what an endpoint reads at most; longer bodies match no field
_LONGEST_WAIT_S: Final = 3_600

_Seconds = Annotated[float, Field(ge=0, le=_LONGEST_WAIT_S, strict=False)]
_RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:\-]{1,200}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Match(_Shape):
    """Which requests are meant; all that is given must hold."""

    endpoint: str | None = None
    field: str | None = None
    equals: str | int | bool | None = None


class Directives(_Shape):
    """What to do. The first three come before anything is done; the next spoil the answer only."""

    slow_s: _Seconds | None = None  # wait, then go on
    hang_s: _Seconds | None = None  # do nothing, answer nothing; hang up after so long at most
    status: Annotated[int, Field(ge=400, le=599)] | None = None  # do nothing, answer this
    retry_after_s: Annotated[int, Field(ge=0, le=_LONGEST_WAIT_S)] | None = None  # beside `status`

    malformed: bool = False  # half of the JSON, as if it were whole
    huge_bytes: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None  # so long an answer
    drip_s: _Seconds | None = None  # a byte, a pause of so long, a byte, …
    cut_reply: bool = False  # hang up in the middle of the answer
    swallow_reply: bool = False  # hang up before the answer
    hang_reply_s: _Seconds | None = None  # done, but no answer for so long; then hang up

    # The identity vendor's: see identity_vendor.py.
    verdict: Literal["clear", "unclear", "rejected"] | None = None
    verdict_after_s: _Seconds | None = None
    callbacks: (
        tuple[Literal["verdict", "pending", "superseded", "forged", "wrong_verification_id"], ...]
        | None
    ) = Field(default=None, strict=False)
    copies: Annotated[int, Field(ge=1, le=50)] | None = None

    # The lenders': see bank.py, fintech.py.
    changed_terms: bool | dict[str, Any] | None = None
    validity_s: _Seconds | None = None
    duplicate_offers: bool | int | None = None


class Rule(_Shape):
    """One instruction."""

    id: _RuleId
    match: Match = Match()
    times: Annotated[int, Field(ge=1)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    do: Directives


class _Rules(_Shape):
    rules: Annotated[tuple[Rule, ...], Field(strict=False, max_length=MAX_RULES)]


@dataclass(slots=True)
class _Standing:
    """A rule and what became of it."""

    rule: Rule
    passed_over: int = 0
    took_effect: int = 0

    def shown(self) -> dict[str, Any]:
        told = self.rule.model_dump(mode="json", exclude_unset=True)
        return {**told, "passed_over": self.passed_over, "took_effect": self.took_effect}


class Steering:
    """The rules of one counterparty, and how often each was used; kept in `path`."""

    def __init__(self, secret: str, path: Path) -> None:
        self._secret = secret
        self._path = path
        self._standing: dict[str, _Standing] = {}
        if path.exists():
            for shown in json.loads(path.read_text("utf-8"))["rules"]:
                counts = {name: shown.pop(name) for name in ("passed_over", "took_effect")}
                rule = Rule.model_validate(shown)
                self._standing[rule.id] = _Standing(rule, **counts)

    def attach(self, app: Starlette) -> None:
        """Add the routes, and be found by every request of this application."""
        app.state.steering = self
        for path, method, endpoint in (
            ("/steering", "POST", self._add),
            ("/steering", "GET", self._show),
            ("/steering", "DELETE", self._forget),
            ("/steering/{rule_id}", "DELETE", self._forget),
        ):
            app.router.routes.append(Route(path, self._guarded(endpoint), methods=[method]))

    async def rule_for(self, endpoint: str, request: Request) -> Rule | None:
        """The rule that applies to this request; it is counted as having taken effect."""
        if not self._standing:
            return None
        content = _Content(await _short_body(request), request.path_params)
        # Nothing is awaited from here on: two requests at once never both take the last time.
        for standing in self._standing.values():
            rule = standing.rule
            spent = rule.times is not None and standing.took_effect >= rule.times
            if spent or not _matches(rule.match, endpoint, content):
                continue
            if standing.passed_over < rule.skip:
                standing.passed_over += 1
                self._keep()
                continue
            standing.took_effect += 1
            self._keep()
            return rule
        return None

    async def _add(self, request: Request) -> Response:
        try:
            rules = _Rules.model_validate(parse_object(await request.body())).rules
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise Refusal(400, "RULE_MALFORMED", f"field {field}") from None
        except ValueError as error:
            raise Refusal(400, "RULE_MALFORMED", str(error)) from None
        for rule in rules:
            known = self._standing.get(rule.id)
            if known is None or known.rule != rule:  # told twice is told once: the counts stay
                self._standing[rule.id] = _Standing(rule)
        self._keep()
        return self._shown(201)

    async def _show(self, _: Request) -> Response:
        return self._shown(200)

    async def _forget(self, request: Request) -> Response:
        rule_id = request.path_params.get("rule_id")
        if rule_id is None:
            self._standing.clear()
        elif self._standing.pop(rule_id, None) is None:
            raise Refusal(404, "RULE_UNKNOWN")
        self._keep()
        return self._shown(200)

    def _shown(self, status: int) -> Response:
        return JSONResponse({"rules": [each.shown() for each in self._standing.values()]}, status)

    def _guarded(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        expected = f"Bearer {self._secret}".encode()

        async def guarded(request: Request) -> Response:
            presented = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(presented, expected):
                return JSONResponse({"code": "UNAUTHENTICATED"}, 401)
            try:
                return await endpoint(request)
            except Refusal as refusal:
                shown = {"code": refusal.code, "message": refusal.message}
                return JSONResponse(shown, refusal.status)

        return guarded

    def _keep(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(
            json.dumps({"rules": [each.shown() for each in self._standing.values()]}), "utf-8"
        )
        draft.replace(self._path)


def steering_of(request: Request) -> Steering | None:
    """The rules this request's counterparty was told, if it can be told any."""
    steering: Steering | None = getattr(request.app.state, "steering", None)
    return steering


def directive(request: Request, name: str) -> Any:
    """What the rule that applies to this request says under `name`; None if nothing.

    For a counterparty's own directives; those any server can follow are followed in serving.py.
    """
    do: Directives = getattr(request.state, "directives", Directives())
    return getattr(do, name)


@dataclass(frozen=True, slots=True)
class _Content:
    body: Mapping[str, Any]
    path: Mapping[str, Any]


async def _short_body(request: Request) -> Mapping[str, Any]:
    """The request's JSON object; empty if it is none. Read once, it is there for the endpoint."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > _MAX_MATCHED_BYTES:
        return {}
    try:
        return parse_object(await request.body())
    except ValueError:
        return {}


def _matches(match: Match, endpoint: str, content: _Content) -> bool:
    if match.endpoint not in (None, endpoint):
        return False
    if match.field is None:
        return True
    first, *rest = match.field.split(".")
    found: Any = content.path if first == "path" else content.body
    for name in rest if first == "path" else (first, *rest):
        found = found.get(name) if isinstance(found, Mapping) else None
    return type(found) is type(match.equals) and found == match.equals
