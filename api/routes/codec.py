"""The codec server for the Temporal Web UI: readable payloads for a signed-in operator."""

from __future__ import annotations

import time
from collections.abc import Mapping
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from api.auth import Action, unauthorised
from api.deps import SESSION_COOKIE, Caller, StrictRoute, Wired
from api.errors import Problem
from api.schemas import wire

router = APIRouter(tags=["operators"], route_class=StrictRoute)
pages = APIRouter(tags=["operators"], include_in_schema=False)

# A working day: a longer-lived token is pasted again.
SESSION_MAX_S: Final = 12 * 3600
FORM: Final = "application/x-www-form-urlencoded"

Payloads = Annotated[dict[str, Any], Body(description=wire.PAYLOADS["description"])]
_IN_JSON: Final[dict[str, Any]] = {"application/json": {"schema": wire.PAYLOADS}}


@router.post(
    "/codec/decode",
    summary="Decrypt payloads for the Temporal Web UI",
    openapi_extra={"requestBody": {"content": _IN_JSON}},
    responses={200: {"description": "All of them, readable where they are.", "content": _IN_JSON}},
)
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


@router.post(
    "/codec/encode",
    summary="Encrypt payloads for the Temporal Web UI",
    openapi_extra={"requestBody": {"content": _IN_JSON}},
    responses={200: {"description": "All of them, encrypted.", "content": _IN_JSON}},
)
async def encode(document: Payloads, principal: Caller, wired: Wired) -> dict[str, Any]:
    """Encrypt payloads under your tenant's key, as the Web UI does for signals it sends."""
    principal.require(Action.DECODE_PAYLOADS)
    return await wired.payloads.encode(principal.tenant_id, document)


STYLE: Final = """body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f7f9;color:#16202c}
main{max-width:40rem;margin:4rem auto;padding:2rem;background:#fff;border:1px solid #dde2e8;
border-radius:8px}h1{font-size:1.4rem;margin-top:0}label{display:block;font-weight:600}
textarea{width:100%;box-sizing:border-box;font:13px/1.4 monospace;margin:.5rem 0 1rem}
button{font:inherit;padding:.5rem 1rem;border:0;border-radius:6px;background:#1f5fbf;color:#fff}
[role=alert]{border-left:4px solid #b3261e;background:#fdecea;padding:.5rem .75rem}"""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/console/style.css"></head>
<body><main><h1>{title}</h1>
{content}
</main></body></html>"""

_SIGN_IN: Final = """<p>Paste an access token of your tenant. It is kept in a cookie of this address
alone, until it expires and for twelve hours at most, and lets the {web_ui} show your tenant's
payloads.</p>
{refusal}<form method="post" action="/console/session">
<label for="token">Access token</label>
<textarea id="token" name="token" rows="6" required autocomplete="off"></textarea>
<button>Sign in</button></form>"""

_SIGNED_IN: Final = """<p>To read your tenant's payloads in the {web_ui}, once per browser:</p>
<ol><li>Open the {web_ui} and its codec settings: the glasses at the top.</li>
<li>Choose <em>Use my browser setting</em> and enter <code>{endpoint}</code>.</li>
<li>Switch on <em>Include cross-origin credentials</em> and apply.</li></ol>"""

# Why nobody was signed in, by the status of the answer. It says no more than the API does.
_REFUSALS: Final = {
    401: "This token is not valid, or no longer: it must be an unexpired access token of an issuer "
    "this service trusts. Paste all of it, without quotation marks.",
    403: "This token is valid, but its roles may not read payloads: underwriters, compliance "
    "officers, support and tenant administrators may.",
}


async def require_form(request: Request) -> None:
    """Sign-in is sent by our page's form; 415 for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HTTPException(415)


async def web_ui_address(request: Request) -> str | None:
    """Where the Temporal Web UI shows our workflows, if a setting says so."""
    address: str | None = request.app.state.web_ui
    return address


WebUI = Annotated[str | None, Depends(web_ui_address)]


@pages.get("/console/sign-in")
async def sign_in_page(web_ui: WebUI) -> HTMLResponse:
    """Where an operator signs in."""
    return _sign_in_page(web_ui)


@pages.post("/console/session", dependencies=[Depends(require_form)])
async def sign_in(wired: Wired, web_ui: WebUI, token: Annotated[str, Form()] = "") -> Response:
    """Keep a verified token in a cookie that no script can read; a refusal is the page again."""
    now_s = int(time.time())
    try:
        principal = wired.tokens.verify(token.strip())
        if principal.expires_at_s <= now_s:  # within the leeway, but no cookie lives so short
            raise unauthorised()
        principal.require(Action.DECODE_PAYLOADS)
    except Problem as refused:
        return _sign_in_page(web_ui, refused)
    answer = RedirectResponse("/console/signed-in", 303)
    answer.set_cookie(
        SESSION_COOKIE,
        token.strip(),
        httponly=True,
        secure=wired.secure_cookies,
        samesite="lax",
        path="/",
        max_age=min(principal.expires_at_s - now_s, SESSION_MAX_S),
    )
    return answer


@pages.get("/console/signed-in")
async def signed_in_page(request: Request, web_ui: WebUI) -> HTMLResponse:
    """What to do next."""
    endpoint = escape(str(request.url_for("decode")).removesuffix("/decode"))
    return _page("Signed in", _SIGNED_IN.format(web_ui=_named(web_ui), endpoint=endpoint))


@pages.get("/console/style.css")
async def style() -> Response:
    """The pages' style."""
    return Response(STYLE, media_type="text/css")


def _sign_in_page(web_ui: str | None, refused: Problem | None = None) -> HTMLResponse:
    alert = f'<p role="alert">{escape(_REFUSALS[refused.status])}</p>\n' if refused else ""
    content = _SIGN_IN.format(web_ui=_named(web_ui), refusal=alert)
    if refused is None:
        return _page("Operator sign-in", content)
    return _page("Operator sign-in", content, refused.status, refused.headers)


def _named(web_ui: str | None) -> str:
    """The Temporal Web UI's name, and the way there where its address is known."""
    if web_ui is None:
        return "Temporal Web UI"
    return f'<a href="{escape(web_ui)}">Temporal Web UI</a>'


def _page(
    title: str, content: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=title, content=content), status, dict(headers or {}))
