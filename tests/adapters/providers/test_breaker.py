"""A breaker opens on failures, probes one call at a time, and closes only on several successes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.providers.breaker import Breaker, BreakerPolicy, BreakerState, Verdict

POLICY = BreakerPolicy(
    failures_in_a_row=3, window=10, least_in_window=6, open_s=10.0, longest_open_s=35.0
)
GOOD, BAD, NEUTRAL = Verdict.GOOD, Verdict.BAD, Verdict.NEUTRAL


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Circuit:
    def __init__(self) -> None:
        self.clock = Clock()
        self.heard: list[BreakerState] = []
        self.breaker = Breaker(POLICY, self.clock, self.heard.append)

    def calls(self, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            admitted = self.breaker.admit()
            assert admitted is not None
            self.breaker.settle(admitted, verdict)

    def opened(self) -> Circuit:
        self.calls(BAD, BAD, BAD)
        assert self.breaker.state is BreakerState.OPEN
        return self


def test_it_opens_after_failures_in_a_row_and_lets_nothing_pass() -> None:
    circuit = Circuit()
    circuit.calls(BAD, BAD, GOOD, BAD, BAD)
    assert circuit.breaker.state is BreakerState.CLOSED
    circuit.calls(BAD)
    assert circuit.breaker.state is BreakerState.OPEN
    assert circuit.breaker.admit() is None
    circuit.clock.now += 9.99
    assert circuit.breaker.admit() is None


def test_it_opens_when_half_of_the_last_calls_failed() -> None:
    circuit = Circuit()
    circuit.calls(BAD, GOOD, BAD, GOOD, GOOD)
    assert circuit.breaker.state is BreakerState.CLOSED
    circuit.calls(BAD)
    assert circuit.breaker.state is BreakerState.OPEN


def test_old_failures_are_forgotten() -> None:
    circuit = Circuit()
    circuit.calls(BAD, GOOD, BAD, GOOD, GOOD, *[GOOD] * 10, BAD, GOOD, BAD)
    assert circuit.breaker.state is BreakerState.CLOSED


def test_what_says_nothing_of_the_lender_changes_nothing() -> None:
    circuit = Circuit()
    circuit.calls(BAD, BAD, *[NEUTRAL] * 50)
    assert circuit.breaker.state is BreakerState.CLOSED
    circuit.calls(BAD)
    assert circuit.breaker.state is BreakerState.OPEN


def test_it_is_probed_by_one_call_at_a_time_and_closed_by_two_successes() -> None:
    circuit = Circuit().opened()
    circuit.clock.now += 10
    assert circuit.breaker.state is BreakerState.HALF_OPEN
    probe = circuit.breaker.admit()
    assert probe is not None
    assert circuit.breaker.admit() is None
    circuit.breaker.settle(probe, GOOD)
    assert circuit.breaker.state is BreakerState.HALF_OPEN
    circuit.calls(GOOD)
    assert circuit.breaker.state is BreakerState.CLOSED
    assert circuit.heard == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_a_probe_that_says_nothing_makes_room_for_the_next() -> None:
    circuit = Circuit().opened()
    circuit.clock.now += 10
    circuit.calls(NEUTRAL, NEUTRAL, GOOD, NEUTRAL, GOOD)
    assert circuit.breaker.state is BreakerState.CLOSED


def test_each_opening_lasts_longer_up_to_the_longest() -> None:
    circuit = Circuit().opened()
    for lasts_s in (10, 20, 35, 35):
        circuit.clock.now += lasts_s - 0.01
        assert circuit.breaker.state is BreakerState.OPEN
        circuit.clock.now += 0.01
        circuit.calls(BAD)


def test_a_lender_that_works_now_and_then_is_not_believed_at_once() -> None:
    circuit = Circuit().opened()
    circuit.clock.now += 10
    circuit.calls(GOOD, GOOD)
    circuit.calls(BAD, BAD, BAD)
    circuit.clock.now += 19.99
    assert circuit.breaker.state is BreakerState.OPEN
    circuit.clock.now += 0.01
    circuit.calls(GOOD, GOOD, *[GOOD] * POLICY.window)
    circuit.opened()
    circuit.clock.now += 10
    assert circuit.breaker.state is BreakerState.HALF_OPEN


def test_late_outcomes_of_an_earlier_state_change_nothing() -> None:
    circuit = Circuit()
    slow = [circuit.breaker.admit() for _ in range(5)]
    circuit.opened()
    circuit.clock.now += 10
    for admitted in slow:
        assert admitted is not None
        circuit.breaker.settle(admitted, BAD)
    assert circuit.breaker.state is BreakerState.HALF_OPEN
    circuit.calls(GOOD, GOOD)
    assert circuit.breaker.state is BreakerState.CLOSED


def test_it_knows_since_when_it_is_not_closed() -> None:
    circuit = Circuit()
    circuit.clock.now += 100
    assert circuit.breaker.since_s == 100
    circuit.opened()
    circuit.clock.now += 10
    circuit.calls(BAD)
    circuit.clock.now += 5
    assert circuit.breaker.since_s == 15


class Machine(RuleBasedStateMachine):
    """Whatever happens in whatever order, who has failed is not asked, and everybody gets back."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = Circuit()
        self.under_way: list[int] = []
        self.half_open_under_way = 0
        self.failures = 0

    @rule()
    def call(self) -> None:
        before = self.circuit.breaker.state
        admitted = self.circuit.breaker.admit()
        assert (admitted is None) or before is not BreakerState.OPEN
        if before is BreakerState.CLOSED:
            assert admitted is not None
        if admitted is not None:
            self.under_way.append(admitted)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 50), verdict=st.sampled_from(Verdict))
    def settle(self, which: int, verdict: Verdict) -> None:
        before = self.circuit.breaker.state
        self.circuit.breaker.settle(self.under_way.pop(which % len(self.under_way)), verdict)
        after = self.circuit.breaker.state
        if before is not BreakerState.OPEN and after is BreakerState.OPEN:
            assert verdict is BAD
        if before is not BreakerState.CLOSED and after is BreakerState.CLOSED:
            assert verdict is GOOD
        if before is BreakerState.OPEN:
            assert after is BreakerState.OPEN

    @rule(seconds=st.floats(0, 50))
    def wait(self, seconds: float) -> None:
        self.circuit.clock.now += seconds

    @invariant()
    def an_open_one_is_probed_again_after_the_longest_time(self) -> None:
        if self.circuit.breaker.state is BreakerState.OPEN:
            then = self.circuit.clock.now
            self.circuit.clock.now += POLICY.longest_open_s
            assert self.circuit.breaker.state is BreakerState.HALF_OPEN
            self.circuit.clock.now = then

    def teardown(self) -> None:
        for admitted in self.under_way:
            self.circuit.breaker.settle(admitted, NEUTRAL)
        self.circuit.clock.now += POLICY.longest_open_s
        while self.circuit.breaker.state is not BreakerState.CLOSED:
            self.circuit.calls(GOOD)


TestAnyOrder = Machine.TestCase
