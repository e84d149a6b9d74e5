"""What a frame costs in each layer, µs: in one process, with a wire of memory.

The whole is measured with a stopwatch alone. How it is divided comes from another run under
cProfile, whose own cost, gauged beforehand, is taken off every call; what a layer calls below the
protocols (`base/`, built-in functions) counts as its own.

usage: python -m bench.layers
"""

import cProfile
import gc
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NamedTuple

from bench.conversation import prepare_process
from bench.figures import replace_between
from bench.interpreter import ROOT, describe, environment, fastest
from bench.two_hosts import Stopwatch, TwoHosts

DOCUMENT = ROOT / "docs" / "performance.md"
MARKERS = "<!-- layers: written by make profile -->", "<!-- end of layers -->"
REPETITIONS = 15
FLOWS: dict[str, tuple[Callable[[TwoHosts], int], int]] = {
    "bulk receive": (TwoHosts.receive, 60),
    "bulk send": (TwoHosts.send, 60),
    "echo": (TwoHosts.echo, 600),
}
"""What is done, and how often in a repetition."""

DOOR, LANE, DEVICE, CALL = "door", "express lane", "device", "socket call"
PAIRS = {"TCP": "TCP", "UDP": "TCP", "IP": "IP", "Ethernet": "Ethernet"}
ROWS = (
    DEVICE,
    DOOR,
    LANE,
    "Ethernet in",
    "IP in",
    "TCP in",
    CALL,
    "TCP out",
    "IP out",
    "Ethernet out",
)
ROOMS = {
    "stack.py": DOOR,
    "express.py": LANE,
    "express_out.py": LANE,
    "two_hosts.py": DEVICE,
    "device": DEVICE,
    "socket": CALL,
    "eth": "Ethernet",
    "arp": "Ethernet",
    "interface.py": "Ethernet",
    "ip": "IP",
    "tcp": "TCP",
    "udp": "UDP",
}
"""Where a file belongs, by the first part of its path in tapstack/ that is named here."""
OUTWARD = ("send", "flush", "transmit", "output", "emit", "write", "build")
"""What the names of functions begin with that carry something down; who they call is with them."""

Code = Any
"""A code object, or a built-in function's description."""


class Overhead(NamedTuple):
    """What cProfile adds, s."""

    callee: float
    """To the time of a function for each call of it, ..."""
    caller: float
    """... and to that of its caller."""


def nothing() -> None:
    """Be called."""


def gauge() -> Overhead:
    """Find out what cProfile costs here."""
    count = 100_000

    def loop() -> None:
        for _ in range(count):
            nothing()

    start = perf_counter_ns()
    loop()
    bare = (perf_counter_ns() - start) * 1e-9 / count
    profiler = cProfile.Profile()
    profiler.runcall(loop)
    own = {entry.code: entry.inlinetime for entry in profiler.getstats()}
    callee, caller = own[nothing.__code__] / count, own[loop.__code__] / count
    return Overhead(callee - bare / 2, caller - bare / 2)


class Profiler:
    """A meter that keeps a profile of all calls."""

    def __init__(self) -> None:
        self.profile = cProfile.Profile()

    def charge(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call under the profiler."""
        return self.profile.runcall(call, *arguments)


def layer_of(code: Code) -> str:
    """Name the layer of a function, without its direction; '' where that is its caller's."""
    if isinstance(code, str):
        return ""
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT):
        return ""
    return next((ROOMS[part] for part in path.relative_to(ROOT).parts if part in ROOMS), "")


def goes_out(code: Code) -> bool:
    """Tell whether a function begins the way out."""
    return not isinstance(code, str) and code.co_name.lstrip("_").startswith(OUTWARD)


class Edge(NamedTuple):
    """The calls of one function by another."""

    caller: Code
    calls: int
    seconds: float
    """That the callee itself ran for it."""


