"""The API's operations.

Made of the API's description by `make client`; changes belong there.
"""

from __future__ import annotations

from typing import Final

from ._transport import AsyncTransport, Transport
from .types import (
    AcceptBody,
    AcceptedAnswer,
    AcceptOfferBody,
    AccountAnswer,
    AccountListAnswer,
    APIKeyAnswer,
    APIKeyBody,
    APIKeyListAnswer,
    ApplicationAnswer,
    ApplicationBody,
    AskBody,
    AskedAnswer,
    AssignBody,
    AssignedAnswer,
    CredentialsBody,
    DecidedAnswer,
    DecisionBody,
    DeliveryAnswer,
    DeliveryListAnswer,
    DeliveryStatus,
    GraphQLResponse,
    HandedOverAnswer,
    HandOverBody,
    InformationBody,
    InformedAnswer,
    InvitationAnswer,
    InvitationBody,
    InvitationListAnswer,
    InvitedAnswer,
    KeysAnswer,
    KnownOfferAnswer,
    LoginBody,
    NewAPIKeyAnswer,
    NewWebhookAnswer,
    OfferHistoryAnswer,
    OfferStatus,
    Payloads,
    ProfileAnswer,
    ProviderAnswer,
    ProviderBody,
    ProviderChangeBody,
    ProviderListAnswer,
    ProviderStatus,
    ProviderType,
    QuestionBody,
    Ready,
    RedeliveredAnswer,
    RefreshBody,
    RegisterBody,
    RegisteredAnswer,
    RejectBody,
    RejectedAnswer,
    ReviewDetailAnswer,
    ReviewListAnswer,
    RotationBody,
    SecretRotationBody,
    ServiceAccountAnswer,
    ServiceAccountBody,
    ServiceAccountListAnswer,
    StatusBody,
    StatusHistoryAnswer,
    SubmittedAnswer,
    TenantBody,
    TokensAnswer,
    TrialAnswer,
    VendorCallback,
    WebhookAnswer,
    WebhookBody,
    WebhookListAnswer,
    WebhookStatusBody,
    WebhookTestAnswer,
    WebhookTestBody,
    WithdrawBody,
    WithdrawnAnswer,
)

API_VERSION: Final = "2026-11-22"


