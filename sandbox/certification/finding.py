"""Finds the plugin that is to be certified."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import import_module

from adapters.providers.plugin import Plugin, PluginUnusable, plugins


def plugin_named(name: str, more: Sequence[str] = ()) -> Plugin:
    """The adapter of this name among all there are, or at this import path.

    Raises PluginUnusable saying which names there are.
    """
    if ":" in name:
        return _imported(name)
    found = plugins(more)
    if name not in found:
        raise PluginUnusable(f"{name}: no such adapter; there are {', '.join(sorted(found))}")
    return found[name]


def configured() -> list[str]:
    """The import paths in CAAS_PLUGINS, where the product finds them too."""
    try:
        paths = json.loads(os.environ.get("CAAS_PLUGINS") or "[]")
    except ValueError:
        raise PluginUnusable("CAAS_PLUGINS is no JSON list of import paths") from None
    return [str(path) for path in paths]


def _imported(path: str) -> Plugin:
    module, _, name = path.partition(":")
    try:
        plugin = getattr(import_module(module), name)
    except Exception as error:  # whatever a module under construction raises
        raise PluginUnusable(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(plugin, Plugin):
        raise PluginUnusable(f"{path} is no Plugin")
    return plugin
