"""Answers that are there at once: a host on a TAP gives some of them within our write.

It acknowledges so what it does not delay: a FIN, and what comes early in a connection. Who is about
to wait may then read without asking first. To look in vain costs as much as a small call, and so it
is only done where something has left, and goes on while it proves to be of use.

Not done here: reading (`driving.py`).
"""

from __future__ import annotations

from tapstack.base.counters import Counters

PAUSE = 15
"""Waits in which nobody looks after that was in vain."""


class Answers:
    """Whether to look for answers."""

    __slots__ = ("_counters", "_pause", "seen_to")

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.seen_to = 0
        """Octets of the frames that had left when the device was last read."""
        self._pause = 0

    def are_likely(self) -> bool:
        """Tell, before a wait, whether something that has left is likely to be answered by now."""
        if self.seen_to == self._counters["IfOutOctets"]:
            return False
        if self._pause:
            self._pause -= 1
            return False
        return True

    def note_looked(self, *, found: bool) -> None:
        """Note what came of looking for them."""
        self._pause = 0 if found else PAUSE
