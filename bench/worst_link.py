"""Sends much over the worst link there is, in virtual time, and tells whether every octet arrived.

A tenth of the frames is lost, a fifth comes late, a twentieth comes twice, a hundredth is spoiled,
each way. The invariants of TCP are checked all along: `python -m bench.worst_link --help`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import click

from tapstack.sim import (
    MEGABIT,
    MILLISECOND,
    SECOND,
    Corruption,
    Duplication,
    Host,
    RandomLoss,
    Reordering,
    Way,
    World,
)
from tests.properties.invariants import Guard

PORT = 7000
BLOCK = 1 << 20
WORST = Way(
    rate=100 * MEGABIT,
    delay=5 * MILLISECOND,
    impairments=(RandomLoss(0.1), Duplication(0.05), Reordering(0.2), Corruption(0.01)),
)
TELLING = (
    "TcpOutSegs",
    "TcpRetransSegs",
    "TcpExtTCPTimeouts",
    "TcpExtTCPFastRetrans",
    "TcpExtTCPSlowStartRetrans",
    "TcpExtTCPLossProbes",
    "TcpExtTCPSackRecovery",
    "TcpExtTCPLostRetransmit",
    "TcpExtTCPSACKReorder",
    "TcpExtTCPDSACKRecv",
    "TcpExtTCPDSACKUndo",
    "TcpExtTCPFullUndo",
    "TcpExtTCPPartialUndo",
    "TcpExtTCPLossUndo",
    "TcpExtTCPSpuriousRTOs",
)
"""The sender's counters that tell how it coped."""


@dataclass
class Report:
    """What came of a transfer."""

    octets: int
    sent: str
    """SHA-256 of what was sent."""
    received: str
    """And of what has arrived."""
    duration: int
    """µs of the world's time."""
    seconds: float
    """Real ones."""
    checks: int
    """How often each engine was checked, all in all."""
    counters: dict[str, int]


def blocks(octets: int, seed: int) -> Iterator[bytes]:
    """Give so many octets that only a seed decides, piece by piece."""
    chance = Random(seed)
    while octets:
        size = min(octets, BLOCK)
        yield chance.randbytes(size)
        octets -= size


def transfer(octets: int, *, mtu: int = 1500, every: int = 1, seed: int = 1) -> Report:
    """Send so many octets; look at the invariants after each flush, or each n-th."""
    began = time.monotonic()
    with World(seed) as world:
        source, sink = world.host("source"), world.host("sink")
        world.link(source, sink, WORST, mtu=mtu)
        guards = [Guard(each.stack.tcp, each.stack.timers, every=every) for each in (source, sink)]
        sink_hash = world.spawn(receive, sink)
        source_hash = world.spawn(send, source, sink.address, octets, seed)
        world.run()
        duration = world.now
        world.run_for(1000 * SECOND)
        for guard in guards:
            guard.check_nothing_is_left()
        counters = {name: source.stack.counters[name] for name in TELLING}
        return Report(
            octets,
            source_hash.result(),
            sink_hash.result(),
            duration,
            time.monotonic() - began,
            sum(guard.checks for guard in guards),
            counters,
        )


def send(host: Host, to: str, octets: int, seed: int) -> str:
    """Send and close; give the SHA-256 of what was sent."""
    digest = hashlib.sha256()
    with host.create_connection((to, PORT)) as connection:
        for block in blocks(octets, seed):
            digest.update(block)
            connection.sendall(block)
    return digest.hexdigest()


def receive(host: Host) -> str:
    """Read one connection to its end; give the SHA-256 of what came."""
    digest = hashlib.sha256()
    with host.create_server(("", PORT)) as listener, listener.accept()[0] as connection:
        while piece := connection.recv(BLOCK):
            digest.update(piece)
    return digest.hexdigest()


@click.command()
@click.option("--megabytes", default=1000, show_default=True, help="How much is sent.")
@click.option("--mtu", default=1500, show_default=True)
@click.option("--every", default=16, show_default=True, help="Check after each n-th flush.")
@click.option("--seed", default=1, show_default=True)
def main(megabytes: int, mtu: int, every: int, seed: int) -> None:
    """Send a gigabyte over the worst link, and tell how it went."""
    report = transfer(megabytes * 1_000_000, mtu=mtu, every=every, seed=seed)
    goodput = report.octets * 8 / report.duration
    print(f"{report.octets} octets in {report.duration / SECOND:.1f} s of the world's time")
    print(f"goodput {goodput:.2f} Mb/s; {report.seconds:.0f} real seconds; MTU {mtu}")
    print(f"the invariants were checked {report.checks} times")
    for name, value in report.counters.items():
        print(f"  {name:28}{value:>10}")
    print(f"sent     {report.sent}\nreceived {report.received}")
    if report.sent != report.received:
        raise SystemExit("what arrived is not what was sent")


if __name__ == "__main__":
    main()
