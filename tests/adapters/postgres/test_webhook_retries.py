"""What has failed: retried in order, dead-lettered in time, handed back when nothing is left."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.webhooks import WebhookActivities
from adapters.postgres.webhook_deliveries import PostgresWebhookDeliveries
from adapters.postgres.webhook_lines import WebhookLines
from adapters.postgres.webhook_retries import PostgresWebhookRetries
from adapters.postgres.webhooks import PostgresWebhooks
from adapters.webhooks.signature import decode_secret, sign_callback, verify_callback
from models.domain.errors import Conflict, NotFound
from models.domain.events import Event
from models.domain.webhook import (
    GONE,
    NOT_ACCEPTED,
    Attempt,
    Delivery,
    DeliveryStatus,
    Drained,
    DueEvent,
    Line,
    RetryPlan,
    Target,
    Webhook,
    WebhookStatus,
    WebhookView,
)
from models.domain.writes import StoredAnswer
from tests.adapters.postgres.receivers import (
    ACCEPTED,
    BOTH,
    FAILED,
    PLAN,
    Registered,
    failed_line,
    happen,
    nothing,
    register,
)

pytestmark = pytest.mark.stack


class ScriptedSender:
    """Answers as it is told, and remembers what it sent."""

    def __init__(self, *attempts: Attempt) -> None:
        self.attempts = list(attempts)
        self.sent: list[tuple[Target, Event]] = []

    async def send(self, target: Target, event: Event) -> Attempt:
        self.sent.append((target, event))
        return self.attempts.pop(0) if self.attempts else ACCEPTED

    @property
    def types(self) -> list[str]:
        return [event.type for _, event in self.sent]


def retries(lending: Any, plan: RetryPlan = PLAN) -> PostgresWebhookRetries:
    return PostgresWebhookRetries(lending.app, plan)


async def deliveries(lending: Any, line: Line) -> list[tuple[Any, ...]]:
    rows = await lending.rows(
        "SELECT type, status, attempts, last_reason FROM webhook_deliveries"
        " WHERE tenant_id = $1 AND webhook_id = $2 ORDER BY event_seq",
        line.tenant_id, line.webhook_id,
    )  # fmt: skip
    return [tuple(row) for row in rows]


async def lines(lending: Any, line: Line) -> int:
    count: int = await lending.value(
        "SELECT count(*) FROM webhook_lines WHERE webhook_id = $1", line.webhook_id
    )
    return count


@pytest.fixture
async def tenant(lending: Any) -> str:
    named: str = lending.tenant()
    return named


@pytest.fixture
async def hook(lending: Any, tenant: str) -> Registered:
    return await register(lending, tenant, "https://hooks.example.org/in")


async def test_the_line_is_told_in_order_and_handed_back(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one", "x.two", "x.three")
    sender = ScriptedSender()
    steps = WebhookActivities(retries(lending), sender)
    assert await steps.deliver_webhooks(line) is Drained.HANDED_BACK
    assert sender.types == ["x.one", "x.two", "x.three"]
    assert [row[1:3] for row in await deliveries(lending, line)] == [
        ("delivered", 2), ("delivered", 1), ("delivered", 1),
    ]  # fmt: skip
    assert await lines(lending, line) == 0
    # A workflow that is started for nothing finds nothing to do.
    assert await steps.deliver_webhooks(line) is Drained.HANDED_BACK


async def test_a_failure_holds_the_line_and_says_when_it_is_due_again(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one", "x.two")
    sender = ScriptedSender(FAILED)
    with pytest.raises(ApplicationError) as waits:
        await WebhookActivities(retries(lending), sender).deliver_webhooks(line)
    assert waits.value.type == "WEBHOOK_NOT_TOLD"
    assert not waits.value.non_retryable
    delay = waits.value.next_retry_delay
    assert delay is not None
    assert 32 <= delay.total_seconds() <= 48  # the second time: 10 s times 4, and a fifth
    assert sender.types == ["x.one"]
    due, _ = await WebhookLines(lending.relay).due(300.0, 500)
    assert line not in [each.line for each in due]


async def test_what_the_receiver_asks_for_is_waited(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one")
    sender = ScriptedSender(Attempt(1, 429, NOT_ACCEPTED, retry_after_s=1_000.0))
    with pytest.raises(ApplicationError) as waits:
        await WebhookActivities(retries(lending), sender).deliver_webhooks(line)
    assert waits.value.next_retry_delay == timedelta(seconds=1_000)


async def test_a_head_whose_time_is_up_is_dead_lettered_and_the_next_one_told(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one", "x.two")
    await lending.execute(
        "UPDATE webhook_deliveries SET since = since - interval '2 hours'"
        " WHERE webhook_id = $1 AND type = 'x.one'",
        hook.webhook_id,
    )
    sender = ScriptedSender(FAILED)
    done = await WebhookActivities(retries(lending), sender).deliver_webhooks(line)
    assert done is Drained.HANDED_BACK
    assert sender.types == ["x.one", "x.two"]
    assert await deliveries(lending, line) == [
        ("x.one", "dead_lettered", 2, NOT_ACCEPTED), ("x.two", "delivered", 1, None),
    ]  # fmt: skip
    [event] = await lending.rows(
        "SELECT key, data FROM outbox WHERE tenant_id = $1 AND type = 'webhook.dead_lettered'",
        tenant,
    )
    assert event["key"] == hook.webhook_id
    data = json.loads(event["data"])
    assert (data["event_type"], data["reason"], data["status"]) == ("x.one", NOT_ACCEPTED, 500)
    [dead] = await PostgresWebhookDeliveries(lending.app).page(
        tenant, hook.webhook_id, BOTH, DeliveryStatus.DEAD_LETTERED, None, 10
    )
    assert (dead.type, dead.owner, dead.last_reason) == ("x.one", "ada", NOT_ACCEPTED)


async def test_a_receiver_that_is_gone_disables_its_webhook(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one", "x.two")
    steps = WebhookActivities(retries(lending), ScriptedSender(Attempt(3, 410, GONE)))
    assert await steps.deliver_webhooks(line) is Drained.HANDED_BACK
    webhook = await PostgresWebhooks(lending.app).one(tenant, hook.webhook_id, BOTH)
    assert (webhook.status, webhook.status_reason) == (WebhookStatus.DISABLED, GONE)
    assert {row[1] for row in await deliveries(lending, line)} == {"dead_lettered"}
    assert await lines(lending, line) == 0
    assert "webhook.disabled" in await lending.published(tenant)
    with pytest.raises(Conflict) as refused:
        await PostgresWebhooks(lending.app).pause(
            lending.write(tenant), hook.webhook_id, BOTH, nothing
        )
    assert refused.value.code == "WEBHOOK_NOT_ACTIVE"


async def test_a_paused_webhook_holds_its_lines_until_it_resumes(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one")
    records, sender = PostgresWebhooks(lending.app), ScriptedSender()
    steps = WebhookActivities(retries(lending), sender)
    await records.pause(lending.write(tenant), hook.webhook_id, BOTH, nothing)
    assert await steps.deliver_webhooks(line) is Drained.HELD
    due, _ = await WebhookLines(lending.relay).due(0.0, 500)
    assert line not in [each.line for each in due]
    await records.resume(lending.write(tenant), hook.webhook_id, BOTH, nothing)
    due, _ = await WebhookLines(lending.relay).due(300.0, 500)
    assert line in [each.line for each in due]
    assert await steps.deliver_webhooks(line) is Drained.HANDED_BACK
    assert sender.types == ["x.one"]


async def test_what_is_added_while_a_line_is_handed_back_is_not_forgotten(
    lending: Any, tenant: str, hook: Registered
) -> None:
    """Whoever takes an event up holds the line's row: the way back waits, and then sees it."""
    line = await failed_line(lending, tenant, hook, "x.one")
    records = retries(lending)
    due = await records.next(line)
    assert isinstance(due, DueEvent)
    await records.settle(line, due, ACCEPTED)
    async with lending.relay.session() as session, session.transaction() as tx:
        await tx.execute("SELECT set_config('app.tenant_id', $1, true)", tenant)
        await happen(lending, tenant, "app_1", "x.two")
        event = await lending.value("SELECT max(seq) FROM outbox WHERE tenant_id = $1", tenant)
        await tx.execute(
            "INSERT INTO webhook_deliveries (tenant_id, delivery_id, webhook_id, key, event_seq,"
            " event_id, type, status) SELECT tenant_id, 'dlv_late', $2, key, seq, event_id, type,"
            " 'pending' FROM outbox WHERE seq = $1",
            event, hook.webhook_id,
        )  # fmt: skip
        await tx.rows(
            "SELECT FROM webhook_lines WHERE tenant_id = $1 AND webhook_id = $2 FOR SHARE",
            tenant, hook.webhook_id,
        )  # fmt: skip
        handing_back = asyncio.create_task(records.next(line))
        await asyncio.sleep(0.1)
        assert not handing_back.done()
    assert await handing_back is Drained.MORE
    later = await records.next(line)
    assert isinstance(later, DueEvent)
    assert later.event.type == "x.two"


