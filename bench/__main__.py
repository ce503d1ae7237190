"""`make bench`: measures on the embedded stack and prints JSON lines; `ONLY` names one subject."""

from __future__ import annotations

import asyncio
import os
import sys

from bench import accepts, gateway, live, loan, pipeline, providers, webhooks

SUBJECTS = {
    "loan": loan.measure,
    "pipeline": pipeline.measure,
    "live": live.measure,
    "gateway": gateway.measure,
    "providers": providers.measure,
    "accepts": accepts.measure,
    "webhooks": webhooks.measure,
}


def main() -> None:
    """Run the subjects asked for, one after the other."""
    only = os.environ.get("ONLY") or None
    if only is not None and only not in SUBJECTS:
        sys.exit(f"bench: there is no subject {only!r}; there are: {', '.join(SUBJECTS)}")
    for name, measure in SUBJECTS.items():
        if only in (None, name):
            for figure in asyncio.run(measure()):
                print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
