"""Strict YAML: small files, no repeated keys, no anchors, no tags beyond the plain ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

MAX_FILE_BYTES: Final = 64 * 1024  # some hundred rules; more is not reviewed by anybody


class YAMLInvalid(ValueError):
    """A file cannot be read as strict YAML; the message says why."""


class _StrictLoader(yaml.SafeLoader):
    """Refuses what makes a file mean something else than what a reviewer reads."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call] # absent from PyYAML's stubs
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise YAMLInvalid("anchors and aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(not isinstance(key, str) for key in keys):
            raise YAMLInvalid("every key is a text")
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise YAMLInvalid(f"repeated key {sorted(repeated)[0]!r}")
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> Any:
    """The content of a file. Raises YAMLInvalid."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise YAMLInvalid(f"larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except OSError as error:
        raise YAMLInvalid(f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise YAMLInvalid(f"not YAML: {str(error)[:200]}") from error
