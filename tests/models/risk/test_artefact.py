"""The stored model: verified before it is used, refused when anything about it is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.risk.artefact import (
    ARRAYS_FILE,
    DIRECTORY,
    MANIFEST_FILE,
    Artefact,
    ModelUnavailable,
    read_verified,
    write,
)
from models.risk.card import render_card
from models.risk.features import DIRECTIONS, FEATURE_NAMES
from models.risk.scoring import LoadedModel


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DIRECTORY, tmp_path / "artifacts"))


def manifest_of(directory: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((directory / MANIFEST_FILE).read_text(encoding="utf-8"))
    return loaded


def set_manifest(directory: Path, **changes: Any) -> None:
    text = json.dumps({**manifest_of(directory), **changes})
    (directory / MANIFEST_FILE).write_text(text, encoding="utf-8")


def set_arrays(directory: Path, data: bytes) -> None:
    """Other arrays, with a manifest that vouches for them."""
    (directory / ARRAYS_FILE).write_bytes(data)
    set_manifest(directory, sha256=hashlib.sha256(data).hexdigest())


def test_the_manifest_describes_the_arrays() -> None:
    manifest = manifest_of(DIRECTORY)
    data = (DIRECTORY / ARRAYS_FILE).read_bytes()
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert tuple(entry["name"] for entry in manifest["features"]) == FEATURE_NAMES
    assert tuple(entry["direction"] for entry in manifest["features"]) == DIRECTIONS
    artefact = Artefact.from_bytes(data)
    assert manifest["baseline_margin"] == artefact.trees.baseline_margin()
    assert artefact.trees.roots.size == manifest["parameters"]["max_iter"]
    trees = artefact.trees
    for index, name in enumerate(FEATURE_NAMES):
        splits = ((trees.feature == index) & (trees.left >= 0)).sum()
        assert manifest["splits"][name] == splits, name


def test_the_card_is_the_manifest_s() -> None:
    card = (DIRECTORY.parent / "CARD.md").read_text(encoding="utf-8")
    assert card == render_card(manifest_of(DIRECTORY))


def test_the_measured_model_is_fit_for_use() -> None:
    test = manifest_of(DIRECTORY)["metrics"]["test"]
    assert test["auc_low"] > 0.6
    assert abs(test["mean_pd_z"]) < 2
    assert 0.8 < test["calibration_slope"] < 1.25


def test_the_same_model_is_stored_as_the_same_bytes(tmp_path: Path) -> None:
    artefact, manifest = read_verified(DIRECTORY)
    written = write(tmp_path / "again", artefact, manifest)
    assert (tmp_path / "again" / ARRAYS_FILE).read_bytes() == (DIRECTORY / ARRAYS_FILE).read_bytes()
    assert written["sha256"] == manifest["sha256"]


def truncate(directory: Path) -> None:
    data = (directory / ARRAYS_FILE).read_bytes()
    (directory / ARRAYS_FILE).write_bytes(data[: len(data) // 2])


def flip_one_bit(directory: Path) -> None:
    data = bytearray((directory / ARRAYS_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (directory / ARRAYS_FILE).write_bytes(bytes(data))


def reorder_features(directory: Path) -> None:
    set_manifest(directory, features=manifest_of(directory)["features"][::-1])


def store_a_pickle(directory: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, roots=np.array([{"an": "object"}], dtype=object))
    set_arrays(directory, buffer.getvalue())


def change_one_leaf(directory: Path) -> None:
    artefact, _ = read_verified(directory)
    value = artefact.trees.value.copy()
    value[np.flatnonzero(artefact.trees.left < 0)] -= 1e-9
    trees = replace(artefact.trees, value=value)
    set_arrays(directory, replace(artefact, trees=trees).to_bytes())


def change_a_stored_pd(directory: Path) -> None:
    artefact, _ = read_verified(directory)
    set_arrays(directory, replace(artefact, check_pds=artefact.check_pds * 0.99).to_bytes())


def change_the_last_bit_of_a_stored_margin(directory: Path) -> None:
    artefact, _ = read_verified(directory)
    margins = np.nextafter(artefact.check_margins, np.inf)
    set_arrays(directory, replace(artefact, check_margins=margins).to_bytes())


def drop_an_array(directory: Path) -> None:
    with np.load(directory / ARRAYS_FILE, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "threshold"}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    set_arrays(directory, buffer.getvalue())


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: (directory / ARRAYS_FILE).unlink(),
        lambda directory: (directory / MANIFEST_FILE).unlink(),
        lambda directory: (directory / MANIFEST_FILE).write_text("{", encoding="utf-8"),
        lambda directory: (directory / MANIFEST_FILE).write_text("[]", encoding="utf-8"),
        lambda directory: (directory / MANIFEST_FILE).write_bytes(b"\xff\xfe"),
        lambda directory: set_manifest(directory, sha256="0" * 64),
        lambda directory: set_manifest(directory, sha256=None),
        lambda directory: set_manifest(directory, model_version="credit-v2"),
        lambda directory: set_manifest(directory, score={"offset": 500.0}),
        lambda directory: set_manifest(directory, baseline_margin=0.0),
        lambda directory: set_manifest(directory, baseline_margin="high"),
        lambda directory: set_manifest(directory, baseline_margin=None),
        lambda directory: set_arrays(directory, b""),
        lambda directory: set_arrays(directory, b"no archive"),
        truncate,
        flip_one_bit,
        reorder_features,
        store_a_pickle,
        change_one_leaf,
        change_a_stored_pd,
        change_the_last_bit_of_a_stored_margin,
        drop_an_array,
    ],
)
def test_a_damaged_model_is_refused(damage: Callable[[Path], object], copy: Path) -> None:
    LoadedModel.load(copy)
    damage(copy)
    with pytest.raises(ModelUnavailable):
        LoadedModel.load(copy)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        LoadedModel.load(tmp_path / "nowhere")
