"""The catalogue of problems: every published code, where it may be met, and what to do about it.

`type` of a problem document is the code as a URN, so it names no host; what it means is told in the
description of each operation that may answer it, and in docs/problems.md, which is made of this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from api.errors import HTTP_REFUSALS, TITLES, TYPE_PREFIX

ANYWHERE: Final = ""
# A search may be repeated as it is: it takes no key.
WRITES: Final = r"(POST|PUT|PATCH|DELETE) (/api/v1/(?!offers/search\Z)|/auth/register)"
BODIES: Final = r"(POST|PUT|PATCH) "
COUNTED: Final = r"(?!GET /(healthz|readyz|metrics)\Z)"
NO_OPERATION: Final = r"(?!)"  # refused by the server before it is known what was asked
APPLY: Final = r"POST /api/v1/applications\Z"
OWN: Final = r"POST /api/v1/applications/\{application_id\}/"
OFFER: Final = r"POST /api/v1/offers/\{offer_id\}/"
ACCEPT: Final = rf"{OWN}accept\Z|{OFFER}accept\Z"
REJECT: Final = OFFER + r"reject\Z"
SEARCH: Final = r"POST /api/v1/offers/search\Z"
WITHDRAW: Final = OWN + r"withdraw\Z"
INFORM: Final = OWN + r"information\Z"
REVIEWS: Final = r"POST /api/v1/reviews/\{review_id\}/"
DECIDE: Final = REVIEWS + r"decision\Z"
ASK: Final = REVIEWS + r"information\Z"
REGISTER_WEBHOOK: Final = r"POST /api/v1/webhooks(/\{id\})?\Z"
WEBHOOK: Final = r"POST /api/v1/webhooks/(test\Z|\{id\}/)"
FOLLOW: Final = r"GET /api/v1/events\Z"
CALLBACKS: Final = r"POST /callbacks/"
CODEC: Final = r"POST /codec/"
SIGN_IN: Final = r"POST /auth/(login|refresh)"
REGISTER: Final = r"POST /auth/register"
INVITATIONS: Final = rf"{REGISTER}|POST /api/v1/invitations/\{{invitation_id\}}"
API_KEYS: Final = r"POST /api/v1/service-accounts/\{service_account_id\}/keys"
PROVIDER: Final = r"(PUT|DELETE|POST) /api/v1/providers/\{provider_id\}"
PROVIDER_CHANGES: Final = (
    r"PUT /api/v1/providers/\{provider_id\}\Z|POST /api/v1/providers/\{provider_id\}/credentials"
)
ACCOUNT_STATUS: Final = r"POST /api/v1/accounts/\{user_id\}/status"
BY_UPDATE: Final = f"{ACCEPT}|{WITHDRAW}|{REVIEWS}|{SEARCH}"


@dataclass(frozen=True, slots=True)
class Published:
    """A code: its status, the operations that may answer it (a pattern), and what to do."""

    code: str
    status: int
    where: str
    advice: str
    own_title: str = ""  # where the title is not one of a domain error's

    @property
    def title(self) -> str:
        """For people, as the problem document has it."""
        return self.own_title or TITLES[self.code]

    def may_come_from(self, method: str, path: str) -> bool:
        """Whether the operation may answer it."""
        return re.match(self.where, f"{method.upper()} {path}") is not None

    def example(self) -> dict[str, Any]:
        """The problem document."""
        document: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code.lower().replace("_", "-"),
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.code == "VALIDATION_FAILED":
            document["errors"] = [{"pointer": "/body/amount_minor", "reason": "greater_than"}]
        return document


def _framework(status: int, where: str, advice: str) -> Published:
    code, title = HTTP_REFUSALS[status]
    return Published(code, status, where, advice, title)


_AWAY: Final = "A service we depend on is away; try again."

CATALOGUE: Final[tuple[Published, ...]] = (
    _framework(400, BODIES, "Send one JSON object: UTF-8, no NaN, no key twice."),
    Published("HEADER_REPEATED", 400, ANYWHERE, "Send `Host`, `Authorization` and such once.",
              "A header of which there is one was sent twice."),
    Published("HOST_MISSING", 400, NO_OPERATION, "Send `Host`, as HTTP/1.1 has it.",
              "A request names the host it is for."),
    Published("REQUEST_MALFORMED", 400, NO_OPERATION, "Send HTTP/1.1 with one length of the body.",
              "This is no request of HTTP/1.1 with one reading."),
    Published("API_VERSION_UNKNOWN", 400, r"\w+ /api/v1/", "Name a published version, or none.",
              "There is no such version of the API."),
    Published("IDEMPOTENCY_KEY_MISSING", 400, WRITES, "Draw a random key for each new write.",
              "Every write needs an Idempotency-Key."),
    Published("IDEMPOTENCY_KEY_MALFORMED", 400, WRITES, "A UUID will do.",
              "8 to 128 printable ASCII characters."),
    Published("UNAUTHENTICATED", 401, r"(?!\w+ /callbacks/)", "Get a new access token.",
              "A valid access token is needed."),
    Published("SIGN_IN_REFUSED", 401, SIGN_IN, "Check what was typed; or sign in anew.",
              "Nobody can be signed in with this."),
    Published("CALLBACK_SIGNATURE_INVALID", 401, CALLBACKS,
              "Sign the body's bytes as they travel, under the shared secret.",
              "The callback's signature is not valid."),
    Published("CALLBACK_TIMESTAMP_INVALID", 401, CALLBACKS, "Set the clock, and sign each anew.",
              "The callback's signature is not valid."),
    Published("NOT_ALLOWED", 403, ANYWHERE, "Ask a colleague whose role allows it.",
              "Your role does not allow this."),
    _framework(404, ANYWHERE, "Check the id; another tenant's answers alike."),
    _framework(405, ANYWHERE, "Use a method this document names."),
    _framework(408, BODIES, "Send it at once; the connection was closed."),
    Published("HEAD_TOO_SLOW", 408, NO_OPERATION, "Send it at once; the connection was closed.",
              "The request's head did not arrive in time."),
    Published("REGISTRATION_CLOSED", 409, REGISTER, "Ask the tenant for an invitation."),
    Published("LOGIN_TAKEN", 409, REGISTER, "Sign in instead."),
    Published("INVITATION_NOT_OPEN", 409, INVITATIONS, "Ask for a new invitation."),
    Published("TOO_MANY_KEYS", 409, API_KEYS, "Revoke one first."),
    Published("API_KEY_NOT_OPEN", 409, API_KEYS + r"/\{key_id\}/rotation", "Make a new key."),
    Published("PROVIDER_NOT_YOURS", 409, PROVIDER, "Ask whoever runs the platform."),
    Published("PROVIDER_CHANGED", 409, r"PUT /api/v1/providers/", "Read it again, then change it."),
    Published("PROVIDER_HAS_OFFERS", 409, r"DELETE /api/v1/providers/",
              "Set it to `MAINTENANCE`, and wait until its offers have ended."),
    Published("ADAPTER_NOT_INSTALLED", 409, PROVIDER_CHANGES, "Remove it, or install the adapter."),
    Published("TOO_MANY_WEBHOOKS", 409, REGISTER_WEBHOOK, "Remove one first: 20 are enough."),
    Published("WEBHOOK_NOT_ACTIVE", 409, WEBHOOK, "Resume it first."),
    Published("WEBHOOK_REMOVED", 409, WEBHOOK, "Register another one."),
    Published("OWN_ACCOUNT", 409, ACCOUNT_STATUS, "Ask another administrator."),
    Published("TENANT_RESERVED", 409, r"POST /api/v1/tenants", "Choose another name."),
    Published("REQUEST_IN_FLIGHT", 409, WRITES, "Wait a moment and repeat it under the same key."),
    Published("ALREADY_ACCEPTED", 409, f"{ACCEPT}|{WITHDRAW}|{SEARCH}",
              "Follow the application instead."),
    Published("OFFER_EXPIRED", 409, ACCEPT, "Choose another offer, or apply again."),
    Published("OFFER_NOT_OPEN", 409, f"{ACCEPT}|{REJECT}", "Choose an offer that is open."),
    Published("SEARCH_UNDER_WAY", 409, SEARCH, "Wait a moment and repeat it."),
    Published("SEARCH_ROUND_UNKNOWN", 409, SEARCH, "Name the round after the newest, or none."),
    Published("SEARCH_ROUNDS_EXHAUSTED", 409, SEARCH, "Choose among the offers there are."),
    Published("APPLICATION_NOT_WAITING", 409, BY_UPDATE, "Look at the application's state."),
    Published("APPLICATION_CLOSED", 409, f"{OWN}|{REVIEWS}|{OFFER}|{SEARCH}",
              "Apply again; what ended stays so."),
    Published("SETTLEMENT_SIGNED", 409, WITHDRAW, "The loan is being paid out; repay it."),
    Published("INFORMATION_REQUEST_CLOSED", 409, INFORM, "Nothing: it is no longer waited for."),
    Published("REVIEW_NOT_OPEN", 409, REVIEWS, "Show the review: somebody has decided it."),
    Published("REVIEW_ASSIGNED", 409, DECIDE, "Leave it to the assignee, or have it reassigned."),
    Published("FOUR_EYES_NEEDED", 409, DECIDE, "Ask a colleague to approve, too."),
    Published("INFORMATION_AWAITED", 409, ASK, "Wait for the answer, or decide without."),
    Published("NOT_RECORDED", 409, REVIEWS, "Repeat it under a new key."),
    Published("EVENT_TOO_OLD", 410, FOLLOW, "Read afresh, then follow without an id.",
              "What followed this event is no longer kept: read afresh, and follow from now on."),
    _framework(413, ANYWHERE, "Send less."),
    _framework(415, BODIES, "Say `Content-Type: application/json`."),
    Published("VALIDATION_FAILED", 422, ANYWHERE, "`errors` tells where and why.",
              "The request is not acceptable."),
    Published("MESSAGE_MALFORMED", 422, FOLLOW, "Send an id you were given, and documented types.",
              "The message is not of the documented form."),
    Published("IDEMPOTENCY_KEY_REUSED", 422, WRITES, "Draw a new key for another request."),
    Published("PASSWORD_TOO_WEAK", 422, REGISTER, "Choose a longer one: three rare words do."),
    Published("ROLE_NOT_YOURS_TO_GIVE", 422, r"POST /api/v1/(invitations|service-accounts)\Z",
              "Name roles of staff, or of services."),
    Published("USER_ID_MISSING", 422, APPLY, "Name the person in `user_id`."),
    Published("CURRENCY_NOT_SETTLED", 422, f"{APPLY}|{SEARCH}",
              "Apply in a currency that is paid out here."),
    Published("WALLET_PROOF_INVALID", 422, APPLY, "Sign `WalletOwnership` anew, by the wallet."),
    Published("PERSON_ERASED", 422, f"{APPLY}|{OWN}", "Use a new `user_id`."),
    Published("URL_NOT_ALLOWED", 422, REGISTER_WEBHOOK,
              "Name an https address of the public internet, at port 443."),
    Published("OFFER_UNKNOWN", 422, ACCEPT, "Name an offer of this application."),
    Published("TERMS_HASH_MISMATCH", 422, ACCEPT, "Sign the offer's own `terms_hash`."),
    Published("BORROWER_MISMATCH", 422, ACCEPT, "Sign with the application's wallet."),
    Published("ACCEPTANCE_DEADLINE_TOO_SOON", 422, ACCEPT, "Sign with a later deadline."),
    Published("SIGNATURE_INVALID", 422, ACCEPT, "Check your signing against the example."),
    Published("NONCE_TOO_LARGE", 422, ACCEPT, "Draw one below 2^256."),
    Published("INFORMATION_INCOMPLETE", 422, INFORM, "Answer what was asked, each once."),
    Published("CALLBACK_MALFORMED", 422, CALLBACKS, "Send the documented fields."),
    Published("PAYLOADS_MALFORMED", 422, CODEC, "Send payloads of Temporal's codec protocol."),
    Published("SIGN_IN_SLOWED", 429, r"POST /auth/login", "Wait `Retry-After` seconds.",
              "Too many attempts to sign in; wait."),
    Published("RATE_LIMITED", 429, COUNTED, "Wait `Retry-After` seconds; `RateLimit` tells more.",
              "Too many requests; try again after `Retry-After` seconds."),
    Published("TOO_MANY_CONNECTIONS", 429, FOLLOW, "Close one; one connection can follow all.",
              "You have too many connections at a time."),
    Published("HEAD_TOO_LARGE", 431, NO_OPERATION, "Send fewer or shorter headers.",
              "The request's head is too large."),
    Published("INTERNAL_ERROR", 500, ANYWHERE, "Tell us the answer's `X-Request-Id`.",
              "Something went wrong on our side."),
    Published("TOO_MANY_CLIENTS", 503, FOLLOW, "Come back after `Retry-After`.",
              "Too many follow; come back later."),
    Published("GOING_AWAY", 503, FOLLOW, "Come back after `Retry-After`, with the last id.",
              "The server ends; come back."),
    Published("TOO_BUSY", 503, COUNTED, "Repeat it after `Retry-After`.",
              "Too many requests are being worked on; try again."),
    Published("REQUEST_TIMED_OUT", 503, COUNTED,
              "Repeat it after `Retry-After`, under the same key.",
              "The answer took too long; try again."),
    Published("DATABASE_UNAVAILABLE", 503, ANYWHERE, "Repeat it after `Retry-After`.", _AWAY),
    Published("VAULT_UNAVAILABLE", 503, r"(POST|PUT) /api/v1/providers(/\{provider_id\}(/c|\Z)|\Z)",
              "Repeat it after `Retry-After`, under the same key.", _AWAY),
    Published("SIGN_IN_BUSY", 503, r"POST /auth/(login|register)",
              "Repeat it after `Retry-After`.", _AWAY),
    Published("SIGNING_KEY_UNKNOWN", 503, SIGN_IN, "Repeat it after `Retry-After`.", _AWAY),
    Published("QUERY_TOO_SLOW", 503, r"\w+ /graphql", "Repeat it, asking for less at once.",
              _AWAY),
    Published("PROVIDERS_UNKNOWN", 503, SEARCH, "Repeat it after `Retry-After`.", _AWAY),
    Published("TEMPORAL_UNAVAILABLE", 503, f"{BY_UPDATE}|{CALLBACKS}|{OWN}",
              "Repeat it after `Retry-After`, under the same key.", _AWAY),
    Published("NO_WORKER_ANSWERED", 503, BY_UPDATE,
              "Repeat it after `Retry-After`, under the same key.", _AWAY),
    Published("REVIEW_NOT_READY", 503, REVIEWS, "Repeat it after `Retry-After`.", _AWAY),
)  # fmt: skip


def answered_by(method: str, path: str, status: int) -> list[Published]:
    """What an operation may be refused with under a status."""
    return [
        each for each in CATALOGUE if each.status == status and each.may_come_from(method, path)
    ]


def catalogue_page() -> str:
    """docs/problems.md."""
    lines = [
        "# Problems",
        "",
        "Refusals are problem details (RFC 9457, `application/problem+json`). `code` is stable and",
        "never reused; `type` is the code as a URN (`urn:caas:problem:request-in-flight`), which",
        "names no host; `title` is for people and may change. Nothing that was sent is echoed. The",
        "API's description lists with each operation which of them it may answer.",
        "",
        "This page is made of `api/problems.py` by `make client`.",
        "",
        "| code | status | means | what to do |",
        "|---|---|---|---|",
        *(f"| `{each.code}` | {each.status} | {each.title} | {each.advice} |"
          for each in sorted(CATALOGUE, key=lambda each: (each.status, each.code))),
        "",
    ]  # fmt: skip
    return "\n".join(lines)
