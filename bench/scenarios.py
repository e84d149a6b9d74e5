"""How near the stack comes to what theory allows, by loss, round trip and buffer: a table.

Every cell is a bulk transfer through one bottleneck, in virtual time: the same seeds give the same
table, octet for octet. The program writes it to docs/scenarios.md.

usage: python -m bench.scenarios [FILE]
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import product
from math import inf, sqrt
from multiprocessing import Pool, cpu_count
from pathlib import Path
from typing import NamedTuple

from tapstack.sim import (
    MEGABIT,
    MILLISECOND,
    SECOND,
    DropTail,
    Host,
    RandomLoss,
    Socket,
    Way,
    World,
)
from tapstack.tcp.config import TcpConfig

RATE = 10 * MEGABIT
ALGORITHMS = ("reno", "cubic")
LOSSES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.3)
ROUND_TRIPS = (10, 50, 200)
"""ms there and back, without queue and transmission."""
BUFFERS = (0.25, 1.0, 4.0)
"""Of the bandwidth-delay product."""

MSS = 1448
FRAME = 1514
"""Octets of a full segment's frame: Ethernet, IP, TCP with timestamps, and MSS of text."""

WARM_UP = 4_000 * MSS, 60 * SECOND
"""What is not counted: so many octets, or so much time, whichever is over first."""
MEASURED = {10: 10_000 * MSS, 50: 20_000 * MSS, 200: 40_000 * MSS}
"""What is counted thereafter, by the round trip: the longer it takes to grow, the more."""
AT_MOST = 600 * SECOND
JITTER = 100
"""µs that an ACK comes earlier or later: without it, a small window falls into step with a small
queue, and overflows it each time or never (Floyd and Jacobson 1992)."""

DOCUMENT = Path(__file__).parents[1] / "docs" / "scenarios.md"


class Cell(NamedTuple):
    """One transfer: what it goes through."""

    algorithm: str
    round_trip: int
    loss: float
    buffer: float


class Outcome(NamedTuple):
    """And how it fares, in the time that is measured."""

    goodput: float
    """Mb/s of text that the receiving program read."""
    timeouts: int
    retransmitted: int
    sent: int
    """Segments with text, the retransmitted ones included."""


CELLS = [Cell(*each) for each in product(ALGORITHMS, ROUND_TRIPS, LOSSES, BUFFERS)]


# --- theory ---------------------------------------------------------------------------------------


def seconds_around(cell: Cell) -> float:
    """The round trip of a segment that finds no queue."""
    return cell.round_trip / 1000 + FRAME * 8 / RATE


def beta(cell: Cell) -> float:
    return 0.5 if cell.algorithm == "reno" else 0.7


def link_bound(cell: Cell) -> float:
    """Mb/s that the link carries, by a window that grows evenly between its reductions.

    It overflows at BDP + buffer and falls to β of that: below the BDP, the link is idle at times.
    """
    full = 1 + cell.buffer
    low = beta(cell) * full
    idle_time = max(1 - low, 0)
    idle_carried = idle_time * (1 + low) / 2
    queued = (full**2 - max(low, 1) ** 2) / 2
    share = (idle_carried + queued) / (idle_time + queued)
    return share * RATE / 1e6 * MSS / FRAME


def response(cell: Cell) -> float:
    """Mb/s by the window that an algorithm has on the mean under random loss (RFC 9438 §5.1)."""
    if not cell.loss:
        return inf
    window = sqrt(1.5 / cell.loss)  # Mathis et al. 1997; CUBIC's friendly region is as fast
    if cell.algorithm == "cubic":
        curve = (0.4 * 3.7 / (4 * 0.3)) ** 0.25 * (seconds_around(cell) / cell.loss) ** 0.75
        window = max(window, curve)
    return window / seconds_around(cell) * MSS * 8 / 1e6


def bound(cell: Cell) -> float:
    """Mb/s at most."""
    return min(link_bound(cell), response(cell))


