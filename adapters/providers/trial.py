"""Trying a provider step by step, to tell a person which step fails; nothing is asked for.

No quote is asked for: a lender may book or charge for it. The certification kit does that, against
a lender's simulated counterparty.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from yarl import URL

from activities.ports.credit_provider import CreditProvider
from adapters.egress import AddressRefused, EgressPolicy, PublicResolver
from models.domain.errors import CreditError
from models.domain.provider import ProviderStatus

log = structlog.get_logger()

# Each step is bounded, and all together stay below what a request of ours may take.
STEP_S: Final = 5.0
# For addresses that operators configure: those may be in their own networks.
ANYWHERE: Final = EgressPolicy(
    (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")), frozenset(), plain_http=True
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trial: whether it went well, how long it took, and why it did not."""

    name: str
    passed: bool
    took_ms: int
    reason: str | None = None


class StepFailed(Exception):
    """The step did not go well; the message is a code."""


async def try_provider(
    url: str, policy: EgressPolicy, provider: Callable[[], Awaitable[CreditProvider]]
) -> tuple[Step, ...]:
    """Resolve the name, reach the address, authenticate, ask for the status.

    Ends with the first step that fails. `provider` opens the adapter, or raises CreditError.
    """
    asked = URL(url)
    addresses: list[str] = []

    async def resolve() -> str | None:
        addresses.extend(await _addresses(asked, policy))
        return None

    async def reach() -> str | None:
        await _connect(asked, addresses)
        return None

    async def authenticate() -> str | None:
        await (await provider()).connect()
        return None

    async def status() -> str | None:
        found = await (await provider()).get_status()
        if found is ProviderStatus.INACTIVE:
            raise StepFailed("NOT_SERVING")
        return "IN_MAINTENANCE" if found is ProviderStatus.MAINTENANCE else None

    steps: list[Step] = []
    for work in (resolve, reach, authenticate, status):
        steps.append(await _step(work))
        if not steps[-1].passed:
            break
    return tuple(steps)


async def _step(work: Callable[[], Awaitable[str | None]]) -> Step:
    name, started = work.__name__, time.monotonic()
    try:
        async with asyncio.timeout(STEP_S):
            said = await work()
    except TimeoutError:
        return Step(name, False, _ms(started), "TIMED_OUT")
    except StepFailed as error:
        return Step(name, False, _ms(started), str(error))
    except CreditError as error:
        return Step(name, False, _ms(started), error.code)
    except Exception as error:
        log.exception("provider_bug", exc_info=error)
        return Step(name, False, _ms(started), "ADAPTER_FAILED")
    return Step(name, True, _ms(started), said)


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1_000)


async def _addresses(asked: URL, policy: EgressPolicy) -> list[str]:
    host, port = asked.raw_host or "", asked.port or 0
    with suppress(ValueError):
        literal = str(ipaddress.ip_address(host))
        if not policy.allows(literal):
            raise StepFailed("ADDRESS_NOT_ALLOWED")
        return [literal]
    resolver = PublicResolver(policy)
    try:
        found = await resolver.resolve(host, port, socket.AF_UNSPEC)
    except AddressRefused:
        raise StepFailed("ADDRESS_NOT_ALLOWED") from None
    except OSError:
        raise StepFailed("NAME_UNKNOWN") from None
    finally:
        await resolver.close()
    if not found:
        raise StepFailed("NAME_UNKNOWN")
    return [each["host"] for each in found]


async def _connect(asked: URL, addresses: list[str]) -> None:
    secure = asked.scheme == "https"
    context = ssl.create_default_context() if secure else None
    reason = "UNREACHABLE"
    for address in addresses:
        try:
            _, writer = await asyncio.open_connection(
                address,
                asked.port,
                ssl=context,
                server_hostname=asked.raw_host if secure else None,
            )
        except ssl.SSLError:
            reason = "TLS_FAILED"
        except OSError:
            continue
        else:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return
    raise StepFailed(reason)
