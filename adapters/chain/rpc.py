"""JSON-RPC to an EVM node: one keep-alive session, a deadline and a size limit for every call.

Not web3's: its `AsyncHTTPProvider` can deadlock every provider of the process when a call is
cancelled in flight (web3.py #3867), and Temporal cancels activities; and web3 alone costs a second
and a half and 80 MB in every process that only reads a chain. It holds no lock, never retries, and
translates what goes wrong:

    Unavailable CHAIN_UNREACHABLE        no connection, or it broke
    Transient   CHAIN_TIMEOUT            no complete answer within the deadline
    Transient   CHAIN_HTTP_STATUS        an HTTP status other than 200 (a limit, a wrong key)
    Transient   CHAIN_ANSWER_TOO_LARGE   more bytes than we are willing to read
    Transient   CHAIN_ANSWER_MALFORMED   not JSON-RPC, or not an answer to what was asked
    RPCError    CHAIN_REFUSED            the node's own error object, kept for who understands it

No error quotes the address of the node: many carry the customer's key.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import orjson

from models.domain.errors import Transient, Unavailable

Call = tuple[str, Sequence[Any]]

_DEADLINE_S: Final = 10.0
# A block's receipts with 650 transfers are about 1 MB; nothing we ask for is larger than a few.
_ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
# Hosted nodes commonly refuse batches of more than 100 calls.
_BATCH_LIMIT: Final = 100
_CONNECTIONS: Final = 16
_KEEPALIVE_S: Final = 30.0


class RPCError(Transient):
    """An error object of the node: `number` and `data` as it sent them, text in `detail`.

    Transient unless the caller knows better: limits and lagging nodes are the common reasons.
    """

    def __init__(self, number: int, message: str, data: object = None) -> None:
        super().__init__("CHAIN_REFUSED", f"{number}: {message}")
        self.number = number
        self.message = message
        self.data = data


class JSONRPCProvider:
    """A node reached over HTTP; its session belongs to the event loop of its first call."""

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float = _DEADLINE_S,
        answer_limit_bytes: int = _ANSWER_LIMIT_BYTES,
    ) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._answer_limit_bytes = answer_limit_bytes
        self._ids = itertools.count()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def call(self, method: str, *params: Any) -> Any:
        """The result of one call; raises RPCError with the node's error object."""
        request = self._request(method, params)
        answer = await self._post(orjson.dumps(request))
        if not isinstance(answer, dict) or (
            answer.get("id") != request["id"] and not _error(answer)
        ):
            raise _malformed(f"no answer to {method}")
        return _result(answer)

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The results of many calls in their order; the place of a refused one holds its RPCError.

        Sent in batches of at most 100. A batch refused as a whole raises RPCError.
        """
        results: list[Any] = []
        for start in range(0, len(calls), _BATCH_LIMIT):
            results += await self._part(calls[start : start + _BATCH_LIMIT])
        return results

    async def is_connected(self) -> bool:
        """Whether the node answers at all."""
        try:
            await self.call("eth_chainId")
        except Transient:
            return False
        return True

    async def close(self) -> None:
        """Close the connections; later calls are refused. Closing twice is harmless."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        number = next(self._ids)
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}

    async def _part(self, calls: Sequence[Call]) -> list[Any]:
        formed = [self._request(method, params) for method, params in calls]
        answer = await self._post(orjson.dumps(formed))
        if isinstance(answer, dict) and (refused := _error(answer)):
            raise refused
        if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
            raise _malformed("no list for a batch")
        by_id = {entry["id"]: entry for entry in answer if type(entry.get("id")) is int}
        ordered = [by_id.get(request["id"]) for request in formed]
        if None in ordered or len(answer) != len(formed):
            raise _malformed("answers missing from a batch")
        return [_result_or_refusal(response) for response in ordered if response is not None]

    async def _post(self, body: bytes) -> Any:
        try:
            async with (
                asyncio.timeout(self._deadline_s),
                self._open_session().post(self._url, data=body, allow_redirects=False) as response,
            ):
                raw = await self._read(response)
                status = response.status
        except TimeoutError:
            raise Transient("CHAIN_TIMEOUT", f"after {self._deadline_s:g} s") from None
        except (aiohttp.ClientError, OSError) as failed:
            # The library's text names the address, so only the kind of failure is kept.
            raise Unavailable("CHAIN_UNREACHABLE", type(failed).__name__) from None
        try:
            answer = orjson.loads(raw)
        except ValueError:
            answer = None
        # Some nodes send their error objects with a status of their own.
        if status != 200 and not (isinstance(answer, dict) and _error(answer)):
            raise Transient("CHAIN_HTTP_STATUS", str(status))
        if answer is None:
            raise _malformed("not JSON")
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        read = bytearray()
        async for piece in response.content.iter_any():
            read += piece
            if len(read) > self._answer_limit_bytes:
                raise Transient("CHAIN_ANSWER_TOO_LARGE", f"over {self._answer_limit_bytes} bytes")
        return bytes(read)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unavailable("CHAIN_UNREACHABLE", "closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_S),
                timeout=aiohttp.ClientTimeout(total=None),  # `_post` holds the one deadline
                headers={"Content-Type": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _result(response: dict[str, Any]) -> Any:
    error = _error(response)
    if error is not None:
        raise error
    if "result" not in response:
        raise _malformed("neither result nor error")
    return response["result"]


def _result_or_refusal(response: dict[str, Any]) -> Any:
    try:
        return _result(response)
    except RPCError as refused:
        return refused


def _error(response: dict[str, Any]) -> RPCError | None:
    error = response.get("error")
    if error is None:
        return None
    if not isinstance(error, dict):
        return RPCError(0, str(error)[:200])
    number = error.get("code")
    return RPCError(
        number if isinstance(number, int) else 0,
        str(error.get("message", ""))[:500],
        error.get("data"),
    )


def _malformed(detail: str) -> Transient:
    return Transient("CHAIN_ANSWER_MALFORMED", detail)
