"""Ten thousand connections: what each costs while it is idle, and what a frame costs among them.

Every peer has two sides, one with few connections and one with many, whose echoes are measured in
turns.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from statistics import mean
from time import sleep

from bench.figures import Samples
from bench.sides import Side
from bench.trials import FEW, FRAMES_AN_ECHO, KERNEL, TIME, TIMES

Say = Callable[[str], None]

IDLE_SECONDS = 1.0
ECHO_SECONDS = 0.05
TURNS = 6
"""Of either side in a round: the machine's speed changes within seconds."""
_SETTLING = 0.3
"""Seconds until what opening the connections left to do is done: delayed ACKs, for one."""


class Crowd:
    """One peer with few connections, and with many."""

    def __init__(self, peer: str, many: int, exits: ExitStack) -> None:
        self.peer = peer
        self.many = many
        self.sides = {count: exits.enter_context(Side(peer)) for count in (FEW, many)}
        for side in self.sides.values():
            side.have_texts_acknowledged_at_once()  # so that an echo is always three frames

    def open(self, samples: Samples) -> None:
        """Open them all, and note what they cost while nothing happens."""
        for count, side in self.sides.items():
            before = side.application.memory()
            side.serve("hold", count=count)
            side.ask("open", count=count)
        sleep(_SETTLING)
        application = self.sides[self.many].application
        grown, ran = application.memory() - before, application.processor_time()
        sleep(IDLE_SECONDS)
        ran = application.processor_time() - ran
        title = f"{self.many:,} idle connections"
        samples.add(f"{title}: processor", "ms/s", self.peer, 0, ran / 1e6 / IDLE_SECONDS)
        if self.peer != KERNEL:  # whose own memory is nobody's
            each = grown / 1024 / self.many
            samples.add(f"{title}: memory of each", "KB", self.peer, 0, each)
        self._let_each_talk()

    def _let_each_talk(self) -> None:
        """Have every connection echo once: a first text is acknowledged by itself, a fourth frame.

        Ten connections have that behind them in no time, and ten thousand would all the while.
        """
        for count, side in self.sides.items():
            echoes = 0
            while echoes < count:
                echoes += side.ask("echo-all", seconds=ECHO_SECONDS)["value"]

    def echo(self, samples: Samples, in_round: int) -> None:
        """Note what a frame costs on either side."""
        turns = [
            {count: self._cost_of_a_frame(count) for count in self.sides} for _ in range(TURNS)
        ]
        costs = {count: mean(turn[count] for turn in turns) for count in self.sides}
        for count, cost in costs.items():
            measure = f"a frame among {count:,} connections"
            samples.add(measure, TIME, self.peer, in_round, cost)
        ratio = costs[self.many] / costs[FEW]
        measure = f"a frame among {self.many:,} connections against {FEW}"
        samples.add(measure, TIMES, self.peer, in_round, ratio)

    def _cost_of_a_frame(self, count: int) -> float:
        """µs of the application's processor time."""
        side = self.sides[count]
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
