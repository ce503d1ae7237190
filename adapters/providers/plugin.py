"""Lenders' adapters as plugins: found by entry point or import path, opened with checked settings.

A plugin is one object. It names itself in its manifest, says with two pydantic models what it has
to be told (`config`, which may be shown, and `credentials`, which never are), and opens an adapter:

    PLUGIN = Plugin(manifest=MANIFEST, config=MyConfig, credentials=MyCredentials, open=MyProvider)

Whatever every adapter needs (deadline, rate limit, concurrency, circuit breaker, error classes,
metrics, logs) is put around it elsewhere; an adapter only speaks its lender's language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from activities.ports.credit_provider import CreditProvider
from adapters.chain.signature import is_address
from adapters.http import HTTPCaller
from models.domain.offer import LoanTerms
from models.domain.provider import Manifest

if TYPE_CHECKING:
    from adapters.chain.rpc import JSONRPCProvider

ENTRY_POINTS: Final = "caas.providers"

SHIPPED: Final = (
    "adapters.providers.bank:PLUGIN",
    "adapters.providers.fintech:PLUGIN",
    "adapters.providers.pool:PLUGIN",
    "adapters.providers.soap_bank:PLUGIN",
)


def _checksummed(text: str) -> str:
    # It is compared, letter by letter, with the one a lender's terms name.
    if not is_address(text):
        raise ValueError("must be an address in its EIP-55 spelling")
    return text


LenderAddress = Annotated[str, AfterValidator(_checksummed)]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096)]


class PluginUnusable(ValueError):
    """The import path does not lead to a plugin, or two plugins have one name."""


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


class Told(BaseModel):
    """What an adapter is told; unknown names are refused, and errors never quote a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Opening:
    """What an adapter is opened with; `config` and `credentials` are of the plugin's own models.

    `caller` is bounded and bound to the provider's address. `rpc` opens a reader of the settlement
    chain, for those who need one. `terms_hash` is the EIP-712 hash both parties sign.
    """

    provider_id: str
    config: Any
    credentials: Any
    caller: HTTPCaller
    rpc: Callable[[], JSONRPCProvider]
    terms_hash: Callable[[LoanTerms], str]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Plugin:
    """One adapter, as it is found."""

    manifest: Manifest
    config: type[BaseModel]
    credentials: type[BaseModel]
    open: Callable[[Opening], CreditProvider]


def plugins(import_paths: Iterable[str] = ()) -> Mapping[str, Plugin]:
    """All plugins by their adapter's name: those shipped, installed, and configured.

    Raises PluginUnusable: a plugin that is named but cannot be loaded would be a lender nobody
    asks.
    """
    installed = (point.value for point in entry_points(group=ENTRY_POINTS))
    found: dict[str, Plugin] = {}
    for path in dict.fromkeys((*SHIPPED, *installed, *import_paths)):
        plugin = _plugin_at(path)
        name = plugin.manifest.adapter
        if name in found:
            raise PluginUnusable(f"{path}: there is another adapter called {name!r}")
        found[name] = plugin
    return found


def _plugin_at(path: str) -> Plugin:
    module, _, name = path.partition(":")
    try:
        plugin = getattr(import_module(module), name or "PLUGIN")
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginUnusable(f"{path}: {type(error).__name__}") from error
    if not isinstance(plugin, Plugin):
        raise PluginUnusable(f"{path}: is no Plugin")
    return plugin