async def test_a_removed_webhooks_lines_end(lending: Any, tenant: str, hook: Registered) -> None:
    line = await failed_line(lending, tenant, hook, "x.one")
    records = PostgresWebhooks(lending.app)
    for _ in range(2):  # removing it again changes nothing
        await records.remove(lending.write(tenant), hook.webhook_id, BOTH, nothing)
    due, _ = await WebhookLines(lending.relay).due(300.0, 500)
    assert line in [each.line for each in due]
    sender = ScriptedSender()
    done = await WebhookActivities(retries(lending), sender).deliver_webhooks(line)
    assert (done, sender.sent) == (Drained.HANDED_BACK, [])
    assert await deliveries(lending, line) == [("x.one", "dead_lettered", 1, "REMOVED")]
    assert await lines(lending, line) == 0
    with pytest.raises(Conflict):
        await records.resume(lending.write(tenant), hook.webhook_id, BOTH, nothing)
    assert await records.all(tenant, BOTH) == ()


async def test_what_is_added_while_a_webhook_is_removed_is_told_to_nobody(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one", "x.two")
    await PostgresWebhooks(lending.app).remove(
        lending.write(tenant), hook.webhook_id, BOTH, nothing
    )
    # As whoever took it up a moment before the removal was committed leaves it.
    await lending.execute(
        "UPDATE webhook_deliveries SET status = 'pending', last_reason = NULL, settled_at = NULL"
        " WHERE tenant_id = $1 AND type = 'x.two'",
        tenant,
    )
    sender = ScriptedSender()
    done = await WebhookActivities(retries(lending), sender).deliver_webhooks(line)
    assert (done, sender.sent) == (Drained.HANDED_BACK, [])
    assert [row[1:4:2] for row in await deliveries(lending, line)] == [
        ("dead_lettered", "REMOVED")
    ] * 2
    assert await lines(lending, line) == 0


async def test_a_line_that_nobody_looks_after_is_told_again(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one")
    await lending.execute("UPDATE webhook_lines SET due_at = now() WHERE key = 'app_1'")
    store = WebhookLines(lending.relay)
    due, _ = await store.due(300.0, 500)
    [ours] = [each for each in due if each.line == line]
    await store.told([ours])
    due, wait_s = await store.due(300.0, 500)
    assert line not in [each.line for each in due]
    assert wait_s is not None
    await lending.execute(
        "UPDATE webhook_lines SET due_at = now() - interval '301 seconds' WHERE webhook_id = $1",
        hook.webhook_id,
    )
    due, _ = await store.due(300.0, 500)
    assert line in [each.line for each in due]


async def test_dead_letters_are_told_again_under_the_same_ids(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one", "x.two")
    strict = RetryPlan(first_s=10.0, give_up_after_s=1.0)
    dying = ScriptedSender(FAILED, FAILED)
    await WebhookActivities(retries(lending, strict), dying).deliver_webhooks(line)
    assert {row[1] for row in await deliveries(lending, line)} == {"dead_lettered"}
    records = PostgresWebhookDeliveries(lending.app)
    counts: list[int] = []

    def counted(count: int) -> StoredAnswer:
        counts.append(count)
        return StoredAnswer(200, {}, b"{}")

    write = lending.write(tenant)
    for _ in range(2):  # a repetition has no second effect
        await records.redeliver_all(write, hook.webhook_id, BOTH, counted)
    assert counts == [2]
    due, _ = await WebhookLines(lending.relay).due(300.0, 500)
    assert line in [each.line for each in due]
    sender = ScriptedSender()
    await WebhookActivities(retries(lending), sender).deliver_webhooks(line)
    assert [event.event_id for _, event in sender.sent] == [
        event.event_id for _, event in dying.sent
    ]
    assert {row[1] for row in await deliveries(lending, line)} == {"delivered"}


async def test_one_delivery_is_told_again_whatever_became_of_it(
    lending: Any, tenant: str, hook: Registered
) -> None:
    line = await failed_line(lending, tenant, hook, "x.one")
    await WebhookActivities(retries(lending), ScriptedSender()).deliver_webhooks(line)
    records = PostgresWebhookDeliveries(lending.app)
    [before] = await records.page(tenant, hook.webhook_id, BOTH, None, None, 10)
    shown: list[Delivery] = []

    def answer(delivery: Delivery) -> StoredAnswer:
        shown.append(delivery)
        return StoredAnswer(200, {}, b"{}")

    await records.redeliver(
        lending.write(tenant), hook.webhook_id, before.delivery_id, BOTH, answer
    )
    assert (shown[0].status, shown[0].attempts) == (DeliveryStatus.PENDING, 0)
    sender = ScriptedSender()
    await WebhookActivities(retries(lending), sender).deliver_webhooks(line)
    assert sender.types == ["x.one"]
    with pytest.raises(NotFound):
        await records.redeliver(lending.write(tenant), hook.webhook_id, "dlv_x", BOTH, answer)


async def test_secrets_are_sealed_and_two_sign_during_a_rotation(
    lending: Any, tenant: str, hook: Registered
) -> None:
    records = PostgresWebhooks(lending.app)
    told: list[tuple[Webhook, str]] = []

    def answer(webhook: Webhook, secret: str) -> StoredAnswer:
        told.append((webhook, secret))
        return StoredAnswer(200, {}, secret.encode())

    write = lending.write(tenant)
    first = await records.rotate(write, hook.webhook_id, BOTH, timedelta(days=1), answer)
    again = await records.rotate(write, hook.webhook_id, BOTH, timedelta(days=1), answer)
    assert first.body == again.body  # a repetition gets the same secret
    [(_, secret)] = told
    target = await records.target(tenant, hook.webhook_id, BOTH)
    now = datetime.now(UTC)
    headers = sign_callback(target.secrets, "evt_1", b"{}", now)
    for each in (secret, hook.secret):
        assert verify_callback(decode_secret(each), headers, b"{}", now) == "evt_1"
    await records.rotate(lending.write(tenant), hook.webhook_id, BOTH, timedelta(0), answer)
    target = await records.target(tenant, hook.webhook_id, BOTH)
    assert [decode_secret(told[-1][1])] == list(target.secrets)
    everything = str(await lending.contents(tenant))
    for each in (secret, hook.secret, told[-1][1]):
        assert each not in everything
        assert decode_secret(each).hex() not in everything
    assert "secrets" not in repr(target)


async def test_who_sees_less_does_not_see_the_webhooks_of_who_sees_more(
    lending: Any, tenant: str, hook: Registered
) -> None:
    records, less = PostgresWebhooks(lending.app), frozenset({WebhookView.APPLICANT})
    own = await register(lending, tenant, "https://b.example.org/", view=WebhookView.APPLICANT)
    assert [each.webhook_id for each in await records.all(tenant, less)] == [own.webhook_id]
    assert len(await records.all(tenant, BOTH)) == 2
    write = lending.write(tenant)
    for refused in (
        records.one(tenant, hook.webhook_id, less),
        records.target(tenant, hook.webhook_id, less),
        records.pause(write, hook.webhook_id, less, nothing),
        records.remove(write, hook.webhook_id, less, nothing),
        records.one(lending.tenant(), own.webhook_id, BOTH),
    ):
        with pytest.raises(NotFound):
            await refused


async def test_a_tenant_has_so_many_webhooks_and_no_more(lending: Any, tenant: str) -> None:
    made = await asyncio.gather(
        *(register(lending, tenant, f"https://{n}.example.org/") for n in range(22)),
        return_exceptions=True,
    )
    refused = [each for each in made if isinstance(each, Conflict)]
    assert [each.code for each in refused] == ["TOO_MANY_WEBHOOKS"] * 2
