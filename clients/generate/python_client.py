"""The Python client: its types and one method an operation, awaited or not."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from clients.generate.document import KEY_HEADER, Operation, Parameter, read
from clients.generate.types_of import Types, docstring
from settings import ROOT

PACKAGE: Final = ROOT / "clients" / "python" / "caas_client"

_MADE: Final = "Made of the API's description by `make client`; changes belong there."
_TYPES: Final = '''"""What is sent to the API and what it answers.

{made}
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

{types}
'''
_OPERATIONS: Final = '''"""The API's operations.

{made}
"""

from __future__ import annotations

from typing import Any, Final

from ._transport import AsyncTransport, Transport
from .types import {types}

API_VERSION: Final = {version!r}

{classes}
'''


def files(document: dict[str, Any]) -> dict[Path, str]:
    """The generated files, formatted."""
    types = Types(document["components"]["schemas"])
    classes = _classes(read(document), types)
    version = next(
        each["schema"]["enum"][0]
        for item in document["paths"].values()
        for operation in item.values()
        for each in operation.get("parameters", ())
        if each["name"] == "API-Version"
    )
    rendered = types.rendered()
    named = [
        line.removeprefix("class ").partition("(")[0].partition(" = ")[0]
        for line in rendered.splitlines()
        if line.startswith("class ") or (" = " in line and line[0].isupper())
    ]
    used = [name for name in sorted(named) if _is_used(name, classes)]
    return {
        PACKAGE / "types.py": formatted(_TYPES.format(made=_MADE, types=rendered)),
        PACKAGE / "operations.py": formatted(
            _OPERATIONS.format(made=_MADE, types=", ".join(used), version=version, classes=classes)
        ),
    }


def formatted(source: str) -> str:
    """The source as this project formats its own."""
    command = [sys.executable, "-m", "ruff"]
    stdin = ["--stdin-filename", "clients/python/caas_client/made.py", "-"]
    for step in (["check", "--select", "I,F401", "--fix", "--quiet"], ["format", "--quiet"]):
        source = subprocess.run(  # noqa: S603 - our own formatter on our own source
            [*command, *step, *stdin],
            input=source, capture_output=True, text=True, check=True, cwd=ROOT,
        ).stdout  # fmt: skip
    return source


def _is_used(name: str, source: str) -> bool:
    return re.search(rf"\b{name}\b", source) is not None


def _classes(operations: list[Operation], types: Types) -> str:
    made: list[str] = []
    members: dict[str, list[str]] = {"": [], "Async": []}
    ordered = sorted(operations, key=lambda each: each.subject)
    for subject, group in groupby(ordered, key=lambda each: each.subject):
        of_subject = list(group)
        for prefix in ("", "Async"):
            name = prefix + subject.title().replace("_", "")
            members[prefix].append(f"        self.{subject} = {name}(transport)")
            methods = "\n\n".join(_method(each, types, awaited=bool(prefix)) for each in of_subject)
            made.append(
                f'class {name}:\n    """Operations of `{subject}`."""\n\n'
                f"    def __init__(self, transport: {prefix}Transport) -> None:\n"
                f"        self._transport = transport\n\n{methods}\n"
            )
    for prefix, said in (("", "each call waits"), ("Async", "each call is awaited")):
        made.append(
            f'class {prefix}Operations:\n    """All operations by subject; {said}."""\n\n'
            f"    def __init__(self, transport: {prefix}Transport) -> None:\n"
            + "\n".join(members[prefix])
            + "\n"
        )
    return "\n\n".join(made)


def _method(operation: Operation, types: Types, *, awaited: bool) -> str:
    hint = operation.subject.title() + operation.verb.title().replace("_", "")
    path = [each for each in operation.parameters if each.place == "path"]
    others = [each for each in operation.parameters if each.place != "path"]
    arguments = ["self", *(f"{each.argument}: str" for each in path)]
    if operation.body is not None:
        body = types.annotation(operation.body["schema"], hint + "Body")
        arguments.append(f"body: {body}")
    keywords = [_keyword(each, types) for each in sorted(others, key=_optional)]
    if keywords:
        arguments += ["*", *keywords]
    answered = "None"
    if operation.answer is not None:
        answered = types.annotation(operation.answer, hint + "Answer")
    template = operation.path
    for each in path:
        template = template.replace(f"{{{each.name}}}", f"{{_quoted({each.argument})}}")
    url = f'f"{template}"' if path else f'"{template}"'
    call = [f'"{operation.method}"', url.replace("_quoted", "self._transport.quoted")]
    if operation.body is not None:
        call.append("body=body")
    for place in ("query", "header"):
        if of_place := [each for each in others if each.place == place]:
            pairs = ", ".join(f'"{each.name}": {each.argument}' for each in of_place)
            call.append(f"{place}={{{pairs}}}")
    if any(each.name == KEY_HEADER for each in others):
        call.append("write=True")
    asked = f"self._transport.ask({', '.join(call)})"
    asked = f"await {asked}" if awaited else asked
    statement = f"answer: {answered} = {asked}\n        return answer"
    about = docstring(_about(operation), " " * 8)
    define = "async def" if awaited else "def"
    return (
        f"    {define} {operation.verb}({', '.join(arguments)}) -> {answered}:\n"
        f"{about}\n        {statement if answered != 'None' else asked}"
    )


def _optional(parameter: Parameter) -> bool:
    return not parameter.required or parameter.name == KEY_HEADER


def _keyword(parameter: Parameter, types: Types) -> str:
    annotation = types.annotation(parameter.schema, parameter.argument.title())
    if not _optional(parameter):
        return f"{parameter.argument}: {annotation}"
    return f"{parameter.argument}: {annotation.removesuffix(' | None')} | None = None"


def _about(operation: Operation) -> str:
    """What it does: the summary and the description's first paragraph, once."""
    said = operation.description.strip().split("\n\n")[0].replace("\n", " ")
    if said.startswith(operation.summary):
        return said
    return f"{operation.summary}.\n\n{said}"
