"""A stand-in for Vault's KV version 2 and AppRole, no more of them than our client uses.

It keeps to the answers that a real server was seen to give (OpenBao 2.7, see the test beside it).
"""

from __future__ import annotations

import secrets
from typing import Any

from aiohttp import web

ROOT = "root-token"


class KeyValueVault:
    """Serves one mount called `secret`, one AppRole, and the root token."""

    def __init__(self) -> None:
        self.versions: dict[str, list[dict[str, str] | None]] = {}
        self.role_id, self.secret_id = "role", secrets.token_hex(8)
        self.tokens = {ROOT}
        self.sealed = False
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/auth/approle/login", self._login)
        app.router.add_route("*", "/v1/secret/{operation}/{path:.+}", self._secret)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return runner

    def forget_tokens(self) -> None:
        """As when their leases have ended."""
        self.tokens.clear()

    async def _login(self, request: web.Request) -> web.Response:
        told = await request.json()
        if (told["role_id"], told["secret_id"]) != (self.role_id, self.secret_id):
            return _errors(400, "invalid role or secret ID")
        token = secrets.token_hex(8)
        self.tokens.add(token)
        return web.json_response({"auth": {"client_token": token, "lease_duration": 60}})

    async def _secret(self, request: web.Request) -> web.Response:
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if request.headers.get("x-vault-token") not in self.tokens:
            return _errors(403, "permission denied")
        path = request.match_info["path"]
        kept = self.versions.setdefault(path, [])
        match request.method, request.match_info["operation"]:
            case "POST", "data":
                kept.append((await request.json())["data"])
                return web.json_response({"data": {"version": len(kept), "destroyed": False}})
            case "GET", "data":
                return self._read(kept, int(request.query["version"]))
            case "POST", "destroy":
                for version in (await request.json())["versions"]:
                    kept[version - 1] = None
                return web.Response(status=204)
        return _errors(405, "unsupported operation")

    def _read(self, kept: list[dict[str, str] | None], version: int) -> web.Response:
        if not 0 < version <= len(kept):
            return _errors(404)
        found: Any = kept[version - 1]
        answer = {"data": {"data": found, "metadata": {"version": version, "destroyed": not found}}}
        return web.json_response(answer, status=200 if found else 404)


def _errors(status: int, *texts: str) -> web.Response:
    return web.json_response({"errors": list(texts)}, status=status)
