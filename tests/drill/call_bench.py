"""Lines of a script, played over a host's system calls: what the tests of the calls stand on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tapstack.drill.calls.table import Call, Context, prepare
from tapstack.drill.language.parser import parse
from tapstack.drill.language.syntax import Code, SystemCall
from tapstack.drill.playing.code import Snippets
from tapstack.drill.reports.failure import Difference
from tapstack.drill.settings import Settings
from tapstack.drill.simulated import LACKING

LISTENING = (
    "socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
    "bind(3, ..., ...) = 0",
    "listen(3, 5) = 0",
)
CONNECTED = (
    *LISTENING,
    "socket(..., SOCK_STREAM, IPPROTO_TCP) = 4",
    "connect(4, ..., ...) = 0",
    "accept(3, ..., ...) = 5",
)
"""Both ends of a connection: 4 called, and 5 was called."""


class Bench:
    """One run of a script: only its calls and its code, and no time but what they take."""

    def __init__(
        self, calls: Any = None, port: int = 8080, lacking: frozenset[str] = LACKING
    ) -> None:
        self.calls = calls
        ports = {"bind_port": port, "connect_port": port}
        addresses = {"local_ip": "127.0.0.1", "remote_ip": "127.0.0.1"}
        self.context = Context(Settings(**ports, **addresses), lacking)
        self.snippets = Snippets(self.context.descriptors)

    def prepare(self, *lines: str) -> list[Call]:
        """Read lines, with no times in front."""
        text = "".join(f"+0 {line}\n" for line in lines)
        return [self.prepare_one(event.action) for event in parse(text, "script.pkt").events]

    def prepare_one(self, action: object) -> Call:
        """Read one call, or one snippet of code."""
        if isinstance(action, Code):
            return self.snippets.prepare(action)
        assert isinstance(action, SystemCall)
        return prepare(action, self.context)

    def play(self, *lines: str) -> list[Difference]:
        """Read lines and play them; give how they came out otherwise than written."""
        return [found for call in self.prepare(*lines) for found in call(self.calls)]


def shown(differences: Iterable[Difference]) -> list[str]:
    """Render differences as `what: expected, actual`."""
    return [f"{what}: {expected}, {actual}" for what, expected, actual in differences]