def padhye(cell: Cell) -> float:
    """Mb/s of Reno without SACK, with the timeouts it has (Padhye et al. 1998, eq. 30; b = 1)."""
    if not cell.loss:
        return link_bound(cell)
    p, rtt = cell.loss, seconds_around(cell)
    waiting = (rtt + 0.2) * min(1, 3 * sqrt(3 * p / 8)) * p * (1 + 32 * p * p)
    rate = 1 / (rtt * sqrt(2 * p / 3) + waiting)
    return min(link_bound(cell), rate * MSS * 8 / 1e6)


# --- practice -------------------------------------------------------------------------------------


def measure(cell: Cell) -> Outcome:
    """Run one transfer."""
    frames = max(2, round(cell.buffer * RATE / 8 * cell.round_trip / 1000 / FRAME))
    way = Way(
        rate=RATE,
        delay=cell.round_trip * MILLISECOND // 2,
        queue=DropTail(packets=frames),
        impairments=[RandomLoss(cell.loss)],
    )
    back = Way(rate=RATE, delay=way.delay, jitter=JITTER)
    with World(seed=1) as world:
        config = TcpConfig(tcp_congestion_control=cell.algorithm)
        client, server = world.host("client", tcp_config=config), world.host("server")
        world.link(client, server, way, back=back)
        with server.create_server(("", 80)) as listener:
            world.spawn(send_without_end, client, server)
            connection = listener.accept()[0]
        with connection:
            read(world, connection, *WARM_UP)
            before, start = counts(client), world.now
            octets = read(world, connection, MEASURED[cell.round_trip], AT_MOST)
            grown = [after - b for after, b in zip(counts(client), before, strict=True)]
            return Outcome(octets * 8 / (world.now - start), *grown)


def send_without_end(client: Host, server: Host) -> None:
    block = bytes(1 << 18)
    with client.create_connection((server.address, 80)) as connection:
        while True:
            connection.sendall(block)


def read(world: World, connection: Socket, octets: int, duration: int) -> int:
    """Read for some time at most, µs; give how many octets came."""
    end, count = world.now + duration, 0
    while count < octets and world.now < end:
        connection.settimeout((end - world.now) / SECOND)
        try:
            count += len(connection.recv(octets - count))
        except TimeoutError:
            break
    return count


def counts(host: Host) -> tuple[int, int, int]:
    counters = host.stack.counters
    again = counters["TcpRetransSegs"]
    return counters["TcpExtTCPTimeouts"], again, again + counters["TcpExtTCPOrigDataSent"]


# --- the table ------------------------------------------------------------------------------------


def numbers(cell: Cell, outcome: Outcome) -> str:
    """The columns of one cell."""
    share = outcome.goodput / bound(cell)
    return f"{outcome.goodput:.3f} | {share:.0%} | {outcome.timeouts}"


def table(algorithm: str, outcomes: dict[Cell, Outcome]) -> Iterator[str]:
    """The lines of one algorithm's table."""
    yield "| RTT, ms | loss | bound | Padhye |" + "".join(
        f" {buffer:g} BDP | of bound | RTOs |" for buffer in BUFFERS
    )
    yield "|" + "--:|" * (4 + 3 * len(BUFFERS))
    for round_trip, loss in product(ROUND_TRIPS, LOSSES):
        cells = [Cell(algorithm, round_trip, loss, buffer) for buffer in BUFFERS]
        theory = f"{bound(cells[-1]):.3f} | {padhye(cells[-1]):.3f}"
        figures = " | ".join(numbers(cell, outcomes[cell]) for cell in cells)
        yield f"| {round_trip} | {loss * 100:g} % | {theory} | {figures} |"


