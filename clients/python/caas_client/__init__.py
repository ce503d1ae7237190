"""A typed client of the Credit-as-a-Service API.

`Client` waits, `AsyncClient` is awaited; both speak over an `httpx` client of yours, which knows
the address, the timeout and the proxy.
"""

from __future__ import annotations

import httpx

from ._transport import AsyncTransport, Refused, Transport
from .operations import API_VERSION, AsyncOperations, Operations

__all__ = ["API_VERSION", "AsyncClient", "Client", "Refused"]


class Client(Operations):
    """The API's operations by subject, as `client.applications.submit(body)`."""

    def __init__(self, http: httpx.Client, token: str | None = None) -> None:
        super().__init__(Transport(http, token, API_VERSION))


class AsyncClient(AsyncOperations):
    """The API's operations by subject, as `await client.applications.submit(body)`."""

    def __init__(self, http: httpx.AsyncClient, token: str | None = None) -> None:
        super().__init__(AsyncTransport(http, token, API_VERSION))
