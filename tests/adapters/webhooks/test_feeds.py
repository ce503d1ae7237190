"""What is in memory of a webhook: one at a time along a key, and nothing overtakes what failed."""

from __future__ import annotations

from datetime import UTC, datetime

from adapters.postgres.webhook_lane import Waiting
from adapters.webhooks.feeds import Feed
from models.domain.events import Event
from models.domain.webhook import Line, Target

TARGET = Target("https://a.example/", (b"s" * 32,))
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def waiting(seq: int, key: str = "app_1") -> Waiting:
    event = Event(seq, f"evt_{seq}", "acme", key, "x.y", {}, NOW)
    return Waiting(Line("acme", "whk_1", key), f"dlv_{seq}", event)


def feed_of(*some: Waiting) -> Feed:
    feed = Feed(TARGET)
    feed.load(some, complete=True)
    return feed


def begun(feed: Feed, connections: int = 4) -> list[int]:
    return [each.event.seq for each in feed.next(connections)]


def test_along_a_key_one_is_under_way_at_a_time() -> None:
    first, second, other = waiting(1), waiting(2), waiting(3, "app_2")
    feed = feed_of(first, second, other)
    assert begun(feed) == [1, 3]
    assert begun(feed) == []
    feed.done(first, accepted=True)
    assert begun(feed) == [2]


def test_no_more_than_the_connections_are_under_way() -> None:
    feed = feed_of(*(waiting(number, f"app_{number}") for number in range(1, 6)))
    assert begun(feed, connections=2) == [1, 2]
    assert begun(feed, connections=2) == []


def test_what_is_behind_a_failed_one_is_left_to_its_workflow() -> None:
    first = waiting(1)
    feed = feed_of(first, waiting(2))
    assert begun(feed) == [1]
    feed.done(first, accepted=False)
    feed.offer(waiting(3), 100)
    assert begun(feed) == []
    feed.kept(first, accepted=False)
    assert feed.idle


def test_keeping_one_that_was_accepted_frees_no_line_on_which_the_next_has_failed() -> None:
    """The outcome of the first was under way to the database when the second failed."""
    first, second = waiting(1), waiting(2)
    feed = feed_of(first, second)
    assert begun(feed) == [1]
    feed.done(first, accepted=True)
    assert begun(feed) == [2]
    feed.done(second, accepted=False)
    feed.kept(first, accepted=True)
    feed.offer(waiting(3), 100)
    assert begun(feed) == []


def test_beyond_the_window_the_rest_waits_in_the_database() -> None:
    feed = feed_of()
    for number in range(1, 5):
        feed.offer(waiting(number), 3)
    assert feed.behind
    assert feed.loaded_upto == 3
    feed.offer(waiting(5), 3)
    assert feed.loaded_upto == 3
