"""The deployment's files, as Docker would read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / "deploy/caas.env.example"
OUR_IMAGE = "credit-as-a-service:"

# ${NAME:?} and ${NAME:-default}: the only forms the file uses.
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::\?|:-(?P<default>[^}]*))\}")


class MissingValue(Exception):
    """A variable that has to have a value has none."""


def example() -> dict[str, str]:
    """The example's variables as they stand there, empty ones included."""
    return {name: text or "" for name, text in dotenv_values(EXAMPLE, interpolate=False).items()}


def variables() -> dict[str, bool]:
    """Every variable of the compose file, and whether it has to have a value."""
    found: dict[str, bool] = {}
    for match in _VARIABLE.finditer(COMPOSE.read_text(encoding="utf-8")):
        found[match["name"]] = found.get(match["name"], False) or match["default"] is None
    return found


def services(values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The services with these values in place; raises MissingValue as Docker would refuse."""
    return dict(_filled(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"], values))


def ours(values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Those of the services that run our image."""
    return {
        name: service
        for name, service in services(values).items()
        if service["image"].startswith(OUR_IMAGE)
    }


def copied() -> list[tuple[str, str]]:
    """What the image has of the repository: (source, place in the image)."""
    found = []
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, place = line.split()[1:]
            found += [
                (source, place + Path(source).name if place == "./" else place)
                for source in sources
            ]
    return found


def _filled(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    return _VARIABLE.sub(lambda match: _value(match, values), node) if "${" in str(node) else node


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    value = values.get(match["name"], "") or match["default"]
    if value is None:
        raise MissingValue(match["name"])
    return str(value)
