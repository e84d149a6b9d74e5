"""Random worlds as plain values: hosts, links and what befalls them, and programs at both ends.

A scenario says everything about a run, so that one which fails can be read, shrunk and repeated.

Not done here: running one (`scenario_run.py`).
"""

from __future__ import annotations

import socket as names
from enum import Enum
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tapstack.sim import (
    GIGABIT,
    KILOBIT,
    MEGABIT,
    MILLISECOND,
    CoDel,
    Corruption,
    DropTail,
    Duplication,
    GilbertElliott,
    Impairment,
    Queue,
    RandomLoss,
    Reordering,
    StepMarker,
    Way,
)

Settings = dict[str, Any]


class End(Enum):
    """How the end of a connection that has written everything goes on."""

    HALF_CLOSE = "shutdown(SHUT_WR), and close when the other end has ended, too"
    WAIT = "close when the other end has ended"
    CLOSE = "close at once"
    ABORT = "reset"
    SHUT_BOTH = "shutdown(SHUT_RDWR)"


GRACEFUL = (End.HALF_CLOSE, End.WAIT)


class Write(NamedTuple):
    """One call of `sendall`, and what is set after it."""

    size: int
    """Octets."""
    flags: int = 0
    then: tuple[str, int | bytes] | None = None
    """An option and its value."""


class Side(NamedTuple):
    """What the user at one end of a connection does: one process writes, another one reads."""

    writes: list[Write]
    write_pause: int
    """ms between two."""
    end: End
    reads: list[int]
    """Octets that are asked for, in turn, until the stream ends."""
    read_pause: int
    """ms between two."""
    stops_after: int | None
    """Octets after which it reads no more, and closes; None: it reads to the end."""
    options: Settings
    """Names of `socket` to values; SO_ and TCP_ say which level."""

    @property
    def is_graceful(self) -> bool:
        """Tell whether it lets all text arrive, both ways."""
        return self.end in GRACEFUL and self.stops_after is None

    @property
    def length(self) -> int:
        """Octets that it writes."""
        return sum(write.size for write in self.writes)


class Meeting(NamedTuple):
    """One connection."""

    opens_at: int
    """ms."""
    link: int
    """Over which of two parallel links, if there are two."""
    simultaneous: bool
    """Both ends connect, and nobody listens."""
    client: Side
    server: Side


class Road(NamedTuple):
    """One direction of a link."""

    rate: int | None
    delay: int
    jitter: int
    queue: tuple[str, int]
    loss: float
    burst: tuple[float, float] | None
    reordering: tuple[float, int]
    duplication: float
    corruption: float

    def way(self) -> Way:
        """Make what a link is made from."""
        kind, room = self.queue
        queues: dict[str, Queue] = {
            "drop tail": DropTail(room),
            "mark": StepMarker(max(room // 2, 1), room),
            "codel": CoDel(packets=room),
        }
        befalls: list[Impairment] = [
            RandomLoss(self.loss),
            Duplication(self.duplication),
            Reordering(self.reordering[0], self.reordering[1]),
            Corruption(self.corruption),
        ]
        if self.burst is not None:
            befalls.append(GilbertElliott(*self.burst))
        return Way(self.rate, self.delay, min(self.jitter, self.delay), queues[kind], befalls)


class Outage(NamedTuple):
    """A time when a link is down, in ms."""

    begin: int
    length: int


LONGEST_BORNE = 30_000
"""ms of outage that no user timeout or R2 ends a connection for."""


class Scenario(NamedTuple):
    """A world and what happens in it."""

    seed: int
    topology: str
    mtu: int
    narrow_mtu: int
    roads: tuple[Road, Road]
    outages: list[Outage]
    heals_at: int
    """ms from which on nothing befalls frames, but that they find no room in a queue."""
    configs: tuple[Settings, Settings]
    """TcpConfig's fields at both ends."""
    meetings: list[Meeting]
    one_listener: bool = False
    """A server listens once for all, with the first one's options; else each for itself."""

    @property
    def is_bearable(self) -> bool:
        """Tell whether no link is down so long that TCP must give up.

        Nor may the server know nothing but cookies: an ACK that overtakes the first one has none.
        """
        has_memory = self.configs[1].get("tcp_syncookies") != 2
        return has_memory and sum(outage.length for outage in self.outages) <= LONGEST_BORNE


# --- strategies ---------------------------------------------------------------------------------

_RATES = st.none() | st.sampled_from(
    [200 * KILOBIT, 1 * MEGABIT, 5 * MEGABIT, 20 * MEGABIT, 100 * MEGABIT, GIGABIT]
)
_DELAYS = st.sampled_from([0, 1, 5, 20, 100, 300]).map(lambda ms: ms * MILLISECOND) | st.integers(
    0, 100 * MILLISECOND
)
_LOSS = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.1, 0.3])
_BURSTS = st.none() | st.tuples(st.sampled_from([0.005, 0.05]), st.sampled_from([0.1, 0.5]))
_REORDERING = st.tuples(st.sampled_from([0.0, 0.0, 0.05, 0.3]), st.integers(1, 50 * MILLISECOND))
_QUEUES = st.tuples(st.sampled_from(["drop tail", "mark", "codel"]), st.integers(2, 100))

