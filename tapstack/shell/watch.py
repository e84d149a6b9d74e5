"""Who sees what the stack tells of itself: several watchers, each with its topics and its output.

The stack tells under its lock, so a line is only put in a queue there; another thread prints it. A
watcher that cannot keep up loses lines, and is told how many.

Not done here: what the lines say (each engine's own business).
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from time import time

from tapstack.base.trace import Tracer
from tapstack.shell.flag import Flag

_MAX_WAITING = 10_000
"""Lines that wait to be printed, per watcher."""

Print = Callable[[str], None]


class Watcher:
    """Prints the lines of some topics, until it is closed."""

    def __init__(self, topics: frozenset[str], print_line: Print) -> None:
        self.topics = topics
        self._print = print_line
        self._lines: deque[str] = deque()
        self._lost = 0
        self._wake = threading.Condition()
        self._closed = False
        self.failed = Flag()
        """Raised when a line could not be printed; there will be no more then."""
        self.error: OSError | None = None
        """Why not."""
        self._thread = threading.Thread(target=self._work, name="watcher", daemon=True)
        self._thread.start()

    def put(self, topic: str, line: str) -> None:
        """Take a line, stamped with the time of day. Never blocks for long."""
        moment = time()
        with self._wake:
            if len(self._lines) >= _MAX_WAITING:
                self._lost += 1
                return
            stamp = datetime.fromtimestamp(moment).strftime("%H:%M:%S.%f")
            self._lines.append(f"{stamp} {topic}: {line}")
            self._wake.notify()

    def close(self) -> None:
        """Print what waits, and end."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        self.failed.close()

    def _work(self) -> None:
        while lines := self._take():
            try:
                self._print("\n".join(lines))
            except OSError as error:
                self.error = error
                self.failed.up()
                return

    def _take(self) -> list[str]:
        """Wait for lines; none: it is the end."""
        with self._wake:
            while not self._lines and not self._closed:
                self._wake.wait()
            lines = list(self._lines)
            self._lines.clear()
            if self._lost:
                lines.append(f"({self._lost} lines lost: they came faster than they were printed)")
                self._lost = 0
            return lines


class Watch:
    """All watchers of one stack's tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._watchers: list[Watcher] = []

    @property
    def topics(self) -> frozenset[str]:
        """Everything that somebody watches."""
        return frozenset().union(*(watcher.topics for watcher in self._watchers))

    def add(self, topics: frozenset[str], print_line: Print) -> Watcher:
        """Begin to print these topics' lines."""
        watcher = Watcher(topics, print_line)
        self._watchers.append(watcher)
        self._tell()
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """End a watcher. A second call does nothing."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
            self._tell()
            watcher.close()

    def clear(self) -> None:
        """End every watcher."""
        for watcher in list(self._watchers):
            self.remove(watcher)

    def _tell(self) -> None:
        # A new list each time: the stack goes through the old one in another thread.
        watchers = tuple(self._watchers)

        def hand_on(topic: str, line: str) -> None:
            for watcher in watchers:
                if topic in watcher.topics:
                    watcher.put(topic, line)

        self._tracer.watch(self.topics, hand_on if watchers else None)
