"""What the stack tells of itself while it works: lines by topic, for whoever watches.

The core asks `tracer.on` before it makes a line, so that an unwatched stack pays one set look-up.

Not done here: printing (`shell/`).
"""

from collections.abc import Callable

TOPICS = ("dev", "l2", "arp", "ip", "icmp", "udp", "tcp", "tcpstate")
"""The topics that can be watched, bottom layer first."""

Watcher = Callable[[str, str], None]
"""Called with a topic and a line."""


class Tracer:
    """Hands lines to one watcher, for the topics that it asked for."""

    def __init__(self) -> None:
        self.on: frozenset[str] = frozenset()
        """The topics that are watched now."""
        self._watcher: Watcher | None = None

    def watch(self, topics: frozenset[str], watcher: Watcher | None) -> None:
        """Set who watches, and what; no topics and None end it."""
        self.on = topics
        self._watcher = watcher

    def emit(self, topic: str, line: str) -> None:
        """Hand a line to the watcher."""
        if self._watcher is not None:
            self._watcher(topic, line)
