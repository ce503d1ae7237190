"""What workers lend to workflows must be loaded whole: an import within the sandbox fails."""

from __future__ import annotations

import subprocess
import sys

from settings import ROOT

SCRIPT = """
import sys
from adapters.chain.eip712 import verify_acceptance
from models.domain.offer import Acceptance
before = set(sys.modules)
acceptance = Acceptance("0x" + "11" * 32, "0x" + "22" * 20, 1, 2, "0x" + "33" * 64 + "1b")
verify_acceptance(1, "0x" + "44" * 20, "0x" + "22" * 20, acceptance)
print(*sorted(set(sys.modules) - before))
"""


def test_the_first_check_of_a_signature_imports_nothing() -> None:
    first_check = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert first_check.returncode == 0, first_check.stderr
    assert first_check.stdout.split() == []
