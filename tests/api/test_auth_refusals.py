"""Every endpoint of identity refuses whom it should, and says no more than it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.auth import Principal
from api.roles import EMPLOYABLE, INVITABLE, ROLE_TABLE, SCOPE_TABLE, Action, Role, Scope, scopes_of
from models.domain.accounts import SignInRefused
from models.domain.errors import Unavailable
from tests.api.answers import framed, problem
from tests.api.no_accounts import NoAccounts

KEY = {"idempotency-key": "0123456789abcdef"}
USR, INV, SVC, KEYS = (f"{prefix}_{'0' * 32}" for prefix in ("usr", "inv", "svc", "key"))
LOGIN = {"tenant": "acme", "email": "ada@example.org", "password": "heron-lantern-quarry"}
REGISTER = {**LOGIN, "name": "Ada"}
TENANT = {"tenant": "beta", "registration_open": True, "admin_email": "ada@example.org"}

# (method, path, body, the action it needs)
DOORS: list[tuple[str, str, Any, Action]] = [
    ("GET", "/auth/profile", None, Action.READ_PROFILE),
    ("GET", "/api/v1/accounts", None, Action.READ_ACCOUNTS),
    ("GET", "/api/v1/invitations", None, Action.READ_ACCOUNTS),
    ("GET", "/api/v1/service-accounts", None, Action.READ_ACCOUNTS),
    ("GET", f"/api/v1/service-accounts/{SVC}/keys", None, Action.READ_ACCOUNTS),
    ("POST", "/api/v1/tenants", TENANT, Action.OPEN_TENANT),
    ("POST", f"/api/v1/accounts/{USR}/status", {"status": "active", "reason": "back"},
     Action.MANAGE_ACCOUNTS),
    ("POST", "/api/v1/invitations", {"email": "a@b.example", "roles": ["support"]},
     Action.MANAGE_ACCOUNTS),
    ("POST", f"/api/v1/invitations/{INV}/revocation", None, Action.MANAGE_ACCOUNTS),
    ("POST", "/api/v1/service-accounts", {"name": "Checkout", "roles": ["integrator"]},
     Action.MANAGE_ACCOUNTS),
    ("POST", f"/api/v1/service-accounts/{SVC}/keys", {}, Action.MANAGE_ACCOUNTS),
    ("POST", f"/api/v1/service-accounts/{SVC}/keys/{KEYS}/rotation", {}, Action.MANAGE_ACCOUNTS),
    ("POST", f"/api/v1/service-accounts/{SVC}/keys/{KEYS}/revocation", None,
     Action.MANAGE_ACCOUNTS),
]  # fmt: skip
NAMES = [f"{method} {path}" for method, path, _, _ in DOORS]


async def ask(
    http: httpx.AsyncClient, door: tuple[str, str, Any, Action], headers: dict[str, str]
) -> httpx.Response:
    method, path, body, _ = door
    return await http.request(method, path, json=body, headers={**KEY, **headers})


@pytest.mark.parametrize("door", DOORS, ids=NAMES)
async def test_without_a_token_nothing_opens(http: httpx.AsyncClient, door: Any) -> None:
    problem(await ask(http, door, {}), 401, "UNAUTHENTICATED")
    problem(await ask(http, door, {"authorization": "Basic YTpi"}), 401, "UNAUTHENTICATED")
    cookie = {"cookie": "caas_session=caas_key~acme~x~y"}
    problem(await ask(http, door, cookie), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("role", [each for each in Role if each is not Role.PLATFORM_ADMIN])
@pytest.mark.parametrize("door", DOORS, ids=NAMES)
async def test_the_role_table_decides(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], door: Any, role: Role
) -> None:
    answer = await ask(http, door, bearer(role.value))
    if role in ROLE_TABLE[door[3]]:
        assert answer.status_code in (200, 404), answer.text  # nobody has an account here
        framed(answer)
    else:
        problem(answer, 403, "NOT_ALLOWED")


@pytest.mark.parametrize(
    ("door", "wrong"),
    [
        (6, f"/api/v1/accounts/{INV}/status"),
        (8, "/api/v1/invitations/x/revocation"),
        (4, "/api/v1/service-accounts/svc_/keys"),
        (10, f"/api/v1/service-accounts/{KEYS}/keys"),
        (11, f"/api/v1/service-accounts/{SVC}/keys/{SVC}/rotation"),
        (12, f"/api/v1/service-accounts/{SVC}/keys/%00/revocation"),
    ],
)
async def test_what_is_no_id_is_absent(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], door: int, wrong: str
) -> None:
    method, _, body, _ = DOORS[door]
    answer = await http.request(method, wrong, json=body, headers={**KEY, **bearer("tenant_admin")})
    problem(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "role", ["applicant", "integrator", "platform_admin", "provider", "tenant_admin", "root"]
)
async def test_nobody_hands_out_what_is_not_theirs(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], role: str
) -> None:
    admin = {**KEY, **bearer("tenant_admin")}
    body = {"email": "a@b.example", "roles": ["support", role]}
    invited = await http.post("/api/v1/invitations", json=body, headers=admin)
    body = {"name": "Checkout", "roles": ["integrator", role]}
    employed = await http.post("/api/v1/service-accounts", json=body, headers=admin)
    known = role in set(Role)
    may_invite = known and role in INVITABLE[Role.TENANT_ADMIN]
    may_employ = known and role in EMPLOYABLE[Role.TENANT_ADMIN]
    for answer, may in ((invited, may_invite), (employed, may_employ)):
        if may:
            assert answer.status_code == 404
        else:
            problem(answer, 422, "ROLE_NOT_YOURS_TO_GIVE" if known else "VALIDATION_FAILED")


async def test_nobody_suspends_themselves(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    headers = {**KEY, **bearer("tenant_admin", subject=USR)}
    body = {"status": "suspended", "reason": "tired"}
    answer = await http.post(f"/api/v1/accounts/{USR}/status", json=body, headers=headers)
    problem(answer, 409, "OWN_ACCOUNT")


# Signing in.

BAD_BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/auth/login", {}),
    ("/auth/login", {**LOGIN, "tenant": "ac/me"}),
    ("/auth/login", {**LOGIN, "tenant": "a" * 65}),
    ("/auth/login", {**LOGIN, "email": "ada"}),
    ("/auth/login", {**LOGIN, "email": "ada@example.org\n"}),
    ("/auth/login", {**LOGIN, "email": "a" * 300 + "@example.org"}),
    ("/auth/login", {**LOGIN, "email": 7}),
    ("/auth/login", {**LOGIN, "password": ""}),
    ("/auth/login", {**LOGIN, "password": "x" * 129}),
    ("/auth/login", {**LOGIN, "password": ["x"]}),
    ("/auth/login", {**LOGIN, "scopes": []}),
    ("/auth/login", {**LOGIN, "scopes": ["everything"]}),
    ("/auth/login", {**LOGIN, "user_id": USR}),
    ("/auth/refresh", {}),
    ("/auth/refresh", {"refresh_token": ""}),
    ("/auth/refresh", {"refresh_token": "x" * 257}),
    ("/auth/refresh", {"refresh_token": "a b"}),
    ("/auth/register", LOGIN),
    ("/auth/register", {**REGISTER, "roles": ["tenant_admin"]}),
    ("/auth/register", {**REGISTER, "name": ""}),
    ("/auth/register", {**REGISTER, "user_id": USR}),
]


@pytest.mark.parametrize(("path", "body"), BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_a_body_of_another_form_is_refused_without_an_echo(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    """Mass assignment among them: nobody registers with a role or an id of their own choice."""
    refusal = await http.post(path, json=body, headers=KEY)
    problem(refusal, 422, "VALIDATION_FAILED")
    for value in body.values():
        if len(str(value)) > 4:
            assert str(value) not in refusal.text


async def test_every_refused_sign_in_is_the_same(http: httpx.AsyncClient) -> None:
    login = await http.post("/auth/login", json=LOGIN)
    refresh = await http.post("/auth/refresh", json={"refresh_token": "anything"})
    problem(login, 401, "SIGN_IN_REFUSED")
    assert login.json() == refresh.json()


async def test_who_tried_too_often_waits(http: httpx.AsyncClient, identity: NoAccounts) -> None:
    identity.refuses_with = SignInRefused(17)
    answer = await http.post("/auth/login", json=LOGIN)
    problem(answer, 429, "SIGN_IN_SLOWED")
    assert answer.headers["retry-after"] == "17"


@pytest.mark.parametrize("path", ["login", "register"])
async def test_too_many_at_once_are_told_to_come_back(
    http: httpx.AsyncClient, identity: NoAccounts, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any) -> Any:
        raise Unavailable("SIGN_IN_BUSY")

    monkeypatch.setattr(identity, path, busy)
    body = LOGIN if path == "login" else REGISTER
    answer = await http.post(f"/auth/{path}", json=body, headers=KEY)
    problem(answer, 503, "SIGN_IN_BUSY")
    assert int(answer.headers["retry-after"]) > 0


async def test_registering_needs_a_key_and_signing_in_takes_none(http: httpx.AsyncClient) -> None:
    problem(await http.post("/auth/register", json=REGISTER), 400, "IDEMPOTENCY_KEY_MISSING")
    short = await http.post("/auth/register", json=REGISTER, headers={"idempotency-key": "x"})
    problem(short, 400, "IDEMPOTENCY_KEY_MALFORMED")
    problem(
        await http.post("/auth/register", json=REGISTER, headers=KEY), 409, "REGISTRATION_CLOSED"
    )


async def test_logging_out_names_the_token_and_never_the_key_that_signed_it(
    http: httpx.AsyncClient, identity: NoAccounts, bearer: Callable[..., dict[str, str]]
) -> None:
    problem(await http.post("/auth/logout"), 401, "UNAUTHENTICATED")
    out = await http.post("/auth/logout", headers=bearer("auditor"))
    assert out.status_code == 204
    [(tenant, subject, revoked, _)] = identity.signed_out
    assert (tenant, subject, len(revoked)) == ("acme", "zelda", 1)


async def test_an_account_kept_elsewhere_has_no_address_here(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    profile = (await http.get("/auth/profile", headers=bearer("auditor"))).json()
    assert (profile["subject"], profile["email"], profile["name"]) == ("zelda", None, None)


# The table.


def test_scopes_narrow_roles_and_never_widen_them() -> None:
    for role in Role:
        for scope in Scope:
            principal = Principal("a", "acme", frozenset({role}), 1, frozenset({scope}))
            for action in Action:
                expected = role in ROLE_TABLE[action] and SCOPE_TABLE[action] is scope
                assert principal.may(action) is expected, (role, scope, action)


def test_every_scope_and_every_role_is_of_use() -> None:
    assert set(SCOPE_TABLE.values()) == set(Scope)
    assert all(scopes_of(frozenset({role})) for role in Role)


def test_who_looks_after_accounts_decides_nothing_else() -> None:
    deciding = {Action.DECIDE_CREDIT_REVIEW, Action.DECIDE_COMPLIANCE_REVIEW, Action.ACCEPT_OFFER}
    for action in deciding:
        assert ROLE_TABLE[action].isdisjoint(ROLE_TABLE[Action.MANAGE_ACCOUNTS]), action
    for granted in (*INVITABLE.values(), *EMPLOYABLE.values()):
        assert Role.APPLICANT not in granted
    assert Role.PLATFORM_ADMIN not in INVITABLE[Role.TENANT_ADMIN] | EMPLOYABLE[Role.TENANT_ADMIN]
