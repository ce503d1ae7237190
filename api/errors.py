"""Problem details (RFC 9457): one shape for every refusal, and no echo of what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from models.domain.errors import Conflict, CreditError, Invalid, NotFound, Transient

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:caas:problem:"
RETRY_AFTER_S: Final = 2


class Problem(Exception):
    """A refusal with its HTTP status and a stable code."""

    def __init__(
        self, status: int, code: str, title: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.title = title
        self.headers = dict(headers or {})


def problem_response(
    status: int,
    code: str,
    title: str,
    *,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """A problem document: `type` is stable, `title` is for people; no input is echoed."""
    document = {
        "type": TYPE_PREFIX + code.lower().replace("_", "-"),
        "title": title,
        "status": status,
        "code": code,
        **extra,
    }
    return Response(
        orjson.dumps(document), status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


TITLES: Final = {
    "REQUEST_IN_FLIGHT": "A request with this idempotency key is still in flight.",
    "IDEMPOTENCY_KEY_REUSED": "This idempotency key was used for another request.",
    "OFFER_EXPIRED": "The offer has expired.",
    "ALREADY_ACCEPTED": "An offer of this application was accepted already.",
    "SIGNATURE_INVALID": "The borrower's signature does not fit this acceptance.",
    "WALLET_PROOF_INVALID": "The wallet's ownership is not proved.",
    "REVIEW_NOT_OPEN": "This review does not wait for a decision.",
    "REVIEW_ASSIGNED": "This review is assigned to somebody else.",
    "FOUR_EYES_NEEDED": "Another person has to approve, too.",
    "INFORMATION_AWAITED": "The applicant has been asked already, and has not answered yet.",
    "INFORMATION_INCOMPLETE": "An answer for each item at most once, or a new document.",
    "INFORMATION_REQUEST_UNKNOWN": "The applicant was asked no such question.",
    "INFORMATION_REQUEST_CLOSED": "The question no longer waits for an answer.",
    "SETTLEMENT_SIGNED": "The payment is signed: it can no longer be withdrawn.",
    "NOTICE_NOT_WAITING": "No notice of this application waits to be delivered.",
    "NOT_RECORDED": "It could not be recorded; try again.",
    "APPLICATION_NOT_WAITING": "The application does not wait for this, or no longer.",
    "APPLICATION_CLOSED": "The application is closed.",
    "OFFER_NOT_OPEN": "The offer is no longer open.",
    "SEARCH_UNDER_WAY": "Lenders are being asked already.",
    "SEARCH_ROUND_UNKNOWN": "This round is not the next one.",
    "SEARCH_ROUNDS_EXHAUSTED": "Lenders were asked as often as they may be.",
    "PERSON_ERASED": "This person's data were erased.",
    "OFFER_UNKNOWN": "The application has no such offer.",
    "TERMS_HASH_MISMATCH": "The acceptance names other terms than the offer's.",
    "BORROWER_MISMATCH": "The acceptance names another wallet than the application's.",
    "ACCEPTANCE_DEADLINE_TOO_SOON": "The acceptance's deadline is less than five minutes away.",
    "NONCE_TOO_LARGE": "The nonce is not below 2^256.",
    "USER_ID_MISSING": "Whoever applies for somebody else names them in `user_id`.",
    "CURRENCY_NOT_SETTLED": "No loan is paid out in this currency here.",
    "CALLBACK_MALFORMED": "The callback's body is not of the documented form.",
    "REGISTRATION_CLOSED": "Nobody can register here by themselves.",
    "LOGIN_TAKEN": "There is an account of this address already.",
    "INVITATION_NOT_OPEN": "The invitation is not open, or not for this address.",
    "PASSWORD_TOO_WEAK": "The password is guessed too easily.",
    "ROLE_NOT_YOURS_TO_GIVE": "Your role does not hand out this one.",
    "TOO_MANY_KEYS": "The service account has as many keys as it may.",
    "API_KEY_NOT_OPEN": "The key is revoked, replaced or expired.",
    "PROVIDER_NOT_YOURS": "This provider is the platform's, or configured.",
    "PROVIDER_CHANGED": "Somebody else has changed the provider meanwhile.",
    "PROVIDER_HAS_OFFERS": "The provider has offers that are open, or not yet settled.",
    "ADAPTER_NOT_INSTALLED": "The provider's adapter is not installed any more.",
    "TOO_MANY_WEBHOOKS": "The tenant has as many webhooks as it may.",
    "WEBHOOK_NOT_ACTIVE": "The webhook is disabled: its receiver said that it is gone.",
    "WEBHOOK_REMOVED": "The webhook was removed.",
    "URL_NOT_ALLOWED": "This address may not be reached from here.",
    "OWN_ACCOUNT": "Nobody suspends themselves.",
    "TENANT_RESERVED": "This tenant is the platform's own.",
    "PAYLOADS_MALFORMED": "The payloads are not of the codec protocol.",
}


# What the framework itself refuses.
HTTP_REFUSALS: Final = {
    400: ("BODY_MALFORMED", "The body is not a JSON object as we read it."),
    404: ("NOT_FOUND", "There is nothing here."),
    405: ("METHOD_NOT_ALLOWED", "This method is not offered here."),
    408: ("BODY_TOO_SLOW", "The body did not arrive in time."),
    413: ("BODY_TOO_LARGE", "The body is too large."),
    415: ("MEDIA_TYPE_NOT_READ", "The body's content type is not one this path reads."),
}


# What each refusal means to whoever reads the API's description.
_MEANINGS: Final = {
    400: "The body is not JSON as we read it, or the idempotency key is missing or malformed.",
    401: "There is no valid access token, or a callback's signature is not valid.",
    403: "Your role does not allow this.",
    404: "There is nothing here; another tenant's id answers alike.",
    408: "The body did not arrive in time.",
    409: "The state of things does not allow this, or a request with this key is in flight.",
    410: "What followed this id is no longer kept: read afresh.",
    413: "The body is too large.",
    415: "The body's content type is not one this path reads.",
    422: "The request is well-formed but not acceptable, or its key was used for another one.",
    429: "Too many requests; try again after `Retry-After` seconds.",
    500: "Something went wrong on our side.",
    503: "A service we depend on is away; try again after `Retry-After` seconds.",
}
PROBLEM_SCHEMA: Final = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {
            "type": "string",
            "pattern": f"^{TYPE_PREFIX}[a-z0-9-]+$",
            "description": "The `code` as a URN.",
        },
        "title": {"type": "string", "description": "For people; may change."},
        "status": {"type": "integer", "description": "The answer's HTTP status."},
        "code": {"type": "string", "pattern": "^[A-Z0-9_]+$", "description": "Stable."},
        "errors": {
            "type": "array",
            "description": "Where a request is not acceptable, and why (422).",
            "items": {
                "type": "object",
                "required": ["pointer", "reason"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "Where, as `/body/wallet/address`; never what was sent.",
                    },
                    "reason": {"type": "string", "description": "Why, as `missing`."},
                },
            },
        },
    },
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may be refused with, for its description."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Render every error of ours and of the framework as a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(_: Request, error: Problem) -> Response:
        return problem_response(error.status, error.code, error.title, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        # Where and why, never what: the input may hold personal data or an attack.
        errors = [
            {"pointer": _pointer(each["loc"], each["type"]), "reason": each["type"]}
            for each in error.errors()
        ]
        return problem_response(
            422, "VALIDATION_FAILED", "The request is not acceptable.", errors=errors[:20]
        )

    @app.exception_handler(CreditError)
    async def on_domain(_: Request, error: CreditError) -> Response:
        return domain_problem(error)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        code, title = HTTP_REFUSALS.get(error.status_code, ("REFUSED", "The request was refused."))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            # The framework names the methods of one route; a path may have several.
            headers["allow"] = ", ".join(_offered(request)) or headers.get("Allow", "")
            headers.pop("Allow", None)
        return problem_response(error.status_code, code, title, headers=headers)


def _offered(request: Request) -> list[str]:
    """The methods of all routes at this path; one that names it literally is no id of another."""
    by_template: dict[str, set[str]] = {}
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(request.url.path):
            methods = by_template.setdefault(str(getattr(route, "path", "")), set())
            methods |= getattr(route, "methods", None) or set()
    literal = min(by_template, key=lambda template: template.count("{"), default="")
    alike = (each for name, each in by_template.items() if name.count("{") == literal.count("{"))
    return sorted(set().union(*alike))


def _pointer(place: Sequence[Any], reason: str) -> str:
    """Where in the request; an unknown field's own name is the sender's words, so it stays out."""
    known = place[:-1] if reason == "extra_forbidden" else place
    return "/" + "/".join(str(part) for part in known)


def domain_problem(error: CreditError) -> Response:
    """The status each kind of domain error has at the front door."""
    title = TITLES.get(error.code, "The request was refused.")
    if isinstance(error, NotFound):
        return problem_response(404, "NOT_FOUND", "There is nothing here.")
    if isinstance(error, Conflict):
        return problem_response(409, error.code, title)
    if isinstance(error, Invalid):
        return problem_response(422, error.code, title)
    if isinstance(error, Transient):
        return problem_response(
            503,
            error.code,
            "A service we depend on is away; try again.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    log.error("domain_error", code=error.code, exc_info=error)
    return problem_response(500, "INTERNAL_ERROR", "Something went wrong on our side.")
