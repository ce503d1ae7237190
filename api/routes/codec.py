"""The codec server for the Temporal Web UI: readable payloads for a signed-in operator."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.auth import Action
from api.deps import SESSION_COOKIE, Caller, StrictRoute, Wired

router = APIRouter(tags=["operators"], route_class=StrictRoute)
pages = APIRouter(tags=["operators"], include_in_schema=False)

Payloads = Annotated[dict[str, Any], Body(description="Codec protocol: {payloads: […]}.")]


@router.post("/codec/decode")
async def decode(document: Payloads, principal: Caller, wired: Wired) -> dict[str, Any]:
    """Decrypt your own tenant's payloads; others stay encrypted. Every use is audited."""
    principal.require(Action.DECODE_PAYLOADS)
    answer, opened = wired.payloads.decode(principal.tenant_id, document)
    if opened:
        async with wired.database.transaction(principal.tenant_id) as tx:
            await tx.record(
                principal.subject,
                "payloads.decoded",
                principal.tenant_id,
                {"count": opened},
                key=principal.tenant_id,
            )
    return answer


@router.post("/codec/encode")
async def encode(document: Payloads, principal: Caller, wired: Wired) -> dict[str, Any]:
    """Encrypt payloads under your tenant's key, as the Web UI does for signals it sends."""
    principal.require(Action.DECODE_PAYLOADS)
    return await wired.payloads.encode(principal.tenant_id, document)


SIGN_IN_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Operator sign-in</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/console/style.css"></head>
<body><main><h1>Operator sign-in</h1>
<p>Paste an access token of your tenant. It is kept in a cookie of this address alone and lets the
Temporal Web UI show your tenant's payloads.</p>
<form method="post" action="/console/session">
<label for="token">Access token</label>
<textarea id="token" name="token" rows="6" required autocomplete="off"></textarea>
<button>Sign in</button></form></main></body></html>"""

SIGNED_IN_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Signed in</title>
<link rel="stylesheet" href="/console/style.css"></head>
<body><main><h1>Signed in</h1>
<p>To read your tenant's payloads in the Temporal Web UI, once per browser:</p>
<ol><li>Open the codec settings: the glasses at the top.</li>
<li>Choose <em>Use my browser setting</em> and enter <code>{endpoint}</code>.</li>
<li>Switch on <em>Include cross-origin credentials</em> and apply.</li></ol>
</main></body></html>"""

STYLE: Final = """body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f7f9;color:#16202c}
main{max-width:40rem;margin:4rem auto;padding:2rem;background:#fff;border:1px solid #dde2e8;
border-radius:8px}h1{font-size:1.4rem;margin-top:0}label{display:block;font-weight:600}
textarea{width:100%;box-sizing:border-box;font:13px/1.4 monospace;margin:.5rem 0 1rem}
button{font:inherit;padding:.5rem 1rem;border:0;border-radius:6px;background:#1f5fbf;color:#fff}"""


@pages.get("/console/sign-in")
async def sign_in_page() -> HTMLResponse:
    """Where an operator signs in."""
    return HTMLResponse(SIGN_IN_PAGE)


@pages.post("/console/session")
async def sign_in(token: Annotated[str, Form()], wired: Wired) -> Response:
    """Keep a verified token in a cookie that no script can read."""
    principal = wired.tokens.verify(token.strip())
    principal.require(Action.DECODE_PAYLOADS)
    answer = RedirectResponse("/console/signed-in", 303)
    answer.set_cookie(
        SESSION_COOKIE,
        token.strip(),
        httponly=True,
        secure=wired.secure_cookies,
        samesite="lax",
        path="/",
        max_age=3600,
    )
    return answer


@pages.get("/console/signed-in")
async def signed_in_page(request: Request) -> HTMLResponse:
    """What to do next."""
    endpoint = escape(str(request.url_for("decode")).removesuffix("/decode"))
    return HTMLResponse(SIGNED_IN_PAGE.replace("{endpoint}", endpoint))


@pages.get("/console/style.css")
async def style() -> Response:
    """The pages' style."""
    return Response(STYLE, media_type="text/css")
