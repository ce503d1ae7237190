"""`make client`: make everything that is published anew."""

from __future__ import annotations

from pathlib import Path

from api.problems import catalogue_page
from clients.generate import postman, python_client
from clients.generate.document import published
from settings import ROOT


def everything() -> dict[Path, str]:
    """What is published, by file."""
    document = published()
    return {
        **python_client.files(document),
        **postman.files(document),
        ROOT / "docs" / "problems.md": catalogue_page(),
    }


def main() -> None:
    """Write what differs, and say so."""
    for path, text in everything().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"made {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
