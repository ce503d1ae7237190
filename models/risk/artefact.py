"""The model on disk: plain arrays and a manifest that vouches for them; nothing is unpickled."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.domain.risk import POINTS_PER_LOG_ODDS, SCORE_OFFSET
from models.risk.features import FEATURES
from models.risk.trees import FlatTrees

DIRECTORY: Final = Path(__file__).parent / "artifacts"
ARRAYS_FILE: Final = "credit_v1.npz"
MANIFEST_FILE: Final = "credit_v1.json"
VERSION: Final = "credit-v1"

RANGE_COLUMNS: Final = ("least", "percentile_1", "percentile_99", "greatest")

Floats = NDArray[np.float64]


class ModelUnavailable(RuntimeError):
    """There is no model that may be used; every application goes to a person."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """The stored model: trees, what the training data looked like, and answers to check against."""

    trees: FlatTrees
    ranges: Floats  # (n_features, 4), see RANGE_COLUMNS
    check_features: Floats  # (n_checks, n_features)
    check_margins: Floats  # (n_checks,) scikit-learn's own margins
    check_pds: Floats  # (n_checks,) scikit-learn's own predict_proba

    def to_bytes(self) -> bytes:
        """The same model gives the same bytes: entries in order, without compression or times."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            **self.trees.arrays(),
            ranges=self.ranges,
            check_features=self.check_features,
            check_margins=self.check_margins,
            check_pds=self.check_pds,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Artefact:
        """Raises ValueError, KeyError or zipfile.BadZipFile for what is not such a model."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        artefact = cls(
            trees=FlatTrees.from_arrays(arrays),
            ranges=np.asarray(arrays["ranges"], dtype=np.float64),
            check_features=np.asarray(arrays["check_features"], dtype=np.float64),
            check_margins=np.asarray(arrays["check_margins"], dtype=np.float64),
            check_pds=np.asarray(arrays["check_pds"], dtype=np.float64),
        )
        artefact._check_shapes()
        return artefact

    def _check_shapes(self) -> None:
        checks, width = self.check_features.shape
        if width != len(FEATURES) or int(self.trees.feature.max()) >= width:
            raise ValueError("the trees read features the code does not have")
        if self.ranges.shape != (width, len(RANGE_COLUMNS)):
            raise ValueError("ranges do not match the features")
        if not np.isfinite(self.ranges).all() or (np.diff(self.ranges, axis=1) < 0).any():
            raise ValueError("ranges are not in order")
        if not checks or self.check_margins.shape != (checks,) or self.check_pds.shape != (checks,):
            raise ValueError("stored answers do not match the stored questions")


def code_contract() -> dict[str, Any]:
    """What a manifest must say for this code to use the model: the features and the score."""
    return {
        "features": [
            {
                "name": feature.name,
                "direction": feature.direction,
                "group": feature.group,
                "reason_code": feature.reason_code,
            }
            for feature in FEATURES
        ],
        "score": {"offset": SCORE_OFFSET, "points_per_log_odds": POINTS_PER_LOG_ODDS},
    }


def read_verified(directory: Path) -> tuple[Artefact, dict[str, Any]]:
    """The stored model and its manifest, after its digest and feature list were compared.

    Raises ModelUnavailable if a file is missing, damaged or made for other features.
    """
    try:
        manifest = json.loads((directory / MANIFEST_FILE).read_text(encoding="utf-8"))
        # Read once: the bytes that are verified are the bytes that are used.
        data = (directory / ARRAYS_FILE).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelUnavailable("the model's files cannot be read") from error
    if not isinstance(manifest, dict) or manifest.get("model_version") != VERSION:
        raise ModelUnavailable("the manifest is not of this model")
    if hashlib.sha256(data).hexdigest() != manifest.get("sha256"):
        raise ModelUnavailable("the model is not the one its manifest describes")
    for key, expected in code_contract().items():
        if manifest.get(key) != expected:
            raise ModelUnavailable(f"the model was made for other {key} than the code's")
    try:
        return Artefact.from_bytes(data), manifest
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelUnavailable("the model's arrays are not usable") from error


def write(directory: Path, artefact: Artefact, description: dict[str, Any]) -> dict[str, Any]:
    """Stores the model and its manifest; returns the manifest."""
    data = artefact.to_bytes()
    manifest = {
        "model_version": VERSION,
        "sha256": hashlib.sha256(data).hexdigest(),
        **code_contract(),
        **description,
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ARRAYS_FILE).write_bytes(data)
    text = json.dumps(manifest, indent=2, allow_nan=False)
    (directory / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
    return manifest
