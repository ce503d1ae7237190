"""What each route costs, in tokens of its caller's bucket: reads little, writes and work more."""

from __future__ import annotations

from typing import Final

READ: Final = 1
WRITE: Final = 5
# What asks the most of us: money moves, passwords are hashed, vendors are paid.
HEAVY: Final = 10
FREE: Final = 0

BY_METHOD: Final = {"GET": READ, "HEAD": READ, "OPTIONS": FREE}

COSTS: Final[dict[tuple[str, str], int]] = {
    # Probes are never refused: an orchestrator would end a process that is only busy.
    ("GET", "/healthz"): FREE,
    ("GET", "/readyz"): FREE,
    ("GET", "/metrics"): FREE,
    # A vendor's callbacks all come from a few addresses, and are signed; bad ones cost, see below.
    ("POST", "/callbacks/{vendor}"): FREE,
    ("POST", "/api/v1/applications"): HEAVY,
    ("POST", "/api/v1/applications/{application_id}/accept"): HEAVY,
    ("POST", "/api/v1/offers/search"): HEAVY,
    ("POST", "/api/v1/offers/{offer_id}/accept"): HEAVY,
    ("POST", "/api/v1/providers/{provider_id}/test"): HEAVY,
    ("POST", "/api/v1/webhooks/test"): HEAVY,
    ("POST", "/auth/login"): HEAVY,
    ("POST", "/auth/register"): HEAVY,
    ("POST", "/graphql"): WRITE,
    ("POST", "/codec/decode"): READ,
    ("POST", "/codec/encode"): READ,
}

# A request whose token or signature is no good, of its client address.
BAD_CREDENTIALS: Final = 5

# Attempts to sign in or up are counted apart, by address and by account name.
SIGN_IN: Final = frozenset({"/auth/login", "/auth/register"})

# Methods there are; anything else is one label in the metrics.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# Answered whatever else is going on, and neither counted nor held back.
UNCOUNTED: Final = frozenset({"/healthz", "/readyz", "/metrics"})


def cost_of(method: str, template: str) -> int:
    """What a request to the route with this path template costs."""
    known = COSTS.get((method, template))
    return known if known is not None else BY_METHOD.get(method, WRITE)
