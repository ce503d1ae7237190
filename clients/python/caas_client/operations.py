"""The API's operations.

Made of the API's description by `make client`; changes belong there.
"""

from __future__ import annotations

from typing import Final

from ._transport import AsyncTransport, Transport
from .types import (
    AcceptBody,
    AcceptedAnswer,
    ApplicationAnswer,
    ApplicationBody,
    AskBody,
    AskedAnswer,
    AssignBody,
    AssignedAnswer,
    DecidedAnswer,
    DecisionBody,
    GraphQLResponse,
    HandedOverAnswer,
    HandOverBody,
    InformationBody,
    InformedAnswer,
    Payloads,
    QuestionBody,
    Ready,
    ReviewDetailAnswer,
    ReviewListAnswer,
    SubmittedAnswer,
    VendorCallback,
    WithdrawBody,
    WithdrawnAnswer,
)

API_VERSION: Final = "2026-11-22"


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


class Operations:
    """All operations by subject; each call waits."""

    def __init__(self, transport: Transport) -> None:
        self.applications = Applications(transport)
        self.callbacks = Callbacks(transport)
        self.graphql = Graphql(transport)
        self.health = Health(transport)
        self.operators = Operators(transport)
        self.reviews = Reviews(transport)


class AsyncOperations:
    """All operations by subject; each call is awaited."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.applications = AsyncApplications(transport)
        self.callbacks = AsyncCallbacks(transport)
        self.graphql = AsyncGraphql(transport)
        self.health = AsyncHealth(transport)
        self.operators = AsyncOperators(transport)
        self.reviews = AsyncReviews(transport)