ROADS = st.builds(
    Road,
    rate=_RATES,
    delay=_DELAYS,
    jitter=st.sampled_from([0, 0, 1, 10]).map(lambda ms: ms * MILLISECOND),
    queue=_QUEUES,
    loss=_LOSS,
    burst=_BURSTS,
    reordering=_REORDERING,
    duplication=st.sampled_from([0.0, 0.0, 0.05, 0.3]),
    corruption=st.sampled_from([0.0, 0.0, 0.02, 0.1]),
)

CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "tcp_timestamps": st.booleans(),
        "tcp_sack": st.booleans(),
        "tcp_window_scaling": st.booleans(),
        "tcp_ecn": st.sampled_from([0, 1, 2, 3, 3]),
        "tcp_early_retrans": st.sampled_from([0, 3]),
        "tcp_recovery": st.sampled_from([1, 3, 5]),
        "tcp_frto": st.sampled_from([0, 2]),
        "tcp_mtu_probing": st.integers(0, 2),
        "tcp_initial_cwnd": st.sampled_from([1, 2, 4]),
        "tcp_moderate_rcvbuf": st.booleans(),
        "tcp_slow_start_after_idle": st.booleans(),
        "tcp_stdurg": st.booleans(),
        "tcp_syncookies": st.integers(0, 2),
        "tcp_rmem": st.sampled_from([(4096, 8192, 20_000), (4096, 131_072, 131_072)]),
        "tcp_wmem": st.sampled_from([(4096, 8192, 20_000)]),
    },
)

_CHANGES = st.sampled_from(
    [
        ("TCP_NODELAY", 1),
        ("TCP_NODELAY", 0),
        ("TCP_CORK", 1),
        ("TCP_CORK", 0),
        ("SO_RCVBUF", 1024),
        ("SO_RCVBUF", 200_000),
        ("SO_SNDBUF", 1024),
        ("SO_SNDBUF", 200_000),
        ("TCP_WINDOW_CLAMP", 1200),
        ("TCP_WINDOW_CLAMP", 100_000),
        ("TCP_QUICKACK", 0),
        ("TCP_QUICKACK", 1),
        ("TCP_CONGESTION", b"reno"),
        ("TCP_CONGESTION", b"cubic"),
        ("SO_KEEPALIVE", 1),
    ]
)

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "TCP_NODELAY": st.just(1),
        "TCP_CORK": st.just(1),
        "SO_SNDBUF": st.sampled_from([1024, 5000, 20_000, 100_000]),
        "SO_RCVBUF": st.sampled_from([1024, 3000, 10_000, 60_000]),
        "TCP_CONGESTION": st.sampled_from([b"reno", b"cubic"]),
        "TCP_MAXSEG": st.sampled_from([100, 536, 1000]),
        "TCP_NOTSENT_LOWAT": st.sampled_from([1, 4000]),
        "TCP_WINDOW_CLAMP": st.sampled_from([1500, 10_000]),
        "SO_KEEPALIVE": st.just(1),
        "TCP_KEEPIDLE": st.sampled_from([1, 5]),
        "SO_RCVLOWAT": st.sampled_from([1, 100, 5000]),
    },
)

_PAUSES = st.sampled_from([0, 0, 0, 1, 30, 300])


def _sides(writes: int) -> st.SearchStrategy[Side]:
    sizes = st.integers(1, 3000) | st.sampled_from([1, 1460, 10_000, 40_000])
    write = st.builds(
        Write,
        size=sizes,
        flags=st.sampled_from([0] * 6 + [names.MSG_MORE, names.MSG_OOB]),
        then=st.none() | st.none() | _CHANGES,
    )
    return st.builds(
        Side,
        writes=st.lists(write, max_size=writes),
        write_pause=_PAUSES,
        end=st.sampled_from([End.HALF_CLOSE] * 3 + [End.WAIT] + list(End)),
        reads=st.lists(st.sampled_from([1_000_000, 5000, 700, 50]), min_size=1, max_size=2),
        read_pause=_PAUSES,
        stops_after=st.none() | st.none() | st.integers(0, 20_000),
        options=OPTIONS,
    )


MEETINGS = st.builds(
    Meeting,
    opens_at=st.integers(0, 500),
    link=st.integers(0, 1),
    simultaneous=st.sampled_from([False] * 7 + [True]),
    client=_sides(5),
    server=_sides(5),
)

SCENARIOS = st.builds(
    Scenario,
    seed=st.integers(0, 2**32),
    topology=st.sampled_from(["one link", "one link", "two links", "routers"]),
    mtu=st.sampled_from([1500, 1500, 9000, 576, 128]),
    narrow_mtu=st.sampled_from([576, 1006, 1400]),
    roads=st.tuples(ROADS, ROADS),
    outages=st.lists(
        st.builds(
            Outage,
            begin=st.integers(0, 3000),
            length=st.integers(1, 10_000) | st.integers(1, 10_000) | st.just(2_000_000),
        ),
        max_size=2,
    ),
    heals_at=st.sampled_from([0, 2000, 20_000]),
    configs=st.tuples(CONFIGS, CONFIGS),
    meetings=st.lists(MEETINGS, min_size=1, max_size=3),
)
