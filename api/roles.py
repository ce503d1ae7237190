"""Who may do what: one table of actions, the scope each needs, and the roles that allow it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a token may say its bearer is."""

    APPLICANT = "applicant"
    INTEGRATOR = "integrator"
    UNDERWRITER = "underwriter"
    COMPLIANCE_OFFICER = "compliance_officer"
    SUPPORT = "support"
    AUDITOR = "auditor"
    TENANT_ADMIN = "tenant_admin"
    PLATFORM_ADMIN = "platform_admin"
    PROVIDER = "provider"  # a lender's own service account


class Action(StrEnum):
    """What can be asked of the API."""

    APPLY = "apply"
    READ_APPLICATION = "read_application"
    ACCEPT_OFFER = "accept_offer"
    SEARCH_OFFERS = "search_offers"
    WITHDRAW = "withdraw"
    PROVIDE_INFORMATION = "provide_information"
    READ_EVENTS = "read_events"
    READ_REVIEWS = "read_reviews"
    READ_INFORMATION = "read_information"
    READ_ASSESSMENT = "read_assessment"
    READ_COMPLIANCE = "read_compliance"
    READ_LEDGER = "read_ledger"
    ASK_APPLICANT = "ask_applicant"
    ASSIGN_REVIEW = "assign_review"
    DECIDE_CREDIT_REVIEW = "decide_credit_review"
    DECIDE_COMPLIANCE_REVIEW = "decide_compliance_review"
    HAND_OVER_NOTICE = "hand_over_notice"
    DECODE_PAYLOADS = "decode_payloads"
    READ_PROFILE = "read_profile"
    READ_PROVIDERS = "read_providers"
    MANAGE_PROVIDERS = "manage_providers"
    READ_WEBHOOKS = "read_webhooks"
    MANAGE_WEBHOOKS = "manage_webhooks"
    READ_ACCOUNTS = "read_accounts"
    MANAGE_ACCOUNTS = "manage_accounts"
    OPEN_TENANT = "open_tenant"


class Scope(StrEnum):
    """What a token or an API key may be narrowed to."""

    APPLICATIONS_READ = "applications:read"
    APPLICATIONS_WRITE = "applications:write"
    REVIEWS_READ = "reviews:read"
    REVIEWS_WRITE = "reviews:write"
    RISK_READ = "risk:read"
    COMPLIANCE_READ = "compliance:read"
    LEDGER_READ = "ledger:read"
    PAYLOADS_READ = "payloads:read"
    PROFILE_READ = "profile:read"
    PROVIDERS_READ = "providers:read"
    PROVIDERS_WRITE = "providers:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    TENANTS_WRITE = "tenants:write"


A, I, U, C, S, D, T, P, L = (  # noqa: E741 - the columns of the table below
    Role.APPLICANT,
    Role.INTEGRATOR,
    Role.UNDERWRITER,
    Role.COMPLIANCE_OFFICER,
    Role.SUPPORT,
    Role.AUDITOR,
    Role.TENANT_ADMIN,
    Role.PLATFORM_ADMIN,
    Role.PROVIDER,
)

# Who may do what, within the token's own tenant. Applicants act for themselves only; a platform
# admin's tenant is the platform, which has no applications. A token that states scopes needs the
# action's scope as well as one of its roles: scopes narrow roles, and never widen them.
_TABLE: Final[dict[Action, tuple[Scope, set[Role]]]] = {
    Action.APPLY:                    (Scope.APPLICATIONS_WRITE, {A, I}),
    Action.READ_APPLICATION:         (Scope.APPLICATIONS_READ,  {A, I, U, C, S, D, T}),
    Action.ACCEPT_OFFER:             (Scope.APPLICATIONS_WRITE, {A, I}),
    Action.SEARCH_OFFERS:            (Scope.APPLICATIONS_WRITE, {A, I}),
    Action.WITHDRAW:                 (Scope.APPLICATIONS_WRITE, {A, I}),
    Action.PROVIDE_INFORMATION:      (Scope.APPLICATIONS_WRITE, {A, I}),
    Action.READ_EVENTS:              (Scope.APPLICATIONS_READ,  {A, I, U, C, S, D, T}),
    Action.READ_REVIEWS:             (Scope.REVIEWS_READ,       {U, C, S, D, T}),
    Action.READ_INFORMATION:         (Scope.REVIEWS_READ,       {U, C}),
    Action.READ_ASSESSMENT:          (Scope.RISK_READ,          {U, C, D}),
    Action.READ_COMPLIANCE:          (Scope.COMPLIANCE_READ,    {C, D}),
    Action.READ_LEDGER:              (Scope.LEDGER_READ,        {D, T}),
    Action.ASK_APPLICANT:            (Scope.REVIEWS_WRITE,      {U, C}),
    Action.ASSIGN_REVIEW:            (Scope.REVIEWS_WRITE,      {U, C, T}),
    Action.DECIDE_CREDIT_REVIEW:     (Scope.REVIEWS_WRITE,      {U}),
    Action.DECIDE_COMPLIANCE_REVIEW: (Scope.REVIEWS_WRITE,      {C}),
    Action.HAND_OVER_NOTICE:         (Scope.REVIEWS_WRITE,      {C, S}),
    Action.DECODE_PAYLOADS:          (Scope.PAYLOADS_READ,      {U, C, S, T}),
    Action.READ_PROFILE:             (Scope.PROFILE_READ,       {A, I, U, C, S, D, T, P, L}),
    Action.READ_PROVIDERS:           (Scope.PROVIDERS_READ,     {I, U, C, S, D, T, P}),
    Action.MANAGE_PROVIDERS:         (Scope.PROVIDERS_WRITE,    {T, P}),
    Action.READ_WEBHOOKS:            (Scope.WEBHOOKS_READ,      {I, S, D, T}),
    Action.MANAGE_WEBHOOKS:          (Scope.WEBHOOKS_WRITE,     {I, T}),
    Action.READ_ACCOUNTS:            (Scope.ACCOUNTS_READ,      {D, T, P}),
    Action.MANAGE_ACCOUNTS:          (Scope.ACCOUNTS_WRITE,     {T, P}),
    Action.OPEN_TENANT:              (Scope.TENANTS_WRITE,      {P}),
}  # fmt: skip

ROLE_TABLE: Final = {action: frozenset(roles) for action, (_, roles) in _TABLE.items()}
SCOPE_TABLE: Final = {action: scope for action, (scope, _) in _TABLE.items()}

# Whom who may manage accounts may let in: a tenant's admin its staff and its services, a platform
# admin the platform's. Applicants let themselves in.
INVITABLE: Final = {
    Role.TENANT_ADMIN: frozenset({U, C, S, D, T}),
    Role.PLATFORM_ADMIN: frozenset({P}),
}
EMPLOYABLE: Final = {
    Role.TENANT_ADMIN: frozenset({I, D, S, L}),
    Role.PLATFORM_ADMIN: frozenset({P}),
}


def scopes_of(roles: frozenset[Role]) -> frozenset[Scope]:
    """Every scope that these roles can use."""
    return frozenset(scope for scope, allowed in _TABLE.values() if not roles.isdisjoint(allowed))


def usable_scopes(roles: Sequence[str]) -> tuple[str, ...]:
    """The same for roles by name, in the order of the alphabet."""
    return tuple(sorted(scopes_of(frozenset(Role(role) for role in roles))))
