"""What a stack tells its processes: the product by `CAAS_…`, counterparties by their files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sandbox.stack_secrets import DATABASE_ROLES

if TYPE_CHECKING:
    from sandbox.stack import Stack

VENDOR: Final = "identity"
BANK: Final = "first-harbour-bank"
FINTECH: Final = "quickline-credit"
POOL: Final = "tidewater-pool"
SOAP_BANK: Final = "old-quay-bank"

# The counterparties that lend, by the name of their module.
LENDERS: Final = ("bank", "fintech", "pool_underwriter")


def product_settings(stack: Stack) -> dict[str, str]:
    """The settings of our processes, as an operator would export them."""
    secret = stack.secrets
    settings = {
        "CAAS_ENVIRONMENT": "sandbox",
        "CAAS_MASTER_KEYS": json.dumps({"v1": secret.master_key}),
        "CAAS_TEMPORAL__ADDRESS": stack.temporal.address,
        "CAAS_TEMPORAL__NAMESPACE": stack.temporal.namespace,
        "CAAS_TEMPORAL__WORKFLOW_SANDBOX": str(stack.options.workflow_sandbox),
        "CAAS_API__PORT": str(stack.api_port),
        "CAAS_API__SHUTDOWN_GRACE_S": "3",
        "CAAS_CACHE__URL": stack.valkey.url,
        # Demo, tests and benchmarks ask far more than any caller should; limits have tests of
        # their own. They are counted all the same.
        "CAAS_RATE_LIMIT__MAX_REQUESTS": "1000000",
        "CAAS_RATE_LIMIT__TENANT_MAX_REQUESTS": "10000000",
        "CAAS_RATE_LIMIT__ADDRESS_MAX_REQUESTS": "1000000",
        "CAAS_RATE_LIMIT__SIGN_IN_MAX_ATTEMPTS": "10000",
        "CAAS_ISSUERS": json.dumps(
            [
                {
                    "issuer": "urn:caas:sandbox-issuer",
                    "jwks_path": str(stack.issuer.jwks_path),
                    "platform": True,
                }
            ]
        ),
        # Nobody here waits for a receiver to come back.
        "CAAS_WEBHOOKS__RETRY_FIRST_S": "0.5",
        # The least that argon2id is good for: nobody's password is worth guessing here.
        "CAAS_AUTH__PASSWORD_PASSES": "2",
        "CAAS_AUTH__PASSWORD_MEMORY_KIB": "19456",
        "CAAS_CHAIN": json.dumps(_chain(stack)),
        "CAAS_IDENTITY": json.dumps(
            {
                "vendor": VENDOR,
                "url": stack.counterparty_url("identity_vendor"),
                "api_key": secret.identity_key,
                "callback_url": stack.api_url,
                "callback_secrets": [secret.callback_secret],
            }
        ),
        "CAAS_BUREAU": json.dumps(
            {"url": stack.counterparty_url("bureau"), "api_key": secret.bureau_key}
        ),
        "CAAS_NOTIFIER": json.dumps(
            {"url": stack.counterparty_url("notifier"), "api_key": secret.notifier_key}
        ),
        "CAAS_KAFKA": json.dumps(
            {"bootstrap_servers": stack.kafka.address, "topic": stack.kafka.topic}
        ),
        "CAAS_PROVIDERS": json.dumps(_providers(stack)),
    }
    if stack.temporal.ui_url:
        settings["CAAS_TEMPORAL__UI_ORIGIN"] = stack.temporal.ui_url
    for role in DATABASE_ROLES:
        settings[f"CAAS_DATABASE__{role.upper()}_URL"] = stack.database_url(role)
    return settings


def counterparty_settings(stack: Stack, name: str) -> dict[str, Any]:
    """The configuration of one counterparty, as it reads it."""
    secret = stack.secrets
    configs: dict[str, dict[str, Any]] = {
        "identity_vendor": {
            "api_key": secret.identity_key,
            "callback_secret": secret.callback_secret,
            "delay_s": stack.options.identity_delay_s,
        },
        "bureau": {"api_key": secret.bureau_key},
        "notifier": {"api_key": secret.notifier_key},
        "bank": {
            "client_id": BANK,
            "client_secret": secret.bank_secret,
            "lender_private_key": stack.lender.private_key,
            "quote_validity_s": stack.options.quote_validity_s,
        },
        "fintech": {
            "api_key": secret.fintech_key,
            "signing_secret": secret.fintech_signing_secret,
            "lender_private_key": stack.fintech_lender.private_key,
            "quote_validity_s": stack.options.quote_validity_s,
        },
        "soap_bank": {
            "username": SOAP_BANK,
            "password": secret.soap_bank_password,
            "lender_private_key": stack.soap_lender.private_key,
            "quote_validity_s": stack.options.quote_validity_s,
        },
        "pool_underwriter": {
            "api_key": secret.pool_key,
            "underwriter_private_key": stack.underwriter.private_key,
            "rpc_url": stack.chain.rpc_url,
            "pool": stack.pool,
            "quote_validity_s": stack.options.quote_validity_s,
        },
    }
    return {**configs[name], "steering_secret": secret.steering}


def _chain(stack: Stack) -> dict[str, Any]:
    at = stack.deployment
    assert at is not None
    return {
        "chain_id": at.chain_id,
        "rpc_url": stack.chain.rpc_url,
        "aggregator": at.aggregator,
        "token": at.token,
        "token_decimals": at.token_decimals,
        "confirmations": stack.options.confirmations,
        "relayer_key": stack.relayer.private_key,
    }


def _providers(stack: Stack) -> list[dict[str, Any]]:
    usual = [_bank(stack), _fintech(stack), _pool(stack)]
    return [*usual, _soap_bank(stack)] if stack.options.soap_bank else usual


def _bank(stack: Stack) -> dict[str, Any]:
    return {
        "provider_id": BANK,
        "adapter": "bank-rest",
        "url": stack.counterparty_url("bank"),
        "config": {"lender_address": stack.lender.address},
        "credentials": {"client_id": BANK, "client_secret": stack.secrets.bank_secret},
    }


def _fintech(stack: Stack) -> dict[str, Any]:
    return {
        "provider_id": FINTECH,
        "adapter": "fintech-hmac",
        "url": stack.counterparty_url("fintech"),
        "config": {"lender_address": stack.fintech_lender.address},
        "credentials": {
            "api_key": stack.secrets.fintech_key,
            "signing_secret": stack.secrets.fintech_signing_secret,
        },
    }


def _pool(stack: Stack) -> dict[str, Any]:
    return {
        "provider_id": POOL,
        "adapter": "defi-pool",
        "url": stack.counterparty_url("pool_underwriter"),
        "config": {"pool_address": stack.pool},
        "credentials": {"api_key": stack.secrets.pool_key},
    }


def _soap_bank(stack: Stack) -> dict[str, Any]:
    return {
        "provider_id": SOAP_BANK,
        "adapter": "bank-soap",
        "url": stack.counterparty_url("soap_bank"),
        "config": {"lender_address": stack.soap_lender.address},
        "credentials": {"username": SOAP_BANK, "password": stack.secrets.soap_bank_password},
    }
