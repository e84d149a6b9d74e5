"""tapstack on a TAP beside the kernel's own stack over veth, in one interleaved run.

Each side talks to the same peer on kernel sockets, in network namespaces made for the run. Absolute
figures drift with the machine; the ratios, taken within each round, hold better.

usage: python -m bench.compare
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.live.netns import HOST, Namespace

ROUNDS = 5
SECONDS = 0.8
"""For each of the three measures, in each round."""

HERE = Path(__file__).parent
PORTS = (9001, 9002, 9003)


def fresh_namespace(exits: ExitStack) -> Namespace:
    return Namespace(Path(exits.enter_context(tempfile.TemporaryDirectory())))


def start_peer(namespace: Namespace) -> None:
    namespace.start(sys.executable, str(HERE / "peer.py"))
    for port in PORTS:
        namespace.wait_listening(port)


def join(first: Namespace, second: Namespace) -> None:
    """Lay a veth cable between two namespaces, with 10.0.0.1 and 10.0.0.2 on its ends."""
    first.run(*"ip link add v0 type veth peer name v0 netns".split(), str(second.pid))
    for namespace, address in ((first, "10.0.0.1/24"), (second, "10.0.0.2/24")):
        namespace.run(*"ip addr add dev v0".split(), address)
        namespace.run(*"ip link set v0 up".split())


def measure(namespace: Namespace, library: str) -> list[float]:
    program = str(HERE / "application.py")
    process = namespace.run(sys.executable, program, library, HOST, str(SECONDS))
    return [float(figure) for figure in process.stdout.split()]


def main() -> None:
    with ExitStack() as exits:
        near, far, ours = (exits.enter_context(fresh_namespace(exits)) for _ in range(3))
        join(near, far)
        start_peer(far)
        start_peer(ours)
        rounds = [(measure(near, "kernel"), measure(ours, "tapstack")) for _ in range(ROUNDS)]
    print(f"medians of {ROUNDS} rounds  kernel, veth  tapstack, TAP  tapstack : kernel")
    for index, what in enumerate(("receive, Gbit/s", "send, Gbit/s", "round trip, µs")):
        pairs = [(kernel[index], tapstack[index]) for kernel, tapstack in rounds]
        ratio = median(tapstack / kernel for kernel, tapstack in pairs)
        kernel, tapstack = (median(side) for side in zip(*pairs, strict=True))
        print(f"{what:<18} {kernel:>15.2f} {tapstack:>14.2f} {ratio:>18.2f}")


if __name__ == "__main__":
    main()