class Accounts:
    """Operations of `accounts`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def open_tenant(self, body: TenantBody, *, idempotency_key: str | None = None) -> InvitedAnswer:
        """Open a tenant.

        Let a tenant's people sign in here, and invite its first administrator.
        """
        answer: InvitedAnswer = self._transport.ask(
            "POST",
            "/api/v1/tenants",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def accounts(self) -> AccountListAnswer:
        """List who may sign in.

        Your tenant's accounts that sign in here, the newest first, at most 100; nobody's
        name.
        """
        answer: AccountListAnswer = self._transport.ask("GET", "/api/v1/accounts")
        return answer

    def set_account_status(
        self, user_id: str, body: StatusBody, *, idempotency_key: str | None = None
    ) -> AccountAnswer:
        """Suspend an account, or let it in again.

        Suspend an account, which ends its sessions, or let it in again; never your own.
        """
        answer: AccountAnswer = self._transport.ask(
            "POST",
            f"/api/v1/accounts/{self._transport.quoted(user_id)}/status",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def invitations(self) -> InvitationListAnswer:
        """List invitations.

        Your tenant's invitations, the newest first, at most 100.
        """
        answer: InvitationListAnswer = self._transport.ask("GET", "/api/v1/invitations")
        return answer

    def invite(self, body: InvitationBody, *, idempotency_key: str | None = None) -> InvitedAnswer:
        """Invite a member of staff.

        Invite somebody to become staff of your tenant; they accept by `POST
        /auth/register`.
        """
        answer: InvitedAnswer = self._transport.ask(
            "POST",
            "/api/v1/invitations",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def revoke_invitation(
        self, invitation_id: str, *, idempotency_key: str | None = None
    ) -> InvitationAnswer:
        """Take an invitation back.

        Take back an invitation that nobody has accepted.
        """
        answer: InvitationAnswer = self._transport.ask(
            "POST",
            f"/api/v1/invitations/{self._transport.quoted(invitation_id)}/revocation",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def service_accounts(self) -> ServiceAccountListAnswer:
        """List service accounts.

        Your tenant's service accounts, the newest first, at most 100.
        """
        answer: ServiceAccountListAnswer = self._transport.ask("GET", "/api/v1/service-accounts")
        return answer

    def create_service_account(
        self, body: ServiceAccountBody, *, idempotency_key: str | None = None
    ) -> ServiceAccountAnswer:
        """Make a service account.

        Give a program a name of its own, and roles; it signs in with API keys.
        """
        answer: ServiceAccountAnswer = self._transport.ask(
            "POST",
            "/api/v1/service-accounts",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def api_keys(self, service_account_id: str) -> APIKeyListAnswer:
        """List API keys.

        A service account's keys, those that ended among them, the newest first, at most
        100.
        """
        answer: APIKeyListAnswer = self._transport.ask(
            "GET", f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys"
        )
        return answer

    def create_api_key(
        self, service_account_id: str, body: APIKeyBody, *, idempotency_key: str | None = None
    ) -> NewAPIKeyAnswer:
        """Make an API key; at most ten of an account are good at a time."""
        answer: NewAPIKeyAnswer = self._transport.ask(
            "POST",
            f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def rotate_api_key(
        self,
        service_account_id: str,
        key_id: str,
        body: RotationBody,
        *,
        idempotency_key: str | None = None,
    ) -> NewAPIKeyAnswer:
        """Rotate an API key.

        Make a key that takes another's place; the old one stays good for the overlap you
        name.
        """
        answer: NewAPIKeyAnswer = self._transport.ask(
            "POST",
            f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys/{self._transport.quoted(key_id)}/rotation",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def revoke_api_key(
        self, service_account_id: str, key_id: str, *, idempotency_key: str | None = None
    ) -> APIKeyAnswer:
        """Revoke an API key.

        End a key: here at once, in every process of ours within two seconds.
        """
        answer: APIKeyAnswer = self._transport.ask(
            "POST",
            f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys/{self._transport.quoted(key_id)}/revocation",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class AsyncAccounts:
    """Operations of `accounts`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def open_tenant(
        self, body: TenantBody, *, idempotency_key: str | None = None
    ) -> InvitedAnswer:
        """Open a tenant.

        Let a tenant's people sign in here, and invite its first administrator.
        """
        answer: InvitedAnswer = await self._transport.ask(
            "POST",
            "/api/v1/tenants",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def accounts(self) -> AccountListAnswer:
        """List who may sign in.

        Your tenant's accounts that sign in here, the newest first, at most 100; nobody's
        name.
        """
        answer: AccountListAnswer = await self._transport.ask("GET", "/api/v1/accounts")
        return answer

    async def set_account_status(
        self, user_id: str, body: StatusBody, *, idempotency_key: str | None = None
    ) -> AccountAnswer:
        """Suspend an account, or let it in again.

        Suspend an account, which ends its sessions, or let it in again; never your own.
        """
        answer: AccountAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/accounts/{self._transport.quoted(user_id)}/status",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def invitations(self) -> InvitationListAnswer:
        """List invitations.

        Your tenant's invitations, the newest first, at most 100.
        """
        answer: InvitationListAnswer = await self._transport.ask("GET", "/api/v1/invitations")
        return answer

    async def invite(
        self, body: InvitationBody, *, idempotency_key: str | None = None
    ) -> InvitedAnswer:
        """Invite a member of staff.

        Invite somebody to become staff of your tenant; they accept by `POST
        /auth/register`.
        """
        answer: InvitedAnswer = await self._transport.ask(
            "POST",
            "/api/v1/invitations",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def revoke_invitation(
        self, invitation_id: str, *, idempotency_key: str | None = None
    ) -> InvitationAnswer:
        """Take an invitation back.

        Take back an invitation that nobody has accepted.
        """
        answer: InvitationAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/invitations/{self._transport.quoted(invitation_id)}/revocation",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def service_accounts(self) -> ServiceAccountListAnswer:
        """List service accounts.

        Your tenant's service accounts, the newest first, at most 100.
        """
        answer: ServiceAccountListAnswer = await self._transport.ask(
            "GET", "/api/v1/service-accounts"
        )
        return answer

    async def create_service_account(
        self, body: ServiceAccountBody, *, idempotency_key: str | None = None
    ) -> ServiceAccountAnswer:
        """Make a service account.

        Give a program a name of its own, and roles; it signs in with API keys.
        """
        answer: ServiceAccountAnswer = await self._transport.ask(
            "POST",
            "/api/v1/service-accounts",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def api_keys(self, service_account_id: str) -> APIKeyListAnswer:
        """List API keys.

        A service account's keys, those that ended among them, the newest first, at most
        100.
        """
        answer: APIKeyListAnswer = await self._transport.ask(
            "GET", f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys"
        )
        return answer

    async def create_api_key(
        self, service_account_id: str, body: APIKeyBody, *, idempotency_key: str | None = None
    ) -> NewAPIKeyAnswer:
        """Make an API key; at most ten of an account are good at a time."""
        answer: NewAPIKeyAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def rotate_api_key(
        self,
        service_account_id: str,
        key_id: str,
        body: RotationBody,
        *,
        idempotency_key: str | None = None,
    ) -> NewAPIKeyAnswer:
        """Rotate an API key.

        Make a key that takes another's place; the old one stays good for the overlap you
        name.
        """
        answer: NewAPIKeyAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys/{self._transport.quoted(key_id)}/rotation",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def revoke_api_key(
        self, service_account_id: str, key_id: str, *, idempotency_key: str | None = None
    ) -> APIKeyAnswer:
        """Revoke an API key.

        End a key: here at once, in every process of ours within two seconds.
        """
        answer: APIKeyAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/service-accounts/{self._transport.quoted(service_account_id)}/keys/{self._transport.quoted(key_id)}/revocation",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class Applications:
    """Operations of `applications`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self, body: ApplicationBody, *, idempotency_key: str | None = None
    ) -> SubmittedAnswer:
        """Apply for credit. The answer is 202 and a link; the application goes its way by
        itself.
        """
        answer: SubmittedAnswer = self._transport.ask(
            "POST",
            "/api/v1/applications",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def show(self, application_id: str) -> ApplicationAnswer:
        """Follow an application.

        Where an application stands, why, and what came of it.
        """
        answer: ApplicationAnswer = self._transport.ask(
            "GET", f"/api/v1/applications/{self._transport.quoted(application_id)}"
        )
        return answer

    def accept(
        self, application_id: str, body: AcceptBody, *, idempotency_key: str | None = None
    ) -> AcceptedAnswer:
        """Accept an offer with the borrower's EIP-712 signature over exactly its terms."""
        answer: AcceptedAnswer = self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/accept",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def withdraw(
        self, application_id: str, body: WithdrawBody, *, idempotency_key: str | None = None
    ) -> WithdrawnAnswer:
        """Withdraw an application.

        Withdraw, at any time before the payment is signed (then: 409
        `SETTLEMENT_SIGNED`).
        """
        answer: WithdrawnAnswer = self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/withdraw",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def inform(
        self, application_id: str, body: InformationBody, *, idempotency_key: str | None = None
    ) -> InformedAnswer:
        """Answer an operator's question.

        Send what an operator has asked for; the review goes on with it.
        """
        answer: InformedAnswer = self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/information",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def hand_over(
        self, application_id: str, body: HandOverBody, *, idempotency_key: str | None = None
    ) -> HandedOverAnswer:
        """Say that a notice was delivered.

        Say how you delivered a notice that the mail house would not carry.
        """
        answer: HandedOverAnswer = self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/notice/delivery",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class AsyncApplications:
    """Operations of `applications`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def submit(
        self, body: ApplicationBody, *, idempotency_key: str | None = None
    ) -> SubmittedAnswer:
        """Apply for credit. The answer is 202 and a link; the application goes its way by
        itself.
        """
        answer: SubmittedAnswer = await self._transport.ask(
            "POST",
            "/api/v1/applications",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def show(self, application_id: str) -> ApplicationAnswer:
        """Follow an application.

        Where an application stands, why, and what came of it.
        """
        answer: ApplicationAnswer = await self._transport.ask(
            "GET", f"/api/v1/applications/{self._transport.quoted(application_id)}"
        )
        return answer

    async def accept(
        self, application_id: str, body: AcceptBody, *, idempotency_key: str | None = None
    ) -> AcceptedAnswer:
        """Accept an offer with the borrower's EIP-712 signature over exactly its terms."""
        answer: AcceptedAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/accept",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def withdraw(
        self, application_id: str, body: WithdrawBody, *, idempotency_key: str | None = None
    ) -> WithdrawnAnswer:
        """Withdraw an application.

        Withdraw, at any time before the payment is signed (then: 409
        `SETTLEMENT_SIGNED`).
        """
        answer: WithdrawnAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/withdraw",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def inform(
        self, application_id: str, body: InformationBody, *, idempotency_key: str | None = None
    ) -> InformedAnswer:
        """Answer an operator's question.

        Send what an operator has asked for; the review goes on with it.
        """
        answer: InformedAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/information",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def hand_over(
        self, application_id: str, body: HandOverBody, *, idempotency_key: str | None = None
    ) -> HandedOverAnswer:
        """Say that a notice was delivered.

        Say how you delivered a notice that the mail house would not carry.
        """
        answer: HandedOverAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/applications/{self._transport.quoted(application_id)}/notice/delivery",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class Auth:
    """Operations of `auth`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(
        self, body: RegisterBody, *, idempotency_key: str | None = None
    ) -> RegisteredAnswer:
        """Make an account: an applicant's, or with an invitation the account of a member of
        staff.
        """
        answer: RegisteredAnswer = self._transport.ask(
            "POST",
            "/auth/register",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def login(self, body: LoginBody) -> TokensAnswer:
        """Sign in with address and password, for an access token and a refresh token."""
        answer: TokensAnswer = self._transport.ask("POST", "/auth/login", body=body)
        return answer

    def refresh(self, body: RefreshBody) -> TokensAnswer:
        """Get the next tokens.

        Exchange a refresh token for new tokens.
        """
        answer: TokensAnswer = self._transport.ask("POST", "/auth/refresh", body=body)
        return answer

    def logout(self) -> None:
        """Sign out.

        End the session of the access token you show: that token, and every other one of
        the session.
        """
        self._transport.ask("POST", "/auth/logout")

    def profile(self) -> ProfileAnswer:
        """Show who you are.

        Who you are, and what you may do; for accounts of ours also what you said of
        yourself.
        """
        answer: ProfileAnswer = self._transport.ask("GET", "/auth/profile")
        return answer

    def keys(self) -> KeysAnswer:
        """List our public keys.

        The public keys that prove our access tokens; a new one is here before it signs.
        """
        answer: KeysAnswer = self._transport.ask("GET", "/.well-known/jwks.json")
        return answer


class AsyncAuth:
    """Operations of `auth`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def register(
        self, body: RegisterBody, *, idempotency_key: str | None = None
    ) -> RegisteredAnswer:
        """Make an account: an applicant's, or with an invitation the account of a member of
        staff.
        """
        answer: RegisteredAnswer = await self._transport.ask(
            "POST",
            "/auth/register",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def login(self, body: LoginBody) -> TokensAnswer:
        """Sign in with address and password, for an access token and a refresh token."""
        answer: TokensAnswer = await self._transport.ask("POST", "/auth/login", body=body)
        return answer

    async def refresh(self, body: RefreshBody) -> TokensAnswer:
        """Get the next tokens.

        Exchange a refresh token for new tokens.
        """
        answer: TokensAnswer = await self._transport.ask("POST", "/auth/refresh", body=body)
        return answer

    async def logout(self) -> None:
        """Sign out.

        End the session of the access token you show: that token, and every other one of
        the session.
        """
        await self._transport.ask("POST", "/auth/logout")

    async def profile(self) -> ProfileAnswer:
        """Show who you are.

        Who you are, and what you may do; for accounts of ours also what you said of
        yourself.
        """
        answer: ProfileAnswer = await self._transport.ask("GET", "/auth/profile")
        return answer

    async def keys(self) -> KeysAnswer:
        """List our public keys.

        The public keys that prove our access tokens; a new one is here before it signs.
        """
        answer: KeysAnswer = await self._transport.ask("GET", "/.well-known/jwks.json")
        return answer


class Callbacks:
    """Operations of `callbacks`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def receive(
        self,
        vendor: str,
        body: VendorCallback,
        *,
        webhook_id: str,
        webhook_timestamp: str,
        webhook_signature: str,
    ) -> None:
        """Take a vendor's signed callback.

        Signed by the Standard Webhooks specification: the HMAC-SHA256, under the secret
        shared with the vendor, of `{webhook-id}.{webhook-timestamp}.{body}`, where the
        body is its bytes exactly as they travel. A secret is written `whsec_` and base64;
        what is decoded is the key. While secrets are rotated, either of two is right. The
        timestamp may differ from our clock by 300 seconds at most: a repetition is signed
        anew.
        """
        self._transport.ask(
            "POST",
            f"/callbacks/{self._transport.quoted(vendor)}",
            body=body,
            header={
                "webhook-id": webhook_id,
                "webhook-timestamp": webhook_timestamp,
                "webhook-signature": webhook_signature,
            },
        )


class AsyncCallbacks:
    """Operations of `callbacks`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def receive(
        self,
        vendor: str,
        body: VendorCallback,
        *,
        webhook_id: str,
        webhook_timestamp: str,
        webhook_signature: str,
    ) -> None:
        """Take a vendor's signed callback.

        Signed by the Standard Webhooks specification: the HMAC-SHA256, under the secret
        shared with the vendor, of `{webhook-id}.{webhook-timestamp}.{body}`, where the
        body is its bytes exactly as they travel. A secret is written `whsec_` and base64;
        what is decoded is the key. While secrets are rotated, either of two is right. The
        timestamp may differ from our clock by 300 seconds at most: a repetition is signed
        anew.
        """
        await self._transport.ask(
            "POST",
            f"/callbacks/{self._transport.quoted(vendor)}",
            body=body,
            header={
                "webhook-id": webhook_id,
                "webhook-timestamp": webhook_timestamp,
                "webhook-signature": webhook_signature,
            },
        )


class Graphql:
    """Operations of `graphql`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ask(self, body: QuestionBody) -> GraphQLResponse:
        """Ask by GraphQL.

        One read schema over applications, offers, assessments, loans, compliance and
        payments. You see what you see by the other paths: applicants their own records,
        staff those of their tenant, and fields that are for some roles answer
        `NOT_ALLOWED` in their place to others. An answer shows one moment. Lists come in
        pages (Relay's connections): `first` is 1 to 50, 20 unless given. A router of a
        federation finds `_service` and `_entities` (at most 50 representations).
        """
        answer: GraphQLResponse = self._transport.ask("POST", "/graphql", body=body)
        return answer


class AsyncGraphql:
    """Operations of `graphql`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def ask(self, body: QuestionBody) -> GraphQLResponse:
        """Ask by GraphQL.

        One read schema over applications, offers, assessments, loans, compliance and
        payments. You see what you see by the other paths: applicants their own records,
        staff those of their tenant, and fields that are for some roles answer
        `NOT_ALLOWED` in their place to others. An answer shows one moment. Lists come in
        pages (Relay's connections): `first` is 1 to 50, 20 unless given. A router of a
        federation finds `_service` and `_entities` (at most 50 representations).
        """
        answer: GraphQLResponse = await self._transport.ask("POST", "/graphql", body=body)
        return answer


class Health:
    """Operations of `health`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def alive(self) -> None:
        """Ask whether the process is alive.

        The process is alive.
        """
        self._transport.ask("GET", "/healthz")

    def ready(self) -> Ready:
        """Ask whether applications can be taken.

        Whether applications can be taken, and what is missing.
        """
        answer: Ready = self._transport.ask("GET", "/readyz")
        return answer

    def metrics(self) -> None:
        """Read the numbers of this process.

        Requests, latencies, limits that were met and the database's pool; for the token's
        holder.
        """
        self._transport.ask("GET", "/metrics")


class AsyncHealth:
    """Operations of `health`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def alive(self) -> None:
        """Ask whether the process is alive.

        The process is alive.
        """
        await self._transport.ask("GET", "/healthz")

    async def ready(self) -> Ready:
        """Ask whether applications can be taken.

        Whether applications can be taken, and what is missing.
        """
        answer: Ready = await self._transport.ask("GET", "/readyz")
        return answer

    async def metrics(self) -> None:
        """Read the numbers of this process.

        Requests, latencies, limits that were met and the database's pool; for the token's
        holder.
        """
        await self._transport.ask("GET", "/metrics")


class Offers:
    """Operations of `offers`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def history(
        self,
        *,
        status: OfferStatus | None = None,
        provider_id: str | None = None,
        application_id: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> OfferHistoryAnswer:
        """List offers.

        Every offer ever made, of every status, the newest first: your own, or, for
        integrators and staff, your tenant's.
        """
        answer: OfferHistoryAnswer = self._transport.ask(
            "GET",
            "/api/v1/offers/history",
            query={
                "status": status,
                "provider_id": provider_id,
                "application_id": application_id,
                "limit": limit,
                "after": after,
            },
        )
        return answer

    def show(self, offer_id: str) -> KnownOfferAnswer:
        """Show an offer.

        An offer with the terms that its lender signs and the contract pays by.
        """
        answer: KnownOfferAnswer = self._transport.ask(
            "GET", f"/api/v1/offers/{self._transport.quoted(offer_id)}"
        )
        return answer

    def accept(
        self, offer_id: str, body: AcceptOfferBody, *, idempotency_key: str | None = None
    ) -> AcceptedAnswer:
        """Accept this offer.

        Accept an offer with the borrower's EIP-712 signature over exactly its terms.
        """
        answer: AcceptedAnswer = self._transport.ask(
            "POST",
            f"/api/v1/offers/{self._transport.quoted(offer_id)}/accept",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def reject(
        self, offer_id: str, body: RejectBody, *, idempotency_key: str | None = None
    ) -> RejectedAnswer:
        """Reject an offer.

        Say no to an open offer; the others stand, and the application goes on.
        """
        answer: RejectedAnswer = self._transport.ask(
            "POST",
            f"/api/v1/offers/{self._transport.quoted(offer_id)}/reject",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class AsyncOffers:
    """Operations of `offers`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def history(
        self,
        *,
        status: OfferStatus | None = None,
        provider_id: str | None = None,
        application_id: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> OfferHistoryAnswer:
        """List offers.

        Every offer ever made, of every status, the newest first: your own, or, for
        integrators and staff, your tenant's.
        """
        answer: OfferHistoryAnswer = await self._transport.ask(
            "GET",
            "/api/v1/offers/history",
            query={
                "status": status,
                "provider_id": provider_id,
                "application_id": application_id,
                "limit": limit,
                "after": after,
            },
        )
        return answer

    async def show(self, offer_id: str) -> KnownOfferAnswer:
        """Show an offer.

        An offer with the terms that its lender signs and the contract pays by.
        """
        answer: KnownOfferAnswer = await self._transport.ask(
            "GET", f"/api/v1/offers/{self._transport.quoted(offer_id)}"
        )
        return answer

    async def accept(
        self, offer_id: str, body: AcceptOfferBody, *, idempotency_key: str | None = None
    ) -> AcceptedAnswer:
        """Accept this offer.

        Accept an offer with the borrower's EIP-712 signature over exactly its terms.
        """
        answer: AcceptedAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/offers/{self._transport.quoted(offer_id)}/accept",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def reject(
        self, offer_id: str, body: RejectBody, *, idempotency_key: str | None = None
    ) -> RejectedAnswer:
        """Reject an offer.

        Say no to an open offer; the others stand, and the application goes on.
        """
        answer: RejectedAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/offers/{self._transport.quoted(offer_id)}/reject",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class Operators:
    """Operations of `operators`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def decode(self, body: Payloads) -> Payloads:
        """Decrypt payloads for the Temporal Web UI.

        Decrypt your own tenant's payloads; others stay encrypted. Every use is audited.
        """
        answer: Payloads = self._transport.ask("POST", "/codec/decode", body=body)
        return answer

    def encode(self, body: Payloads) -> Payloads:
        """Encrypt payloads for the Temporal Web UI.

        Encrypt payloads under your tenant's key, as the Web UI does for signals it sends.
        """
        answer: Payloads = self._transport.ask("POST", "/codec/encode", body=body)
        return answer


class AsyncOperators:
    """Operations of `operators`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def decode(self, body: Payloads) -> Payloads:
        """Decrypt payloads for the Temporal Web UI.

        Decrypt your own tenant's payloads; others stay encrypted. Every use is audited.
        """
        answer: Payloads = await self._transport.ask("POST", "/codec/decode", body=body)
        return answer

    async def encode(self, body: Payloads) -> Payloads:
        """Encrypt payloads for the Temporal Web UI.

        Encrypt payloads under your tenant's key, as the Web UI does for signals it sends.
        """
        answer: Payloads = await self._transport.ask("POST", "/codec/encode", body=body)
        return answer


class Providers:
    """Operations of `providers`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def page(
        self,
        *,
        type: ProviderType | None = None,
        status: ProviderStatus | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> ProviderListAnswer:
        """List providers.

        Whom you may borrow from: your tenant's providers, the platform's, and configured
        ones.
        """
        answer: ProviderListAnswer = self._transport.ask(
            "GET",
            "/api/v1/providers",
            query={"type": type, "status": status, "limit": limit, "after": after},
        )
        return answer

    def register(self, body: ProviderBody, *, idempotency_key: str | None = None) -> ProviderAnswer:
        """Register a provider of your tenant's; a platform administrator's is every
        tenant's.
        """
        answer: ProviderAnswer = self._transport.ask(
            "POST",
            "/api/v1/providers",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def show(self, provider_id: str) -> ProviderAnswer:
        """Show a provider.

        A provider and how it fares; a removed one stays readable. Never its credentials.
        """
        answer: ProviderAnswer = self._transport.ask(
            "GET", f"/api/v1/providers/{self._transport.quoted(provider_id)}"
        )
        return answer

    def change(
        self, provider_id: str, body: ProviderChangeBody, *, idempotency_key: str | None = None
    ) -> ProviderAnswer:
        """Change a provider as a whole, from the version you have read."""
        answer: ProviderAnswer = self._transport.ask(
            "PUT",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def remove(self, provider_id: str, *, idempotency_key: str | None = None) -> ProviderAnswer:
        """Remove a provider.

        Ask a provider for no more offers; what it has offered and lent stays on record.
        """
        answer: ProviderAnswer = self._transport.ask(
            "DELETE",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def status_history(self, provider_id: str) -> StatusHistoryAnswer:
        """Show how a provider fared.

        Every change of a provider's status: from what to what, when, why, and by whom.
        """
        answer: StatusHistoryAnswer = self._transport.ask(
            "GET", f"/api/v1/providers/{self._transport.quoted(provider_id)}/status-history"
        )
        return answer

    def rotate(
        self, provider_id: str, body: CredentialsBody, *, idempotency_key: str | None = None
    ) -> ProviderAnswer:
        """Rotate a provider's credentials.

        Replace a provider's credentials; in two seconds every process of ours uses the
        new ones.
        """
        answer: ProviderAnswer = self._transport.ask(
            "POST",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}/credentials",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def test(self, provider_id: str, *, idempotency_key: str | None = None) -> TrialAnswer:
        """Try a provider.

        Resolve its name, reach it, authenticate, ask for its status; no quote is asked
        for.
        """
        answer: TrialAnswer = self._transport.ask(
            "POST",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}/test",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class AsyncProviders:
    """Operations of `providers`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def page(
        self,
        *,
        type: ProviderType | None = None,
        status: ProviderStatus | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> ProviderListAnswer:
        """List providers.

        Whom you may borrow from: your tenant's providers, the platform's, and configured
        ones.
        """
        answer: ProviderListAnswer = await self._transport.ask(
            "GET",
            "/api/v1/providers",
            query={"type": type, "status": status, "limit": limit, "after": after},
        )
        return answer

    async def register(
        self, body: ProviderBody, *, idempotency_key: str | None = None
    ) -> ProviderAnswer:
        """Register a provider of your tenant's; a platform administrator's is every
        tenant's.
        """
        answer: ProviderAnswer = await self._transport.ask(
            "POST",
            "/api/v1/providers",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def show(self, provider_id: str) -> ProviderAnswer:
        """Show a provider.

        A provider and how it fares; a removed one stays readable. Never its credentials.
        """
        answer: ProviderAnswer = await self._transport.ask(
            "GET", f"/api/v1/providers/{self._transport.quoted(provider_id)}"
        )
        return answer

    async def change(
        self, provider_id: str, body: ProviderChangeBody, *, idempotency_key: str | None = None
    ) -> ProviderAnswer:
        """Change a provider as a whole, from the version you have read."""
        answer: ProviderAnswer = await self._transport.ask(
            "PUT",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def remove(
        self, provider_id: str, *, idempotency_key: str | None = None
    ) -> ProviderAnswer:
        """Remove a provider.

        Ask a provider for no more offers; what it has offered and lent stays on record.
        """
        answer: ProviderAnswer = await self._transport.ask(
            "DELETE",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def status_history(self, provider_id: str) -> StatusHistoryAnswer:
        """Show how a provider fared.

        Every change of a provider's status: from what to what, when, why, and by whom.
        """
        answer: StatusHistoryAnswer = await self._transport.ask(
            "GET", f"/api/v1/providers/{self._transport.quoted(provider_id)}/status-history"
        )
        return answer

    async def rotate(
        self, provider_id: str, body: CredentialsBody, *, idempotency_key: str | None = None
    ) -> ProviderAnswer:
        """Rotate a provider's credentials.

        Replace a provider's credentials; in two seconds every process of ours uses the
        new ones.
        """
        answer: ProviderAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}/credentials",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def test(self, provider_id: str, *, idempotency_key: str | None = None) -> TrialAnswer:
        """Try a provider.

        Resolve its name, reach it, authenticate, ask for its status; no quote is asked
        for.
        """
        answer: TrialAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/providers/{self._transport.quoted(provider_id)}/test",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class Reviews:
    """Operations of `reviews`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def open_reviews(self) -> ReviewListAnswer:
        """List open reviews.

        The open reviews of your tenant, oldest first, at most 100.
        """
        answer: ReviewListAnswer = self._transport.ask("GET", "/api/v1/reviews")
        return answer

    def show(self, review_id: str) -> ReviewDetailAnswer:
        """Show a review.

        A review you may decide, with what the applicant has sent; reading it is recorded.
        """
        answer: ReviewDetailAnswer = self._transport.ask(
            "GET", f"/api/v1/reviews/{self._transport.quoted(review_id)}"
        )
        return answer

    def decide(
        self, review_id: str, body: DecisionBody, *, idempotency_key: str | None = None
    ) -> DecidedAnswer:
        """Decide a review.

        Approve or reject, under your own name and with a reason.
        """
        answer: DecidedAnswer = self._transport.ask(
            "POST",
            f"/api/v1/reviews/{self._transport.quoted(review_id)}/decision",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def ask(
        self, review_id: str, body: AskBody, *, idempotency_key: str | None = None
    ) -> AskedAnswer:
        """Ask the applicant for something before you decide; the review waits for the
        answer.
        """
        answer: AskedAnswer = self._transport.ask(
            "POST",
            f"/api/v1/reviews/{self._transport.quoted(review_id)}/information",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def assign(
        self, review_id: str, body: AssignBody, *, idempotency_key: str | None = None
    ) -> AssignedAnswer:
        """Assign a review.

        Give a review to one person, who alone may decide it from then on.
        """
        answer: AssignedAnswer = self._transport.ask(
            "POST",
            f"/api/v1/reviews/{self._transport.quoted(review_id)}/assignment",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class AsyncReviews:
    """Operations of `reviews`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def open_reviews(self) -> ReviewListAnswer:
        """List open reviews.

        The open reviews of your tenant, oldest first, at most 100.
        """
        answer: ReviewListAnswer = await self._transport.ask("GET", "/api/v1/reviews")
        return answer

    async def show(self, review_id: str) -> ReviewDetailAnswer:
        """Show a review.

        A review you may decide, with what the applicant has sent; reading it is recorded.
        """
        answer: ReviewDetailAnswer = await self._transport.ask(
            "GET", f"/api/v1/reviews/{self._transport.quoted(review_id)}"
        )
        return answer

    async def decide(
        self, review_id: str, body: DecisionBody, *, idempotency_key: str | None = None
    ) -> DecidedAnswer:
        """Decide a review.

        Approve or reject, under your own name and with a reason.
        """
        answer: DecidedAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/reviews/{self._transport.quoted(review_id)}/decision",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def ask(
        self, review_id: str, body: AskBody, *, idempotency_key: str | None = None
    ) -> AskedAnswer:
        """Ask the applicant for something before you decide; the review waits for the
        answer.
        """
        answer: AskedAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/reviews/{self._transport.quoted(review_id)}/information",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def assign(
        self, review_id: str, body: AssignBody, *, idempotency_key: str | None = None
    ) -> AssignedAnswer:
        """Assign a review.

        Give a review to one person, who alone may decide it from then on.
        """
        answer: AssignedAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/reviews/{self._transport.quoted(review_id)}/assignment",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class Webhooks:
    """Operations of `webhooks`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def webhooks(self) -> WebhookListAnswer:
        """List webhooks.

        Your tenant's webhooks, the newest first; their secrets are never shown again.
        """
        answer: WebhookListAnswer = self._transport.ask("GET", "/api/v1/webhooks")
        return answer

    def register(
        self, body: WebhookBody, *, idempotency_key: str | None = None
    ) -> NewWebhookAnswer:
        """Register a webhook.

        Have an address told of your tenant's events from now on, as far as you may see
        them.
        """
        answer: NewWebhookAnswer = self._transport.ask(
            "POST",
            "/api/v1/webhooks",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def test(
        self, body: WebhookTestBody, *, idempotency_key: str | None = None
    ) -> WebhookTestAnswer:
        """Test a webhook.

        Send a test event (`webhook.test`) to a webhook of yours, now, and tell what came
        back.
        """
        answer: WebhookTestAnswer = self._transport.ask(
            "POST",
            "/api/v1/webhooks/test",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def show(self, id: str) -> WebhookAnswer:
        """Show a webhook.

        A webhook, removed ones among them, without its secrets.
        """
        answer: WebhookAnswer = self._transport.ask(
            "GET", f"/api/v1/webhooks/{self._transport.quoted(id)}"
        )
        return answer

    def register_for_provider(
        self, id: str, body: WebhookBody, *, idempotency_key: str | None = None
    ) -> NewWebhookAnswer:
        """Register a webhook for a provider's events.

        As `POST /api/v1/webhooks`, for what concerns one provider: its offers and its
        status.
        """
        answer: NewWebhookAnswer = self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def remove(self, id: str, *, idempotency_key: str | None = None) -> WebhookAnswer:
        """Remove a webhook.

        Tell it of nothing any more. Its secrets are destroyed; what waited is
        dead-lettered.
        """
        answer: WebhookAnswer = self._transport.ask(
            "DELETE",
            f"/api/v1/webhooks/{self._transport.quoted(id)}",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def rotate(
        self, id: str, body: SecretRotationBody, *, idempotency_key: str | None = None
    ) -> NewWebhookAnswer:
        """Rotate a webhook's secret.

        Make a new secret. For the overlap you name, each message bears both secrets'
        signatures.
        """
        answer: NewWebhookAnswer = self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/rotation",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def set_status(
        self, id: str, body: WebhookStatusBody, *, idempotency_key: str | None = None
    ) -> WebhookAnswer:
        """Pause a webhook, or resume it.

        Let events wait, or tell of them again, in their order.
        """
        answer: WebhookAnswer = self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/status",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def deliveries(
        self,
        id: str,
        *,
        status: DeliveryStatus | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> DeliveryListAnswer:
        """List a webhook's deliveries.

        What a webhook was told, and was not, the newest first; `dead_lettered` needs
        somebody.
        """
        answer: DeliveryListAnswer = self._transport.ask(
            "GET",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/deliveries",
            query={"status": status, "limit": limit, "after": after},
        )
        return answer

    def redeliver(
        self, id: str, delivery_id: str, *, idempotency_key: str | None = None
    ) -> DeliveryAnswer:
        """Deliver an event again.

        Tell of an event again, under the same id, whatever became of it before.
        """
        answer: DeliveryAnswer = self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/deliveries/{self._transport.quoted(delivery_id)}/redelivery",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    def redeliver_all(self, id: str, *, idempotency_key: str | None = None) -> RedeliveredAnswer:
        """Deliver again all that was dead-lettered.

        Tell again of all that was given up, in order along each key, under the same ids.
        """
        answer: RedeliveredAnswer = self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/redelivery",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class AsyncWebhooks:
    """Operations of `webhooks`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def webhooks(self) -> WebhookListAnswer:
        """List webhooks.

        Your tenant's webhooks, the newest first; their secrets are never shown again.
        """
        answer: WebhookListAnswer = await self._transport.ask("GET", "/api/v1/webhooks")
        return answer

    async def register(
        self, body: WebhookBody, *, idempotency_key: str | None = None
    ) -> NewWebhookAnswer:
        """Register a webhook.

        Have an address told of your tenant's events from now on, as far as you may see
        them.
        """
        answer: NewWebhookAnswer = await self._transport.ask(
            "POST",
            "/api/v1/webhooks",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def test(
        self, body: WebhookTestBody, *, idempotency_key: str | None = None
    ) -> WebhookTestAnswer:
        """Test a webhook.

        Send a test event (`webhook.test`) to a webhook of yours, now, and tell what came
        back.
        """
        answer: WebhookTestAnswer = await self._transport.ask(
            "POST",
            "/api/v1/webhooks/test",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def show(self, id: str) -> WebhookAnswer:
        """Show a webhook.

        A webhook, removed ones among them, without its secrets.
        """
        answer: WebhookAnswer = await self._transport.ask(
            "GET", f"/api/v1/webhooks/{self._transport.quoted(id)}"
        )
        return answer

    async def register_for_provider(
        self, id: str, body: WebhookBody, *, idempotency_key: str | None = None
    ) -> NewWebhookAnswer:
        """Register a webhook for a provider's events.

        As `POST /api/v1/webhooks`, for what concerns one provider: its offers and its
        status.
        """
        answer: NewWebhookAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def remove(self, id: str, *, idempotency_key: str | None = None) -> WebhookAnswer:
        """Remove a webhook.

        Tell it of nothing any more. Its secrets are destroyed; what waited is
        dead-lettered.
        """
        answer: WebhookAnswer = await self._transport.ask(
            "DELETE",
            f"/api/v1/webhooks/{self._transport.quoted(id)}",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def rotate(
        self, id: str, body: SecretRotationBody, *, idempotency_key: str | None = None
    ) -> NewWebhookAnswer:
        """Rotate a webhook's secret.

        Make a new secret. For the overlap you name, each message bears both secrets'
        signatures.
        """
        answer: NewWebhookAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/rotation",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def set_status(
        self, id: str, body: WebhookStatusBody, *, idempotency_key: str | None = None
    ) -> WebhookAnswer:
        """Pause a webhook, or resume it.

        Let events wait, or tell of them again, in their order.
        """
        answer: WebhookAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/status",
            body=body,
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def deliveries(
        self,
        id: str,
        *,
        status: DeliveryStatus | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> DeliveryListAnswer:
        """List a webhook's deliveries.

        What a webhook was told, and was not, the newest first; `dead_lettered` needs
        somebody.
        """
        answer: DeliveryListAnswer = await self._transport.ask(
            "GET",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/deliveries",
            query={"status": status, "limit": limit, "after": after},
        )
        return answer

    async def redeliver(
        self, id: str, delivery_id: str, *, idempotency_key: str | None = None
    ) -> DeliveryAnswer:
        """Deliver an event again.

        Tell of an event again, under the same id, whatever became of it before.
        """
        answer: DeliveryAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/deliveries/{self._transport.quoted(delivery_id)}/redelivery",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer

    async def redeliver_all(
        self, id: str, *, idempotency_key: str | None = None
    ) -> RedeliveredAnswer:
        """Deliver again all that was dead-lettered.

        Tell again of all that was given up, in order along each key, under the same ids.
        """
        answer: RedeliveredAnswer = await self._transport.ask(
            "POST",
            f"/api/v1/webhooks/{self._transport.quoted(id)}/redelivery",
            header={"Idempotency-Key": idempotency_key},
            write=True,
        )
        return answer


class Operations:
    """All operations by subject; each call waits."""

    def __init__(self, transport: Transport) -> None:
        self.accounts = Accounts(transport)
        self.applications = Applications(transport)
        self.auth = Auth(transport)
        self.callbacks = Callbacks(transport)
        self.graphql = Graphql(transport)
        self.health = Health(transport)
        self.offers = Offers(transport)
        self.operators = Operators(transport)
        self.providers = Providers(transport)
        self.reviews = Reviews(transport)
        self.webhooks = Webhooks(transport)


class AsyncOperations:
    """All operations by subject; each call is awaited."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.accounts = AsyncAccounts(transport)
        self.applications = AsyncApplications(transport)
        self.auth = AsyncAuth(transport)
        self.callbacks = AsyncCallbacks(transport)
        self.graphql = AsyncGraphql(transport)
        self.health = AsyncHealth(transport)
        self.offers = AsyncOffers(transport)
        self.operators = AsyncOperators(transport)
        self.providers = AsyncProviders(transport)
        self.reviews = AsyncReviews(transport)
        self.webhooks = AsyncWebhooks(transport)
