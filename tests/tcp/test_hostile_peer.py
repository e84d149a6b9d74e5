"""A peer who lies in every field: nothing breaks, the books balance, and nothing is left over."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND, Instant
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.isn import KeyedHash
from tapstack.tcp.segment import (
    ACK,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    URG,
    Options,
    SackBlock,
    Segment,
    Timestamps,
)
from tapstack.tcp.seq import add, sub
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, Fate, Host, SeededEntropy, World

START = SECOND
NUMBERS = [0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32 - 1460]


def assert_books_balance(tcb: Tcb) -> None:
    """Hold the counts of what is in flight to the entries, and the timers to what waits."""
    if tcb.state in (State.CLOSED, State.TIME_WAIT):
        return
    sent = tcb.sent
    entries = sent.segments
    assert sent.packets_out == sum(entry.packets for entry in entries)
    assert sent.lost_out == sum(entry.packets for entry in entries if entry.lost)
    assert sent.retrans_out == sum(entry.packets for entry in entries if entry.retransmitted)
    if tcb.sack_permitted:
        assert sent.sacked_out == sum(entry.packets for entry in entries if entry.sacked)
    assert sent.in_flight >= 0
    edges = [tcb.snd_una, *(entry.end for entry in entries)]
    assert [entry.seq for entry in entries] == edges[:-1]
    assert edges[-1] == tcb.snd_nxt
    assert tcb.unsent() >= 0
    assert tcb.window.cwnd >= 1
    if entries:
        assert tcb.retransmission_timer.deadline is not None
    elif tcb.unsent():
        assert tcb.persist_timer.deadline is not None


class Liar:
    """Somebody who speaks TCP at random, with a connection that was opened as it should be."""

    def __init__(self, seed: int) -> None:
        self.random = draw = Random(seed)
        self.now = START
        config = TcpConfig(
            tcp_mtu_probing=draw.choice([0, 1, 2]),
            tcp_frto=draw.choice([0, 2]),
            tcp_recovery=draw.choice([0, 1, 4]),
            tcp_ecn=draw.choice([1, 2, 3]),
            tcp_congestion_control=draw.choice(["reno", "cubic"]),
            tcp_early_retrans=draw.choice([0, 3]),
        )
        self.host = Host(A, config=config, seed=seed)
        self.listener = listener = self.host.tcp.open_passive(
            self.host.tcp.bind(Endpoint(0, 80)), 5, UserOptions(nodelay=draw.random() < 0.5)
        )
        self.stamped = draw.random() < 0.4
        irs = draw.choice(NUMBERS)
        options = Options(
            mss=draw.choice([1, 48, 100, 536, 1460]),
            window_scale=draw.choice([None, 0, 7, 14]),
            sack_permitted=draw.random() < 0.8,
            timestamps=Timestamps(1, 0) if self.stamped else None,
        )
        (syn_ack,) = self.host.inject(START, flags=SYN, seq=irs, options=options)
        stamps = Timestamps(1, 0) if self.stamped else None
        self.host.inject(
            START, flags=ACK, seq=irs + 1, ack=syn_ack.seq + 1, options=Options(timestamps=stamps)
        )
        tcb = self.host.tcp.accept(listener)
        assert tcb is not None
        self.tcb: Tcb = tcb

    def step(self) -> None:
        """Let time pass, and do something."""
        draw = self.random
        self.now += draw.choice([0, 0, 1, MILLISECOND, draw.randrange(300 * MILLISECOND)])
        self.expire(self.now)
        draw.choices([self.use, self.lie], [3, 7])[0]()
        self.host.tcp.flush(self.now)
        self.host.outbox.clear()

    def expire(self, until: Instant) -> None:
        while (deadline := self.host.timers.next_deadline()) is not None and deadline <= until:
            self.host.expire(deadline)
            assert_books_balance(self.tcb)

    def use(self) -> None:
        """Act as the user; what fails is none of ours."""
        draw, tcp, tcb = self.random, self.host.tcp, self.tcb
        with suppress(OSError):
            match draw.randrange(20):
                case 0:
                    tcp.shutdown(tcb, read=False, write=True)
                case 1 | 2 | 3 | 4 | 5 | 6:
                    tcp.receive_text(tcb, draw.choice([1, 100, 100_000]), self.now)
                case _:
                    length = draw.choice([1, 10, 500, 5000, 60_000])
                    urgent, more = draw.random() < 0.05, draw.random() < 0.1
                    tcp.send(tcb, bytes(length), self.now, out_of_band=urgent, more=more)

    def lie(self) -> None:
        """Send a segment, near the truth or far from it."""
        draw, tcb = self.random, self.tcb
        flight = sub(tcb.snd_nxt, tcb.snd_una)
        odd = draw.random() < 0.03
        extra = draw.choices([0, PSH, ECE, CWR, FIN, URG], [60, 10, 10, 10, 1, 3])[0]
        self.host.inject(
            self.now,
            flags=draw.choice([SYN, SYN | ACK, 0, PSH, RST | ACK]) if odd else ACK | extra,
            seq=tcb.rcv_nxt + draw.choice([0, 0, 0, 0, 1000, draw.randrange(-3000, 3000)]) + odd,
            ack=tcb.snd_una + draw.choice([0, 0, flight, draw.randrange(-9, flight + 1 + odd)]),
            text=bytes(draw.choice([0, 0, 1, 100, 1000])),
            wnd=draw.choice([65535, 65535, 0, 1, 50, 500, 5000]),
            up=draw.choice([0, 1, 5, 2000, 65535]),
            options=self._options(flight),
            tos=draw.choice([0, 2, 3]),
        )

    def _options(self, flight: int) -> Options:
        draw, tcb = self.random, self.tcb
        mss = tcb.effective_mss
        blocks = []
        for _ in range(draw.choice([0, 0, 0, 1, 2, 3])):
            whole = draw.randrange(flight // mss + 2) * mss
            left = add(tcb.snd_una, draw.choice([whole, draw.randrange(-100, flight + 2)]))
            blocks.append(SackBlock(left, add(left, draw.choice([mss, 2 * mss, 1, -1, 5000]))))
        stamps = None
        if self.stamped:
            ticks = (self.now - START) // MILLISECOND + draw.choice([1, 1, 1, -50, 10_000])
            echo = tcb.timestamp_now(self.now - draw.randrange(200 * MILLISECOND))
            stamps = Timestamps(ticks % 2**32, draw.choice([0, echo]))
        return Options(timestamps=stamps, sack=tuple(blocks))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_peer_says_the_books_balance_and_nothing_is_left(seed: int) -> None:
    liar = Liar(seed)
    for _ in range(250):
        liar.step()
        assert_books_balance(liar.tcb)
        beyond = liar.tcb.reassembly.octets if liar.tcb.reassembly else 0
        assert beyond + len(liar.tcb.receive_queue) < 1 << 20
    liar.host.tcp.close(liar.listener, liar.now)  # some of the SYNs came through
    liar.host.tcp.abort(liar.tcb)
    liar.host.tcp.flush(liar.now)
    assert list(liar.host.tcp.connections) == []
    assert list(liar.host.timers.armed()) == []


# --- wherever the numbers begin -----------------------------------------------------------------


class FixedStart(KeyedHash):
    """Begins every connection at the same number."""

    def __init__(self, iss: int) -> None:
        super().__init__(SeededEntropy())
        self.iss = iss

    def first_numbers(self, *_: object) -> tuple[int, int]:
        return self.iss, 0


def story_of_a_transfer(iss: int, fate: Fate) -> list[tuple[object, ...]]:
    """Send both ways over a bad road; tell every segment, by its distance from where it began."""
    world = World(delay=10 * MILLISECOND, fate=fate, seed=7)
    for host in (world.a, world.b):
        host.tcp._ctx.keyed_hash = FixedStart(iss)
    client, server = world.pair()
    world.transfer(client, server, bytes(150_000))
    world.transfer(server, client, bytes(50_000), close=True)
    world.close(client)
    world.run_for(100 * SECOND)
    assert client.state is State.CLOSED

    def told(segment: Segment) -> tuple[object, ...]:
        sack = [(sub(left, iss), sub(right, iss)) for left, right in segment.options.sack]
        ack = sub(segment.ack, iss) if segment.flags & ACK else 0
        return sub(segment.seq, iss), ack, segment.flags, segment.wnd, len(segment.text), sack

    return [(when, who, *told(segment)) for when, who, segment in world.log]


def bad_road(octets: bytes, random: Random) -> list[tuple[int, bytes]]:
    """Lose, delay and double a segment now and then."""
    chance = random.random()
    if chance < 0.05:
        return []
    copies = 2 if chance > 0.97 else 1
    return [(random.choice([0, 0, 0, 3 * MILLISECOND]), octets)] * copies


def test_a_transfer_is_the_same_wherever_the_sequence_numbers_begin() -> None:
    first, *others = (story_of_a_transfer(iss, bad_road) for iss in NUMBERS)
    assert len(first) > 150
    for other in others:
        assert other == first