TEXT = """\
# What the stack makes of a lossy path

`make scenarios` writes this file anew; the same seeds give the same figures to the last digit.

A program sends without end through a bottleneck of 10 Mb/s with a drop-tail buffer of a quarter of,
one and four times the bandwidth-delay product (two frames at least), which then loses frames at
random. ACKs come back unharmed, with a jitter of 0.1 ms. MSS 1448 with timestamps; SACK, RACK-TLP
and all other settings are as by default. The first 4,000 segments, or 60 s, are not counted; the
next 10,000, 20,000 or 40,000 (RTT 10, 50 or 200 ms), or 600 s, are. Figures are Mb/s of text that
the receiving program reads, the share of the bound that this is, and the retransmission timeouts
there were.

**bound** is the least of what the link carries and what the algorithm's window allows. The column
has that of 4 BDP of buffer; each cell is compared with the bound of its own buffer.

- The link: 10 Mb/s · 1448 / 1514 = 9.564 Mb/s of text. A window that overflows at BDP + buffer and
  falls to β of that (0.5 for Reno, 0.7 for CUBIC) leaves the link idle while it is below the BDP:
  with a quarter of a BDP, 8.539 are left for Reno and 9.380 for CUBIC.
- The window under a loss rate *p*: √(3/2*p*) segments on the mean (Mathis et al. 1997); for CUBIC
  (C(3+β)/4(1−β))^¼ · (RTT/*p*)^¾ where that is more (RFC 9438 §5.1). Both take the losses to be
  evenly spaced; where chance spaces them, the mean is higher, by up to 7 % for Reno and 20 % for
  CUBIC's curve, so that more than 100 % is no mistake. Timeouts and lost retransmissions are not in
  this model.
- The peer's window never limits here: the receive buffer grows up to 6 MB.

**Padhye** is what Reno without SACK is expected to reach (Padhye et al. 1998, b = 1): that model
has the timeouts, but neither SACK nor RACK.

## How to read it

- No retransmission timeout up to 1 % of loss, whatever the buffer, and next to none at 3 %.
- At 10 % and 30 % a window is two to four segments: a loss often has nothing behind it that tells
  of it, and a retransmission is lost with probability *p*, too. After a timeout a segment is lost
  again with probability *p* while the timeout doubles; with RTT ≪ 200 ms, the least timeout, the
  share of the bound falls accordingly. Linux 6.18 over the same path (RTT 50 ms, 60 s of real time)
  had 0.58 and 0.17 Mb/s with Reno, 0.49 and 0.14 with CUBIC.
- RTT 10 ms with a quarter of a BDP is a buffer of two frames. An ACK for two segments lets out two,
  or three when the window grows, all at once: the buffer overflows at a window of seven or eight
  segments on the mean, and at five often enough, where nine would fill the link. Pacing is what
  would help.
- CUBIC falls to ⌊0.7 · cwnd⌋, which for windows of a few segments is little more than half, and
  grows by 0.53 segments a round trip there: that is why it is behind Reno from 3 % on, with more
  than those two frames of buffer. Where its curve is above Reno's line it is ahead: by half, with
  RTT 200 ms and 0.1 %.
"""


def document(outcomes: dict[Cell, Outcome]) -> str:
    """The whole file."""
    lines = [TEXT]
    for algorithm, title in zip(ALGORITHMS, ("NewReno", "CUBIC"), strict=True):
        lines += [f"## {title}", "", *table(algorithm, outcomes), ""]
    return "\n".join(lines)


def measure_all(cells: Iterable[Cell]) -> dict[Cell, Outcome]:
    """Run every cell, on all processors, and tell how far it is."""
    outcomes: dict[Cell, Outcome] = {}
    waiting = sorted(cells, key=lambda cell: cell.loss)  # the longest first
    with Pool(cpu_count()) as pool:
        for cell, outcome in pool.imap_unordered(_with_cell, waiting):
            outcomes[cell] = outcome
            print(
                f"{len(outcomes):>4} of {len(waiting)}  {cell.algorithm:<5} {cell.round_trip:>4} ms"
                f" {cell.loss:>6.1%} {cell.buffer:>5} BDP {outcome.goodput:>7.3f} Mb/s"
                f" {outcome.goodput / bound(cell):>5.0%}  {outcome.timeouts} RTOs,"
                f" {outcome.retransmitted / outcome.sent:.1%} sent again",
                flush=True,
            )
    return outcomes


def _with_cell(cell: Cell) -> tuple[Cell, Outcome]:
    return cell, measure(cell)


def main(path: Path) -> None:
    path.write_text(document(measure_all(CELLS)), encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT)
