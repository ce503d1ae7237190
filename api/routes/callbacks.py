"""Signed callbacks from vendors: verified on the raw bytes, kept once, delivered at least once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request, Response

from api.deps import CALLBACK_TOLERANCE_S, Wired, parse_callback, verify_callback
from api.errors import Problem
from api.schemas import wire
from models.domain.errors import Invalid
from models.domain.failpoints import failpoint

log = structlog.get_logger()
router = APIRouter(prefix="/callbacks", tags=["callbacks"])


@router.post(
    "/{vendor}",
    status_code=204,
    response_class=Response,
    summary="Take a vendor's signed callback",
    description=wire.signed_callback(CALLBACK_TOLERANCE_S),
    response_description="The callback is on record.",
    openapi_extra={
        "parameters": wire.CALLBACK_HEADERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": wire.CALLBACK}},
        },
    },
)
async def receive(
    vendor: Annotated[
        str, Path(description="The vendor's name in our settings.", examples=["identity"])
    ],
    request: Request,
    wired: Wired,
) -> Response:
    """Take a vendor's callback (Standard Webhooks signature). Repetitions are answered alike."""
    body = await request.body()
    secrets = wired.callback_secrets.get(vendor)
    if secrets is None:
        return await _from_lender(vendor, request, body, wired)
    try:
        verify_callback(secrets, request.headers, body, datetime.now(UTC))
    except Invalid as error:
        log.warning("callback_refused", vendor=vendor, code=error.code)
        raise Problem(401, error.code, "The callback's signature is not valid.") from error
    tenant_id, callback = parse_callback(body)
    stored = await wired.callbacks.store(tenant_id, vendor, callback)
    failpoint("callback.stored")
    if not stored.delivered:
        # If this fails the vendor repeats the callback, and the sweeper delivers it anyway.
        await wired.messages.tell_verification(stored.person, stored.callback)
        failpoint("callback.told")
        await wired.callbacks.delivered(vendor, stored)
    return Response(status_code=204)


async def _from_lender(vendor: str, request: Request, body: bytes, wired: Wired) -> Response:
    try:
        await wired.lender_callbacks.receive(vendor, request.headers, body, datetime.now(UTC))
    except Invalid as error:
        if error.code == "CALLBACK_MALFORMED":
            raise
        log.warning("callback_refused", vendor=vendor, code=error.code)
        raise Problem(401, error.code, "The callback's signature is not valid.") from error
    return Response(status_code=204)
