"""OAuth 2.0 client credentials (RFC 6749 §4.4): one cached bearer token, fetched once at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from adapters.http import MALFORMED_RESPONSE, HTTPCaller
from adapters.providers.lender import CREDENTIALS_REFUSED
from models.domain.errors import Permanent, Transient

# A token is not used in its last seconds: it could expire on the way, or by the clocks' difference.
_MARGIN_S: Final = 30
_MAX_LIFETIME_S: Final = 86_400


class _TokenResponse(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    # The characters of a bearer token (RFC 6750 §2.1): nothing that could split a header.
    access_token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~+/\-]{1,4096}=*$")]
    token_type: Annotated[str, StringConstraints(pattern=r"^[Bb]earer$")]
    expires_in: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    usable_until: float  # on the caller's monotonic clock


class ClientCredentials:
    """The token of one client at one token endpoint."""

    def __init__(
        self,
        caller: HTTPCaller,
        client_id: str,
        client_secret: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = caller
        self._client = (client_id, client_secret)
        self._clock = clock
        self._cached: _Token | None = None
        self._fetching = asyncio.Lock()

    async def token(self, refused: str | None = None) -> str:
        """A bearer token; `refused` is one the server just turned away, never returned again.

        Any number of callers cause one request: those who waited use what it brought. Raises
        Transient (CREDENTIALS_REFUSED among them: ours to repair, no borrower's fault) or Permanent
        MALFORMED_RESPONSE.
        """
        async with self._fetching:
            cached = self._cached
            if cached and cached.value != refused and self._clock() < cached.usable_until:
                return cached.value
            self._cached = None
            self._cached = await self._fetch()
            return self._cached.value

    def forget(self) -> None:
        """Drop the token; the next call fetches another."""
        self._cached = None

    async def _fetch(self) -> _Token:
        asked_at = self._clock()  # before the request: the lifetime began at the server's answer
        answer = await self._caller.call(
            "POST", "/oauth2/token", form={"grant_type": "client_credentials"}, auth=self._client
        )
        if answer.status >= 400:
            # RFC 6749 §5.2: invalid_client answers 401, and some servers say 400.
            raise Transient(CREDENTIALS_REFUSED, f"token endpoint: status {answer.status}")
        return _token_of(answer.body, asked_at)


def _token_of(body: Mapping[str, Any], asked_at: float) -> _Token:
    try:
        response = _TokenResponse.model_validate(body)
    except ValidationError:
        # Without the cause: pydantic's text would quote the token.
        raise Permanent(MALFORMED_RESPONSE, "not a bearer token") from None
    lifetime_s = min(response.expires_in, _MAX_LIFETIME_S) - _MARGIN_S
    return _Token(response.access_token, usable_until=asked_at + lifetime_s)
