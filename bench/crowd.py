"""Ten thousand connections: what each costs while it is idle, and what a frame costs among them.

Every peer has three sides, whose echoes are measured in turns: one with few connections, one with
many of which as few talk, and one with many that all do, one after the other. The second shows what
finding a connection, its timers and its readiness cost among many; the third also what it costs
that none is in the processor's caches when its turn comes.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from statistics import mean
from time import sleep
from typing import NamedTuple

from bench.figures import Samples
from bench.sides import Side
from bench.trials import FEW, FRAMES_AN_ECHO, KERNEL, TIME, TIMES

Say = Callable[[str], None]

IDLE_SECONDS = 1.0
ECHO_SECONDS = 0.05
"""Of a turn."""
TURNS = 6
"""Of each side in a round: the machine's speed changes within seconds."""
_SETTLING = 0.3
"""Seconds until what opening the connections left to do is done: delayed ACKs, for one."""


class Group(NamedTuple):
    """So many connections, of which so many talk."""

    held: int
    talking: int

    def __str__(self) -> str:
        """Say so, as the table does."""
        if self.talking == self.held:
            return f"among {self.held:,} connections"
        return f"among {self.held:,} connections of which {self.talking} talk"


class Crowd:
    """One peer with few connections, with many of which few talk, and with many that all do."""

    def __init__(self, peer: str, many: int, exits: ExitStack) -> None:
        self.peer = peer
        self.few, self.many = Group(FEW, FEW), Group(many, many)
        groups = self.few, Group(many, FEW), self.many
        self.sides = {group: exits.enter_context(Side(peer)) for group in groups}
        for side in self.sides.values():
            side.have_texts_acknowledged_at_once()  # so that an echo is always three frames

    def open(self, samples: Samples) -> None:
        """Open them all, and note what they cost while nothing happens."""
        for group, side in self.sides.items():
            before = side.application.memory()
            side.serve("hold", count=group.held, talking=group.talking)
            side.ask("open", count=group.held, talking=group.talking)
        sleep(_SETTLING)
        application = self.sides[self.many].application
        grown, ran = application.memory() - before, application.processor_time()
        sleep(IDLE_SECONDS)
        ran = application.processor_time() - ran
        title = f"{self.many.held:,} idle connections"
        samples.add(f"{title}: processor", "ms/s", self.peer, 0, ran / 1e6 / IDLE_SECONDS)
        if self.peer != KERNEL:  # whose own memory is nobody's
            each = grown / 1024 / self.many.held
            samples.add(f"{title}: memory of each", "KB", self.peer, 0, each)
        self._let_each_talk()

    def _let_each_talk(self) -> None:
        """Have every connection echo once: a first text is acknowledged by itself, a fourth frame.

        Ten connections have that behind them in no time, and ten thousand would all the while.
        """
        for group, side in self.sides.items():
            echoes = 0
            while echoes < group.talking:
                echoes += side.ask("echo-all", seconds=ECHO_SECONDS)["value"]

    def echo(self, samples: Samples, in_round: int) -> None:
        """Note what a frame costs on each side."""
        turns = [
            {group: self._cost_of_a_frame(group) for group in self.sides} for _ in range(TURNS)
        ]
        costs = {group: mean(turn[group] for turn in turns) for group in self.sides}
        for group, cost in costs.items():
            samples.add(f"a frame {group}", TIME, self.peer, in_round, cost)
        for group, cost in costs.items():
            if group != self.few:
                measure = f"a frame {group} against {FEW}"
                samples.add(measure, TIMES, self.peer, in_round, cost / costs[self.few])

    def _cost_of_a_frame(self, group: Group) -> float:
        """µs of the application's processor time."""
        side = self.sides[group]
        before = side.application.processor_time()
        echoes: int = side.ask("echo-all", seconds=ECHO_SECONDS)["value"]
        return (side.application.processor_time() - before) / 1000 / echoes / FRAMES_AN_ECHO


def measure_crowds(
    peers: Iterable[str], many: int, rounds: int, samples: Samples, say: Say
) -> None:
    """Measure the peers in turns. Raises: FailedError."""
    with ExitStack() as exits:
        crowds = []
        for peer in peers:
            say(f"{many:,} connections, {peer}")
            crowds.append(Crowd(peer, many, exits))
            crowds[-1].open(samples)
        for in_round in range(rounds):
            say(f"{many:,} connections, round {in_round + 1} of {rounds}")
            for crowd in crowds:
                crowd.echo(samples, in_round)
