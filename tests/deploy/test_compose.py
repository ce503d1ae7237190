"""docker-compose.yml: what can be known of it without an engine."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import cli
from api.roles import Role
from settings import IssuerSettings, MigrationSettings, WrongSetting, read_settings
from tests.deploy.deployment import (
    COMPOSE,
    EXAMPLE,
    ROOT,
    MissingValue,
    example,
    ours,
    services,
    variables,
)

BIN = Path(sys.executable).parent
KEY = base64.b64encode(bytes(32)).decode()
FILLED = {
    **{
        name: text or f"abcdefghijklmnopqrstuvwx{number:03}"
        for number, (name, text) in enumerate(example().items())
    },
    "CAAS_MASTER_KEYS": json.dumps({"v1": KEY}),
    "CAAS_CHAIN__CHAIN_ID": "1",
    **{f"CAAS_{name}": "https://outside.example.com" for name in (
        "CHAIN__RPC_URL", "IDENTITY__URL", "BUREAU__URL", "NOTIFIER__URL"
    )},
}  # fmt: skip
SERVICES = services(FILLED)
OURS = ours(FILLED)
WORKERS = {name: each for name, each in OURS.items() if "worker.py" in each["command"]}
JOBS = {"database-roles", "migrate", "temporal-schema", "temporal-namespace", "kafka-topic"}

# What each of our processes is told, beyond what is no secret: nothing it could do without.
SECRETS = {
    "database-roles": {"DATABASE_ADMIN", "OWNER", "APP", "CHAIN_ROLE", "RELAY"},
    "migrate": {"OWNER"},
    "api": {"APP", "KEYS", "IDENTITY", "LENDERS"},
    "worker-workflows": {"APP", "KEYS", "IDENTITY", "NOTIFIER", "LENDERS"},
    "worker-scoring": {"APP", "KEYS", "BUREAU"},
    "worker-chain": {"CHAIN_ROLE", "KEYS", "LENDERS", "RELAYER_KEY"},
    "worker-relay": {"RELAY", "KEYS", "LENDERS"},
    "cli": {"APP", "RELAY", "KEYS", "LENDERS"},
}
SIGNS = {
    "DATABASE_ADMIN": FILLED["DATABASE_ADMIN_PASSWORD"],
    "OWNER": FILLED["DATABASE_OWNER_PASSWORD"],
    "APP": FILLED["DATABASE_APP_PASSWORD"],
    "CHAIN_ROLE": FILLED["DATABASE_CHAIN_PASSWORD"],
    "RELAY": FILLED["DATABASE_RELAY_PASSWORD"],
    "KEYS": KEY,
    "IDENTITY": FILLED["CAAS_IDENTITY__API_KEY"],
    "NOTIFIER": FILLED["CAAS_NOTIFIER__API_KEY"],
    "BUREAU": FILLED["CAAS_BUREAU__API_KEY"],
    "LENDERS": "client_secret",
    "RELAYER_KEY": FILLED["CAAS_CHAIN__RELAYER_KEY"],
}


def caas(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(text) for name, text in service["environment"].items() if name[:5] == "CAAS_"}


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a service's environment, and nothing else of ours, where settings are read."""

    def export(service: dict[str, Any]) -> dict[str, str]:
        for name in [name for name in os.environ if name.startswith("CAAS_")]:
            monkeypatch.delenv(name)
        for name, text in caas(service).items():
            monkeypatch.setenv(name, text)
        return caas(service)

    return export


@pytest.mark.parametrize("name", sorted(set(OURS) - {"database-roles", "migrate"}))
def test_settings_accept_every_variable_of_a_process(name: str, exported: Any) -> None:
    settings = read_settings(exported(OURS[name]))
    assert settings.environment == "production"
    assert settings.temporal.address == "temporal:7233"


def test_a_misspelt_setting_would_be_noticed(exported: Any) -> None:
    service = {"environment": {**OURS["api"]["environment"], "CAAS_API__PROT": "1"}}
    with pytest.raises(WrongSetting, match="CAAS_API__PROT"):
        read_settings(exported(service))


def test_the_migration_gets_the_owner_and_no_key(exported: Any) -> None:
    assert set(exported(OURS["migrate"])) == {"CAAS_DATABASE__OWNER_URL"}
    assert MigrationSettings.read().startswith("postgresql://caas_owner:")


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_process_holds_the_secrets_of_its_role_alone(name: str) -> None:
    told = json.dumps(OURS[name]["environment"]).replace('\\"', '"')
    assert {sign for sign, text in SIGNS.items() if text in told} == SECRETS[name]


def test_the_workers_have_every_role_once() -> None:
    roles = [each["command"][each["command"].index("--role") + 1] for each in WORKERS.values()]
    said = re.search(r"--role ([\w|]+)", (ROOT / "worker.py").read_text())
    assert said is not None
    assert sorted(roles) == sorted(said[1].split("|"))


def test_every_command_of_ours_exists() -> None:
    for service in OURS.values():
        match [*service.get("entrypoint", ()), *service["command"]]:
            case ["python", "-m", package]:
                assert (ROOT / package / "__main__.py").is_file()
            case ["python", "cli.py", *arguments]:
                named = CliRunner().invoke(cli.app, [*arguments, "--help"])
                assert named.exit_code == 0, named.output
            case ["python", program, *_]:
                assert (ROOT / program).is_file()
            case other:
                pytest.fail(f"nobody checks {other}")


