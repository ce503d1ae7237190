"""What a leading lane holds in memory: for each webhook, whose turn it is, and what is under way.

Along one webhook and key one delivery is under way at a time; between them nothing waits for
anything but the webhook's own share of connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from adapters.postgres.webhook_lane import Waiting
from models.domain.webhook import Line, Target


@dataclass(eq=False, slots=True)
class Feed:
    """One webhook's deliveries in memory.

    While `behind`, more of them wait in the database than are here, and none is taken from anywhere
    else: a later one must not overtake them. `loaded_upto` is the last number that was taken.
    """

    target: Target
    behind: bool = True
    loaded_upto: int = 0
    under_way: int = 0
    unkept: int = 0  # attempts made, whose outcome is not in the database yet
    _queues: dict[Line, deque[Waiting]] = field(default_factory=dict)
    _ready: deque[Line] = field(default_factory=deque)
    _failing: set[Line] = field(default_factory=set)
    _waiting: int = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in memory."""
        return not (self._waiting or self.under_way or self.unkept)

    def has_room(self, window: int) -> bool:
        """Whether it is worth loading more, and there is more."""
        return self.behind and self._waiting <= window // 2

    def offer(self, waiting: Waiting, window: int) -> None:
        """Take a delivery that was just made, unless others are before it."""
        if self.behind:
            return
        if self._waiting >= window:
            self.behind = True
            return
        self._take(waiting)

    def load(self, some: Iterable[Waiting], *, complete: bool) -> None:
        """Take what was read from the database; `complete` if that is all there is."""
        for waiting in some:
            self._take(waiting)
        self.behind = not complete

    def _take(self, waiting: Waiting) -> None:
        self.loaded_upto = waiting.event.seq
        if waiting.line in self._failing:
            return  # its workflow finds it behind the one that failed
        queue = self._queues.get(waiting.line)
        if queue is None:
            self._queues[waiting.line] = deque((waiting,))
            self._ready.append(waiting.line)
        else:
            queue.append(waiting)
        self._waiting += 1

    def next(self, connections: int) -> Iterator[Waiting]:
        """Deliveries to attempt now; each is under way until `done`."""
        while self._ready and self.under_way < connections:
            line = self._ready.popleft()
            self.under_way += 1
            self._waiting -= 1
            yield self._queues[line].popleft()

    def done(self, waiting: Waiting, *, accepted: bool) -> None:
        """An attempt was made; a line that failed is left to its workflow."""
        self.under_way -= 1
        self.unkept += 1
        queue = self._queues[waiting.line]
        if not accepted:
            self._waiting -= len(queue)
            self._failing.add(waiting.line)
            del self._queues[waiting.line]
        elif queue:
            self._ready.append(waiting.line)
        else:
            del self._queues[waiting.line]

    def kept(self, waiting: Waiting, *, accepted: bool) -> None:
        """The outcome is in the database, and with it the line of one that failed.

        Not of one that was accepted: the next on its line may have failed while it was being kept.
        """
        self.unkept -= 1
        if not accepted:
            self._failing.discard(waiting.line)
