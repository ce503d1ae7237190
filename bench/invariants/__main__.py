"""`make invariants`: checks the stack that runs in a state directory (STATE=.demo by default).

Waits until the stack has come to rest, reads all evidence once, prints a JSON line per invariant
(`invariant, violations, checked, examples`), and exits 1 if any was violated.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg
import httpx

from bench.invariants.checks import check_all
from bench.invariants.gathering import gather
from bench.invariants.rest import at_rest
from sandbox.access import Access, NoAccessError

# Longer than the slowest thing that goes on by itself: a settlement behind an outage.
_REST_LIMIT_S = 120.0


async def _check(access: Access) -> bool:
    await (await asyncpg.connect(access.database)).close()  # or say at once that nobody is there
    restless = await at_rest(access, _REST_LIMIT_S)
    if restless:
        print(f"not at rest: {restless}", file=sys.stderr)
    verdicts = await check_all(await gather(access), access)
    for verdict in verdicts:
        print(verdict.line(), flush=True)
    return all(verdict.violations == 0 for verdict in verdicts)


def main() -> None:
    """Check the stack of the directory named on the command line."""
    state_dir = Path(sys.argv[1] if len(sys.argv) > 1 else ".demo").absolute()
    try:
        held = asyncio.run(_check(Access.read(state_dir)))
    except NoAccessError as error:
        sys.exit(str(error))
    except (OSError, asyncpg.PostgresError, httpx.HTTPError) as error:
        sys.exit(f"the stack of {state_dir} does not answer ({type(error).__name__}): start it")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
