"""A wrong setting stops the start with its name and the reason, and never shows its content."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from models.domain.failpoints import ENVIRONMENT_VARIABLE
from settings import (
    ROOT,
    Environment,
    MigrationSettings,
    Settings,
    WrongSetting,
    missing,
    read_settings,
    settings_or_exit,
)

# Marked, so that a leak of any value is found wherever it appears.
CONTENT = "c0ntent-n0b0dy-may-see"
KEY = base64.b64encode(bytes(range(32))).decode()
NEEDED = {"CAAS_MASTER_KEYS": json.dumps({"v1": KEY})}

Read = Callable[..., Settings]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read settings from exactly these variables and nothing of this process's own."""
    for name in list(os.environ):
        if name.upper().startswith("CAAS_"):
            monkeypatch.delenv(name)

    def reading(**variables: str) -> Settings:
        for name, value in {**NEEDED, **variables}.items():
            monkeypatch.setenv(name, value)
        return read_settings(os.environ)

    return reading


WRONG = [
    ("CAAS_ENVIRONMENT", CONTENT, "CAAS_ENVIRONMENT: Input should be 'sandbox' or 'production'"),
    ("CAAS_LOG_LEVEL", CONTENT, "CAAS_LOG_LEVEL: Input should be"),
    ("CAAS_API__PORT", CONTENT, "CAAS_API__PORT: Input should be a valid integer"),
    ("CAAS_API__PORT", "70000", "CAAS_API__PORT: Input should be less than or equal to 65535"),
    ("CAAS_BOGUS", CONTENT, "CAAS_BOGUS: there is no such setting"),
    ("CAAS_DATABSE__APP_URL", CONTENT, "CAAS_DATABSE__APP_URL: there is no such setting"),
    ("CAAS_API__PRT", CONTENT, "CAAS_API__PRT: Extra inputs are not permitted"),
    ("CAAS_OFFERS_DEADLINE_S", "nan", "CAAS_OFFERS_DEADLINE_S: "),
    ("CAAS_OFFERS_DEADLINE_S", "0", "CAAS_OFFERS_DEADLINE_S: Input should be greater than 0"),
    ("CAAS_DATABASE__POOL_SIZE", "0", "CAAS_DATABASE__POOL_SIZE: Input should be greater than"),
    ("CAAS_AUTH__ALGORITHM", "HS256", "CAAS_AUTH__ALGORITHM: Input should be 'EdDSA' or 'ES256'"),
    ("CAAS_AUTH__ACCESS_TOKEN_S", "86400", "CAAS_AUTH__ACCESS_TOKEN_S: Input should be less than"),
    ("CAAS_AUTH__PASSWORD_MEMORY_KIB", "64", "CAAS_AUTH__PASSWORD_MEMORY_KIB: Input should be gre"),
    ("CAAS_AUTH__KEY_LEAD_S", "0", "CAAS_AUTH__KEY_LEAD_S: Input should be greater than or equal"),
    ("CAAS_AUTH__JWT_SECRET", CONTENT, "CAAS_AUTH__JWT_SECRET: Extra inputs are not permitted"),
    (
        "CAAS_ISSUERS",
        json.dumps([{"issuer": CONTENT}]),
        "CAAS_ISSUERS__0: Value error, needs either a jwks_path or a jwks_url",
    ),
    (
        "CAAS_ISSUERS",
        json.dumps([{"issuer": CONTENT, "jwks_path": "/x", "jwks_url": "https://x"}]),
        "CAAS_ISSUERS__0: Value error, needs either a jwks_path or a jwks_url",
    ),
    (
        "CAAS_ISSUERS",
        json.dumps([{"issuer": CONTENT, "jwks_path": "/x", "algorithms": ["HS256"]}]),
        "CAAS_ISSUERS__0__ALGORITHMS__0: Input should be",
    ),
    ("CAAS_TEMPORAL__UI_ORIGIN", CONTENT, "CAAS_TEMPORAL__UI_ORIGIN: Value error, must start"),
    ("CAAS_CHAIN", "{" + CONTENT, "CAAS_CHAIN: Input should be a valid dictionary"),
    ("CAAS_CHAIN__CHAIN_ID", "0", "CAAS_CHAIN__CHAIN_ID: Input should be greater than"),
    ("CAAS_CHAIN__RPC_URL", CONTENT, "CAAS_CHAIN__RPC_URL: Value error, must start with http"),
    ("CAAS_CHAIN__CURRENCY", CONTENT, "CAAS_CHAIN__CURRENCY: Input should be 'USD' or 'EUR'"),
    ("CAAS_CHAIN__CONFIRMATIONS", "0", "CAAS_CHAIN__CONFIRMATIONS: Input should be greater"),
    ("CAAS_IDENTITY__API_KEY", CONTENT, "CAAS_IDENTITY__URL: Field required"),
    ("CAAS_BUREAU__API_KEY", CONTENT, "CAAS_BUREAU__URL: Field required"),
    ("CAAS_NOTIFIER__API_KEY", CONTENT, "CAAS_NOTIFIER__URL: Field required"),
    ("CAAS_KAFKA__PASSWORD", CONTENT, "CAAS_KAFKA__BOOTSTRAP_SERVERS: Field required"),
    (
        "CAAS_KAFKA",
        json.dumps(
            {"bootstrap_servers": "a:1", "security_protocol": "SASL_SSL", "password": CONTENT}
        ),
        "CAAS_KAFKA: Value error, SASL_SSL needs a username and a password",
    ),
    (
        "CAAS_KAFKA",
        json.dumps({"bootstrap_servers": "a:1", "topic": CONTENT + "/"}),
        "CAAS_KAFKA__TOPIC: String should match pattern",
    ),
    ("CAAS_MASTER_KEYS", json.dumps({"v1": CONTENT}), "CAAS_MASTER_KEYS: 'v1' is not base64"),
    (
        "CAAS_MASTER_KEYS",
        json.dumps({"v1": base64.b64encode(CONTENT.encode()).decode()}),
        "CAAS_MASTER_KEYS: 'v1' does not have 32 bytes",
    ),
    ("CAAS_MASTER_KEYS", "{}", "CAAS_MASTER_KEYS: at least one key is needed"),
    ("CAAS_MASTER_KEYS", json.dumps([CONTENT]), "CAAS_MASTER_KEYS: Input should be a valid dict"),
    (
        "CAAS_PROVIDERS",
        json.dumps(
            [{"provider_id": "a", "url": "http://127.0.0.1", "credentials": {"k": CONTENT}}]
        ),
        "CAAS_PROVIDERS__0__ADAPTER: Field required",
    ),
    (
        "CAAS_PROVIDERS",
        json.dumps([{"provider_id": CONTENT + "/"}]),
        "CAAS_PROVIDERS__0__PROVIDER_ID: String should match pattern",
    ),
    (
        "CAAS_PROVIDERS",
        json.dumps([{"provider_id": "a", "adapter": "bank-rest", "client_secret": CONTENT}]),
        "CAAS_PROVIDERS__0__CLIENT_SECRET: Extra inputs are not permitted",
    ),
    (
        "CAAS_PROVIDERS",
        json.dumps([{"credentials": {"client_secret": [CONTENT]}}]),
        "CAAS_PROVIDERS__0__CREDENTIALS__CLIENT_SECRET: Input should be a valid string",
    ),
    ("CAAS_PLUGINS", json.dumps([CONTENT]), "CAAS_PLUGINS__0: String should match pattern"),
    ("CAAS_CACHE__URL", CONTENT, "CAAS_CACHE: Value error, url must start with valkey://"),
    ("CAAS_CACHE__TIMEOUT_S", "0.1", "CAAS_CACHE__URL: Field required"),
    ("CAAS_RATE_LIMIT__WINDOW_S", "0", "CAAS_RATE_LIMIT__WINDOW_S: Input should be greater"),
    ("CAAS_RATE_LIMIT__MAX_REQUESTS", "1", "CAAS_RATE_LIMIT__MAX_REQUESTS: Input should be gr"),
    ("CAAS_RATE_LIMIT__TENANT_MAX_REQUESTS", "x", "CAAS_RATE_LIMIT__TENANT_MAX_REQUESTS: Input"),
    ("CAAS_RATE_LIMIT__ADDRESS_MAX_REQUESTS", "0", "CAAS_RATE_LIMIT__ADDRESS_MAX_REQUESTS: Inp"),
    ("CAAS_RATE_LIMIT__SIGN_IN_MAX_ATTEMPTS", "0", "CAAS_RATE_LIMIT__SIGN_IN_MAX_ATTEMPTS: Inp"),
    ("CAAS_RATE_LIMIT__SKIP_SUCCESSFUL_REQUESTS", CONTENT, "SKIP_SUCCESSFUL_REQUESTS: Input"),
    ("CAAS_RATE_LIMIT__STORE", CONTENT, "CAAS_RATE_LIMIT__STORE: Input should be 'memory' or"),
    ("CAAS_API__CORS__ORIGINS", json.dumps(["*"]), "CAAS_API__CORS__ORIGINS__0: Value error, mus"),
    ("CAAS_API__CORS__ORIGINS", json.dumps([f"https://a/{CONTENT}"]), "CAAS_API__CORS__ORIGINS"),
    ("CAAS_API__CORS__MAX_AGE_S", "-1", "CAAS_API__CORS__MAX_AGE_S: Input should be greater"),
    ("CAAS_API__TLS__KEY_PATH", CONTENT, "CAAS_API__TLS__CERTIFICATE_PATH: Field required"),
    ("CAAS_API__TRUSTED_PROXIES", json.dumps([CONTENT]), "CAAS_API__TRUSTED_PROXIES__0: value is"),
    ("CAAS_API__PROXY_HEADER", CONTENT, "CAAS_API__PROXY_HEADER: Input should be 'x-forwarded-"),
    ("CAAS_API__MAX_CONCURRENT_REQUESTS", "0", "CAAS_API__MAX_CONCURRENT_REQUESTS: Input sho"),
    ("CAAS_API__REQUEST_TIMEOUT_S", "inf", "CAAS_API__REQUEST_TIMEOUT_S: Input should be less"),
    ("CAAS_API__METRICS_TOKEN", "short", "CAAS_API__METRICS_TOKEN: Value should have at least"),
    ("CAAS_TEMPORAL__API_KEY", CONTENT, "CAAS_TEMPORAL: Value error, api_key needs tls"),
    ("CAAS_TEMPORAL__TLS__KEY_PATH", CONTENT, "CAAS_TEMPORAL__TLS: Value error, certificate_path"),
    (
        "CAAS_ISSUERS",
        json.dumps([{"issuer": "a", "jwks_path": "b", "algorithms": [CONTENT]}]),
        "CAAS_ISSUERS__0__ALGORITHMS__0: Input should be",
    ),
]


