"""The peers, each with a far end of its own, in network namespaces made for the run.

The kernel's application talks over a veth pair between two namespaces. Every other peer has a TAP
in one: the far end is on the host's side of it.
"""

import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from bench.conversation import Reply
from bench.trials import (
    CEILING,
    CEILING_PLAIN,
    KERNEL,
    PEERS,
    PYTCP,
    TAPSTACK,
    TAPSTACK_PLAIN,
    Trial,
)
from bench.worker import FailedError, Worker
from tests.live.netns import STACK, Namespace

PROGRAMS = {
    KERNEL: ("application", "kernel"),
    TAPSTACK: ("application", "offload"),
    TAPSTACK_PLAIN: ("application", "no-offload"),
    CEILING: ("ceiling", "offload"),
    CEILING_PLAIN: ("ceiling", "no-offload"),
    PYTCP: ("pytcp", "none"),
}
_FIRST_PORT = 5001
_CLIENT_PORTS = "6000 65535"
"""Beyond our servers', so that no client takes one of them."""


class Outcome(NamedTuple):
    """What one trial gave, and what it cost both ends, ns of processor time."""

    reply: Reply
    cost: int


def peers_here() -> tuple[str, ...]:
    """Give the peers that can be measured: PyTCP only where it is installed."""
    return tuple(peer for peer in PEERS if peer != PYTCP or find_spec("pmd_pytcp"))


def fresh_namespace(exits: ExitStack) -> Namespace:
    """Make a namespace with ports enough for many short connections."""
    folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
    namespace = exits.enter_context(Namespace(folder))
    settings = {"ip_local_port_range": _CLIENT_PORTS, "tcp_tw_reuse": "1"}
    for name, value in settings.items():
        command = f"echo {value} > /proc/sys/net/ipv4/{name}"
        namespace.run("sh", "-c", command)
    return namespace


def join(first: Namespace, second: Namespace) -> None:
    """Lay a veth cable between two namespaces, with 10.0.0.1 and 10.0.0.2 on its ends."""
    first.run(*"ip link add v0 type veth peer name v0 netns".split(), str(second.pid))
    for namespace, address in ((first, "10.0.0.1/24"), (second, "10.0.0.2/24")):
        namespace.run(*"ip addr add dev v0".split(), address)
        namespace.run(*"ip link set v0 up".split())


class Side:
    """One peer and its far end, ready for one trial after another."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self._exits = ExitStack()
        self._port = _FIRST_PORT

    def __enter__(self) -> "Side":
        with ExitStack() as exits:
            near = far = fresh_namespace(exits)
            if self.peer == KERNEL:
                far = fresh_namespace(exits)
                join(near, far)
            self.application = exits.enter_context(Worker(near, *_program(self.peer)))
            self.application.hear()
            self.far_end = exits.enter_context(Worker(far, "bench.far_end"))
            self._far = far
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.close()

    def have_texts_acknowledged_at_once(self) -> None:
        """Have the far end's kernel acknowledge each text in the very call that brings it.

        By itself it does so with connections that were silent for long, and leaves the ACK of
        others to the program that reads: on a TAP that is to our cost with the former alone.
        """
        route = self._far.run("ip", "route", "show", "10.0.0.0/24").stdout.split()
        self._far.run("ip", "route", "change", *route, "quickack", "1")

    def try_out(self, trial: Trial, seconds: float) -> Outcome:
        """Do one trial. Raises: FailedError, after which this side is of no use."""
        self.serve(trial.service, count=trial.connections, busy=trial.busy)
        before = self._processor_time()
        reply = self.ask(trial.measure, count=trial.connections, seconds=seconds)
        return Outcome(reply, self._processor_time() - before)

    def serve(self, service: str, **how: object) -> None:
        """Have the application serve, on a port that was never used: old connections linger."""
        self._port += 1
        if service:
            self.application.ask({"service": service, "port": self._port, **how})

    def ask(self, measure: str, **how: object) -> Reply:
        """Have the far end measure what is served. Raises: FailedError, with both ends' words."""
        request = {"measure": measure, "address": STACK, "port": self._port, **how}
        try:
            return self.far_end.ask(request)
        except FailedError as failure:
            said = self.application.last_words()
            raise FailedError(f"{failure}\n{said}".strip()) from None

    def _processor_time(self) -> int:
        return self.application.processor_time() + self.far_end.processor_time()


def _program(peer: str) -> tuple[str, str]:
    module, argument = PROGRAMS[peer]
    return f"bench.{module}", argument
