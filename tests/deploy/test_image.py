"""Dockerfile: what can be known of it without an engine."""

import re
from pathlib import Path

from tests.deploy.deployment import ROOT, copied

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PRODUCT = ("models", "activities", "workflows", "adapters", "api")


def test_what_is_copied_is_there_and_not_kept_from_the_builder() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    sources = {source.rstrip("/") for source, _ in copied()}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_has_the_whole_product_and_nothing_of_the_sandbox() -> None:
    sources = {source.rstrip("/") for source, _ in copied()}
    assert sources >= {*PRODUCT, "settings.py", "wiring.py", "worker.py", "cli.py"}
    assert not {Path(source).parts[0] for source in sources} & {"sandbox", "bench", "tests"}


def test_packages_are_those_of_the_lock_file_by_their_hashes() -> None:
    [install] = re.findall(r"^RUN .*pip install.*$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in install
    assert "runtime.lock" in install
    lock = (ROOT / "requirements/runtime.lock").read_text()
    assert lock.count("==") <= lock.count("--hash=sha256:")


def test_every_stage_starts_from_the_same_full_version_of_the_locked_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


def test_the_image_runs_as_a_user_of_no_rights_that_compose_names_too() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert users == ["10001:10001"]
    after = DOCKERFILE.partition("USER 10001")[2]
    assert not re.search(r"^(RUN|COPY|ADD) ", after, re.MULTILINE)