@pytest.mark.parametrize(("name", "value", "line"), WRONG, ids=lambda each: str(each)[:40])
def test_a_wrong_value_is_named_with_its_reason_and_not_shown(
    read: Read, name: str, value: str, line: str
) -> None:
    with pytest.raises(WrongSetting) as error:
        read(**{name: value})
    assert line in str(error.value)
    assert CONTENT not in str(error.value)
    assert base64.b64encode(CONTENT.encode()).decode() not in str(error.value)
    # The validator's own error carries its input and must not be printed with this one.
    assert error.value.__cause__ is None
    assert error.value.__context__ is None or error.value.__suppress_context__


def test_every_wrong_setting_has_a_line(read: Read) -> None:
    with pytest.raises(WrongSetting) as error:
        read(CAAS_LOG_LEVEL="LOUD", CAAS_API__PORT="0", CAAS_OFFERS_DEADLINE_S="x")
    named = [line.partition(":")[0] for line in str(error.value).splitlines()]
    assert sorted(named) == ["CAAS_API__PORT", "CAAS_LOG_LEVEL", "CAAS_OFFERS_DEADLINE_S"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAAS_MASTER_KEYS", CONTENT),
        ("CAAS_PROVIDERS", CONTENT + "["),
        ("CAAS_ISSUERS", "[{" + CONTENT),
        ("CAAS_IDENTITY__CALLBACK_SECRETS", "[" + CONTENT),
    ],
)
def test_what_is_no_json_is_named_and_not_shown(read: Read, name: str, value: str) -> None:
    with pytest.raises(WrongSetting) as error:
        read(**{name: value})
    section = name.partition("__")[0]
    assert str(error.value) == f"{section}: is not valid JSON"
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_without_a_master_key_nothing_starts(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(NEEDED, "CAAS_MASTER_KEYS")
    with pytest.raises(WrongSetting) as error:
        read()
    assert str(error.value) == "CAAS_MASTER_KEYS: Field required"


@pytest.mark.parametrize("environment", [None, "production"])
def test_armed_failpoints_stop_a_start_outside_the_sandbox(
    read: Read, environment: str | None
) -> None:
    variables = {ENVIRONMENT_VARIABLE: "kyc.joined=kill"}
    if environment:
        variables["CAAS_ENVIRONMENT"] = environment
    with pytest.raises(WrongSetting) as error:
        read(**variables)
    assert "failpoints are armed outside the sandbox" in str(error.value)


def test_an_unknown_failpoint_stops_a_start_even_in_the_sandbox(read: Read) -> None:
    with pytest.raises(WrongSetting, match=r"no failpoint is called 'kyc\.jioned'"):
        read(CAAS_ENVIRONMENT="sandbox", **{ENVIRONMENT_VARIABLE: "kyc.jioned=kill"})


def test_armed_failpoints_are_the_sandboxs(read: Read) -> None:
    armed = read(CAAS_ENVIRONMENT="sandbox", **{ENVIRONMENT_VARIABLE: "kyc.joined=kill"})
    assert armed.environment is Environment.SANDBOX


def test_nothing_configured_means_production(read: Read) -> None:
    settings = read()
    assert settings.environment is Environment.PRODUCTION
    assert (settings.chain, settings.identity, settings.bureau) == (None, None, None)
    assert settings.master_key_bytes() == {"v1": bytes(range(32))}


def test_of_several_master_keys_the_first_one_seals(read: Read) -> None:
    other = base64.b64encode(bytes(32)).decode()
    settings = read(CAAS_MASTER_KEYS=json.dumps({"v2": other, "v1": KEY}))
    assert list(settings.master_key_bytes()) == ["v2", "v1"]


def test_secrets_are_in_no_text_of_the_settings(read: Read) -> None:
    settings = read(
        CAAS_DATABASE__APP_URL=f"postgresql://app:{CONTENT}@db/caas",
        CAAS_BUREAU__URL="https://bureau.example",
        CAAS_BUREAU__API_KEY=CONTENT,
    )
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert CONTENT not in text
        assert KEY not in text
    assert settings.bureau is not None
    assert settings.bureau.api_key.get_secret_value() == CONTENT


def test_settings_do_not_change_after_the_start(read: Read) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().log_level = "DEBUG"


def test_a_missing_section_is_named_with_who_needs_it() -> None:
    assert str(missing("BUREAU", "the role scoring")) == (
        "CAAS_BUREAU: needed by the role scoring, but not set"
    )


def test_a_process_ends_with_the_lines_and_no_traceback(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAAS_MASTER_KEYS", json.dumps({"v1": CONTENT}))
    with pytest.raises(SystemExit) as ended:
        settings_or_exit(os.environ)
    assert ended.value.code == "CAAS_MASTER_KEYS: 'v1' is not base64"


def test_a_worker_with_a_wrong_setting_says_so_in_one_line() -> None:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("CAAS_")}
    ended = subprocess.run(
        [sys.executable, "worker.py", "--role", "workflows"],
        cwd=ROOT,
        env={**quiet, **NEEDED, "CAAS_API__PORT": CONTENT},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("CAAS_API__PORT: Input should be a valid integer")


def test_a_migration_needs_the_owners_address_and_no_key(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WrongSetting, match="CAAS_DATABASE__OWNER_URL: needed by migrate"):
        MigrationSettings.read()
    monkeypatch.setenv("CAAS_DATABASE__OWNER_URL", CONTENT)
    assert MigrationSettings.read() == CONTENT
    monkeypatch.setenv("CAAS_DATABASE__OWNR_URL", CONTENT)
    with pytest.raises(WrongSetting, match="CAAS_DATABASE__OWNR_URL: Extra inputs") as wrong:
        MigrationSettings.read()
    assert CONTENT not in str(wrong.value)


def test_the_gateway_is_configured_as_the_specification_names_it(read: Read) -> None:
    """GatewayConfig: rateLimit, cors; docs/gateway.md maps its names to ours."""
    settings = read(
        CAAS_RATE_LIMIT__WINDOW_S="30",
        CAAS_RATE_LIMIT__MAX_REQUESTS="100",
        CAAS_RATE_LIMIT__SKIP_SUCCESSFUL_REQUESTS="true",
        CAAS_API__CORS__ORIGINS='["https://app.example.com"]',
        CAAS_API__CORS__CREDENTIALS="true",
        CAAS_API__CORS__MAX_AGE_S="60",
        CAAS_API__TRUSTED_PROXIES='["10.0.0.0/8", "::1"]',
        CAAS_CACHE__URL="valkey://cache:6379/0",
        CAAS_TEMPORAL__TLS="{}",
        CAAS_TEMPORAL__API_KEY=CONTENT,
    )
    limit, cors = settings.rate_limit, settings.api.cors
    assert (limit.window_s, limit.max_requests, limit.skip_successful_requests) == (30, 100, True)
    assert (cors.origins, cors.credentials, cors.max_age_s) == (
        ("https://app.example.com",),
        True,
        60,
    )
    assert [str(each) for each in settings.api.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert CONTENT not in repr(settings)
