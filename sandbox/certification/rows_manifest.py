"""What a plugin says of itself, before anything is asked of it."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, Final

from pydantic import BaseModel, SecretStr, ValidationError

from models.domain.provider import ANY, Manifest
from sandbox.certification.row import Part, Row
from sandbox.certification.trial import Trial, require, unmet

_NAME: Final = re.compile(r"[a-z][a-z0-9\-]{1,62}")
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")

# Beyond these, one lender could hold up a search or fill a process's memory.
_LONGEST_DEADLINE_S: Final = 30.0
_MOST_BYTES: Final = 10_000_000
_MOST_CONCURRENT: Final = 200
_MOST_REQUESTS_PER_S: Final = 1_000.0


async def manifest_complete(trial: Trial) -> str:
    """Name, version and description, and a counterparty to rehearse with."""
    manifest = trial.ground.plugin.manifest
    require(_NAME.fullmatch(manifest.adapter) is not None, f"is called {manifest.adapter!r}")
    require(_VERSION.fullmatch(manifest.version) is not None, f"has version {manifest.version!r}")
    require(bool(manifest.about.strip()), "says nothing about itself")
    require(manifest.rehearsal is not None, "names no counterparty to rehearse with")
    return f"{manifest.adapter} {manifest.version}, rehearsed with {manifest.rehearsal}"


async def manifest_limits(trial: Trial) -> str:
    """Limits that leave room for others."""
    limits = trial.ground.plugin.manifest.limits
    for name, value, most in (
        ("deadline_s", limits.deadline_s, _LONGEST_DEADLINE_S),
        ("max_bytes", limits.max_bytes, _MOST_BYTES),
        ("concurrency", limits.concurrency, _MOST_CONCURRENT),
        ("requests_per_s", limits.requests_per_s, _MOST_REQUESTS_PER_S),
    ):
        require(0 < value <= most, f"{name} is {value}, not above 0 and at most {most}")
    require(limits.burst >= 1, f"burst is {limits.burst}")
    return f"{limits.deadline_s:g} s, {limits.max_bytes} bytes, {limits.concurrency} at once"


async def appetite_sane(trial: Trial) -> str:
    """An appetite that some loan can satisfy, the rehearsal's among them."""
    manifest = trial.ground.plugin.manifest
    appetite = manifest.appetite
    require(
        1 <= appetite.min_amount_minor <= appetite.max_amount_minor, "no amount is both ends' own"
    )
    require(1 <= appetite.min_term_months <= appetite.max_term_months, "no term is both ends' own")
    _require_codes(manifest)
    refused = appetite.refuses(trial.request)
    require(refused is None, f"it refuses the loan its own rehearsal wants: {refused}")
    return f"{appetite.min_amount_minor} to {appetite.max_amount_minor} minor units"


def _require_codes(manifest: Manifest) -> None:
    for codes, pattern in (
        (manifest.appetite.countries, _COUNTRY),
        (manifest.appetite.currencies, _CURRENCY),
    ):
        wrong = sorted(code for code in codes if code != ANY and not pattern.fullmatch(code))
        require(not wrong, f"these are no codes: {', '.join(wrong)}")
        require(bool(codes), "an empty list refuses every loan")


async def settings_checked(trial: Trial) -> str:
    """A setting that is unknown, or missing, is refused without being quoted."""
    plugin, stage = trial.ground.plugin, trial.ground.stage
    for where, model, told in (
        ("config", plugin.config, stage.config),
        ("credentials", plugin.credentials, stage.credentials),
    ):
        _refused(model, {**told, "surprise": "very-secret-value"}, f"{where} with an unknown name")
        for name in told:
            rest = {key: value for key, value in told.items() if key != name}
            if model.model_fields[name].is_required():
                _refused(model, rest, f"{where} without {name}")
    return "unknown and missing names are refused"


def _refused(model: type[BaseModel], told: dict[str, Any], what: str) -> None:
    try:
        model.model_validate(told)
    except ValidationError as error:
        require("very-secret-value" not in str(error), "the error quotes the value")
        return
    unmet(f"{what} is accepted")


async def credentials_hidden(trial: Trial) -> str:
    """Credentials that no text made from them shows."""
    plugin, stage = trial.ground.plugin, trial.ground.stage
    told = plugin.credentials.model_validate(dict(stage.credentials))
    shown = sorted(
        name
        for name in stage.credentials
        if not isinstance(getattr(told, name), SecretStr)
        and stage.credentials[name] in f"{told!r} {told.model_dump_json()}"
    )
    require(not shown, f"printed in clear: {', '.join(shown)}")
    return "no text shows them"


async def rehearsal_present(trial: Trial) -> str:
    """The counterparty runs by itself, from the module the manifest names."""
    module = trial.ground.plugin.manifest.rehearsal
    assert module is not None
    require(hasattr(import_module(module), "build"), f"{module} builds no application")
    return module


ROWS: Final = tuple(
    Row(name, Part.MANIFEST, expected, run)
    for name, expected, run in (
        ("manifest-complete", "name, version, description, rehearsal", manifest_complete),
        ("manifest-limits", "limits that leave room for others", manifest_limits),
        ("manifest-appetite", "an appetite the rehearsal's loan satisfies", appetite_sane),
        ("manifest-rehearsal", "a counterparty that is there", rehearsal_present),
        ("settings-checked", "unknown and missing names refused, unquoted", settings_checked),
        ("credentials-hidden", "credentials no text shows", credentials_hidden),
    )
)
