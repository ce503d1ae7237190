"""Telling a stack's counterparties how to behave; rules as counterparties/steering.py has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from sandbox.stack import Stack


async def steer(
    stack: Stack, counterparty: str, rules: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Add rules, or replace those of the same id; returns all rules that stand.

    Raises httpx.HTTPStatusError when a rule is malformed, KeyError for an unknown counterparty.
    """
    return await _call(stack, counterparty, "POST", "/steering", {"rules": list(rules)})


async def steered(stack: Stack, counterparty: str) -> list[dict[str, Any]]:
    """The rules that stand; `took_effect` says how often each applied."""
    return await _call(stack, counterparty, "GET", "/steering")


async def unsteer(
    stack: Stack, counterparty: str, rule_id: str | None = None
) -> list[dict[str, Any]]:
    """Forget one rule, or all; returns those that are left."""
    path = "/steering" if rule_id is None else f"/steering/{rule_id}"
    return await _call(stack, counterparty, "DELETE", path)


async def _call(
    stack: Stack, counterparty: str, method: str, path: str, body: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {stack.steering_secret}"}
    url = stack.counterparty_url(counterparty)
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        answer = await client.request(method, path, json=body, timeout=10.0)
    answer.raise_for_status()
    rules: list[dict[str, Any]] = answer.json()["rules"]
    return rules