def test_what_is_mounted_is_there() -> None:
    mounts = [mount for each in SERVICES.values() for mount in each.get("volumes", ())]
    own = {mount.split(":")[0] for mount in mounts if mount.startswith("./")}
    assert own == {"./deploy/files", "./deploy/temporal", "./deploy/keycloak"}
    assert all((ROOT / path).is_dir() for path in own)
    for name in ("temporal-schema", "temporal-namespace"):
        assert (ROOT / "deploy/temporal" / SERVICES[name]["command"][1].rpartition("/")[2]).exists()
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))


def test_the_settings_name_files_where_they_are_mounted() -> None:
    mentioned = re.findall(r"/etc/caas/[\w./]+", COMPOSE.read_text() + EXAMPLE.read_text())
    listed = (ROOT / "deploy/files/README.md").read_text()
    named = {path.removeprefix("/etc/caas/") for path in mentioned if path != "/etc/caas/"}
    assert {name for name in named if f"`{name}`" not in listed} == set()
    assert "sanctions/sdn.csv" in named


def test_every_image_has_a_full_version() -> None:
    images = {each["image"] for each in SERVICES.values()}
    assert all(re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", image) for image in images), images


def test_only_two_doors_lead_outside_and_both_to_this_machine_alone() -> None:
    doors = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert set(doors) == {"api", "temporal-ui"}
    assert all(port.startswith("127.0.0.1:") for ports in doors.values() for port in ports)
    # Without the variables, too.
    assert services({**FILLED, "API_LISTEN": "", "UI_LISTEN": ""})["api"]["ports"] == doors["api"]


def test_data_are_reached_from_inside_alone() -> None:
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert networks["inside"] == {"internal": True}
    outside = {name for name, each in SERVICES.items() if "outside" in each["networks"]}
    assert outside == {"api", "temporal-ui", "cli", *WORKERS}


def test_what_runs_on_is_watched_and_started_again_and_what_ends_is_not() -> None:
    for name, service in SERVICES.items():
        if name in JOBS:
            assert service["restart"] == "on-failure:5", name
            assert "healthcheck" not in service
        elif name != "cli":
            assert service["restart"] == "unless-stopped", name
            assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"]), name


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_limited_and_has_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "privileged" not in service
    if name in OURS:
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True


def test_the_file_follows_the_compose_specification(tmp_path: Path) -> None:
    """The specification's own JSON schema, as the checker ships it: nothing is fetched."""
    misspelt = tmp_path / "docker-compose.yml"
    misspelt.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:"))
    check = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    for path, code in ((COMPOSE, 0), (misspelt, 1)):
        checked = subprocess.run([*check, str(path)], capture_output=True, text=True, check=False)
        assert checked.returncode == code, checked.stdout


def test_services_wait_for_what_they_need_in_an_order_that_exists() -> None:
    needs = {name: each.get("depends_on", {}) for name, each in SERVICES.items()}
    assert list(TopologicalSorter({name: set(of) for name, of in needs.items()}).static_order())
    for name, of in needs.items():
        for other, how in of.items():
            ends = "service_completed_successfully" if other in JOBS else "service_healthy"
            assert how == {"condition": ends}, f"{name} waits for {other}"
    assert all("migrate" in needs[name] for name in ("api", *WORKERS))
    assert all("temporal-namespace" in needs[name] for name in WORKERS)
    assert "kafka-topic" in needs["worker-relay"]


def test_the_example_has_every_variable_and_no_other_and_no_secret() -> None:
    given = example()
    assert set(given) == set(variables())
    secret = re.compile(r"PASSWORD|_KEY$|API_KEY")
    assert {name for name, text in given.items() if secret.search(name) and text} == set()
    assert json.loads(given["CAAS_MASTER_KEYS"]) == {"v1": ""}
    assert all(
        text == ""
        for each in json.loads(given["CAAS_PROVIDERS"])
        for text in (*each["credentials"].values(), *each["config"].values())
    )


@pytest.mark.parametrize("name", sorted(name for name, needed in variables().items() if needed))
def test_a_variable_without_a_value_stops_the_start(name: str) -> None:
    with pytest.raises(MissingValue, match=name):
        services({**FILLED, name: ""})


def test_the_shipped_realm_makes_tokens_that_the_documented_settings_read() -> None:
    """Keycloak itself was not run: this holds the two files against each other."""
    realm = json.loads((ROOT / "deploy/keycloak/realm.json").read_text())
    page = (ROOT / "docs/identity.md").read_text()
    stated = re.search(r"\*\*Keycloak\.\*\*.*?CAAS_ISSUERS='(.*?)'\n", page, re.DOTALL)
    assert stated is not None
    [issuer] = [IssuerSettings.model_validate(each) for each in json.loads(stated[1])]
    [scope], [client] = realm["clientScopes"], realm["clients"]
    config = {each["name"]: each["config"] for each in scope["protocolMappers"]}
    assert config["audience"]["included.custom.audience"] == issuer.audience
    assert config["tenant"]["claim.name"] == ".".join(issuer.tenant_claim)
    assert config["roles"]["claim.name"] == ".".join(issuer.roles_claim)
    assert {each["name"] for each in realm["roles"]["realm"]} == set(issuer.role_names or ())
    assert {Role(each) for each in (issuer.role_names or {}).values()} < set(Role)
    assert client["attributes"]["access.token.header.type.rfc9068"] == "true"
    assert client["attributes"]["access.token.signed.response.alg"] in issuer.algorithms
    assert scope["name"] in client["defaultClientScopes"]
    assert issuer.issuer.endswith(f"/realms/{realm['realm']}")


def test_the_topic_is_the_one_events_go_to() -> None:
    topic = OURS["worker-relay"]["environment"]["CAAS_KAFKA__TOPIC"]
    assert f"--topic={topic}" in SERVICES["kafka-topic"]["command"]
    assert any(part.startswith("--partitions=") for part in SERVICES["kafka-topic"]["command"])
