"""`python -m api` serves the API."""

from __future__ import annotations

from api.server import main

main()