def divide(profile: cProfile.Profile, overhead: Overhead) -> dict[str, float]:
    """Give the seconds of each layer, a direction with those that have one."""
    own: dict[Code, float] = {}
    edges: dict[Code, list[Edge]] = defaultdict(list)
    for entry in profile.getstats():
        below = entry.calls or ()
        taken_off = entry.callcount * overhead.callee
        taken_off += sum(each.callcount for each in below) * overhead.caller
        own[entry.code] = max(entry.inlinetime - taken_off, 0.0)
        for each in below:
            edges[each.code].append(Edge(entry.code, each.callcount, each.inlinetime))
    shares = spread(own, edges)
    total: dict[str, float] = defaultdict(float)
    for code, seconds in own.items():
        for name, share in shares[code].items():
            total[name] += seconds * share
    return total


def spread(own: Iterable[Code], edges: dict[Code, list[Edge]]) -> dict[Code, dict[str, float]]:
    """Tell to which layers each function belongs, and to what part.

    A function without a layer, or without a direction of its own, has what its callers have, in
    the proportion of the time they had it run: settled by going round often enough.
    """
    shares: dict[Code, dict[str, float]] = {code: {} for code in own}
    for _ in range(12):
        for code in shares:
            above = _of_callers(edges[code], shares)
            layer = layer_of(code)
            if not layer:
                shares[code] = above
            elif layer not in PAIRS:
                shares[code] = {layer: 1.0}
            else:
                outward = 1.0 if goes_out(code) else _outward(edges[code], shares)
                name = PAIRS[layer]
                shares[code] = {f"{name} out": outward, f"{name} in": 1.0 - outward}
    return shares


def _of_callers(edges: list[Edge], shares: dict[Code, dict[str, float]]) -> dict[str, float]:
    mixed: dict[str, float] = defaultdict(float)
    whole = sum(edge.seconds for edge in edges) or 1.0
    for edge in edges:
        for name, share in shares.get(edge.caller, {}).items():
            mixed[name] += share * edge.seconds / whole
    return mixed


def _outward(edges: list[Edge], shares: dict[Code, dict[str, float]]) -> float:
    """Tell what part of a function's calls were on the way out."""
    whole = sum(edge.calls for edge in edges) or 1
    return sum(edge.calls * _outward_of_caller(edge.caller, shares) for edge in edges) / whole


def _outward_of_caller(caller: Code, shares: dict[Code, dict[str, float]]) -> float:
    if goes_out(caller):
        return 1.0
    return sum(share for name, share in shares.get(caller, {}).items() if name.endswith(" out"))


def cost_of(flow: Callable[[TwoHosts], int], times: int) -> float:
    """Give the µs of a frame, nothing else going on: the least of the repetitions."""
    costs = []
    watch = Stopwatch()
    hosts = TwoHosts(watch)
    for _ in range(REPETITIONS):
        watch.total = 0
        frames = sum(flow(hosts) for _ in range(times))
        costs.append(watch.total / 1000 / frames)
    return min(costs)


def layers_of(flow: Callable[[TwoHosts], int], times: int, overhead: Overhead) -> dict[str, float]:
    """Give the µs of a frame in each layer."""
    profiler = Profiler()
    hosts = TwoHosts(profiler)
    for _ in range(times):
        flow(hosts)
    seconds = divide(profiler.profile, overhead)
    scale = cost_of(flow, times) / sum(seconds.values())
    return {name: value * scale for name, value in seconds.items()}


def table(columns: dict[str, dict[str, float]]) -> str:
    """Write the layers down, from the device up and down again."""
    lines = ["| µs | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for row in ROWS:
        cells = " | ".join(f"{layers.get(row, 0.0):.1f}" for layers in columns.values())
        lines.append(f"| {row} | {cells} |")
    totals = " | ".join(f"**{sum(layers.values()):.1f}**" for layers in columns.values())
    return "\n".join([*lines, f"| all | {totals} |"])


def main() -> None:
    if sys.executable != fastest():
        os.execve(fastest(), [fastest(), "-m", "bench.layers"], environment())
    prepare_process()
    gc.freeze()
    overhead = gauge()
    columns = {}
    for name, (flow, times) in FLOWS.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        columns[name] = layers_of(flow, times, overhead)
    written = table(columns)
    print(written, f"\n{describe()}", sep="\n")
    text = f"{describe()}.\n\n{written}"
    DOCUMENT.write_text(replace_between(DOCUMENT.read_text(), *MARKERS, text))


if __name__ == "__main__":
    main()
