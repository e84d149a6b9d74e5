"""Which ACK tells what, and when it leaves: the receiver's half as Linux plays it."""

from __future__ import annotations

import pytest

from tapstack.base.units import MILLISECOND
from tapstack.tcp.segment import ACK, FIN, PSH, SYN, Options, SackBlock, Timestamps
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tests.tcp.pair import Host
from tests.tcp.test_state_segment_grid import T0, Peer

MSS = 1000


class Sender:
    """A peer who sends what a test says, numbered from 0."""

    def __init__(self, *, sack: bool = True, wscale: int | None = None) -> None:
        peer = Peer("LISTEN", 1000)
        self.host: Host = peer.host
        options = Options(mss=MSS, sack_permitted=sack, window_scale=wscale)
        (syn_ack,) = self.host.inject(T0, flags=SYN, seq=1000, options=options)
        self.ack = syn_ack.seq + 1
        self.now = T0
        self.text(0, 0)
        tcb = self.host.tcp.accept(peer.listener)
        assert tcb is not None
        self.tcb: Tcb = tcb

    def text(self, begin: int, length: int, flags: int = ACK, **fields: object) -> list[object]:
        """Send text; give what is answered: the ACK's number and its SACK blocks."""
        sent = self.host.inject(
            self.now,
            flags=flags,
            seq=1001 + begin,
            ack=self.ack,
            text=bytes(length),
            **fields,
        )
        return [self._told(s.ack, s.options.sack) for s in sent]

    @staticmethod
    def _told(ack: int, sack: tuple[SackBlock, ...]) -> object:
        blocks = [(left - 1001, right - 1001) for left, right in sack]
        return (ack - 1001, *blocks)

    def wait(self, duration: int) -> list[object]:
        self.now += duration
        self.host.expire(self.now)
        return [self._told(s.ack, s.options.sack) for s in self.host.sent()]

    def read(self, size: int = 1 << 20) -> list[object]:
        self.host.tcp.receive_text(self.tcb, size, self.now)
        self.host.tcp.flush(self.now)
        return [self._told(s.ack, s.options.sack) for s in self.host.sent()]

    def settle(self) -> None:
        """Use up the quick ACKs."""
        self.tcb.acks.quick = 0


# --- beyond a gap -------------------------------------------------------------------------------


def test_a_fin_beyond_a_gap_is_answered_at_once_and_counts_in_the_block() -> None:
    sender = Sender()
    assert sender.text(1000, 1000) == [(0, (1000, 2000))]
    assert sender.text(2000, 0, FIN | ACK) == [(0, (1000, 2001))]
    assert sender.text(0, 1000) == [(2001,)]
    assert sender.tcb.state is State.CLOSE_WAIT


def test_a_fin_alone_beyond_a_gap_is_a_block_of_its_own() -> None:
    sender = Sender()
    assert sender.text(1000, 0, FIN | ACK) == [(0, (1000, 1001))]
    assert sender.tcb.state is State.ESTABLISHED
    sender.text(0, 1000)
    assert sender.tcb.state is State.CLOSE_WAIT


def test_without_sack_a_fin_beyond_a_gap_brings_a_plain_duplicate_ack() -> None:
    assert Sender(sack=False).text(1000, 0, FIN | ACK) == [(0,)]


# --- what came twice (RFC 2883) -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "told"),
    [
        ((0, 1000), (2000, (0, 1000))),
        ((1500, 500), (2000, (1500, 2000))),
        ((1500, 1000), (2500, (1500, 2000))),
    ],
)
def test_text_that_came_before_is_reported_also_where_new_text_follows_it(
    again: tuple[int, int], told: tuple[object, ...]
) -> None:
    sender = Sender()
    sender.text(0, 1000)
    sender.text(1000, 1000)
    assert sender.text(*again) == [told]
    (later,) = sender.text(told[0], 1000)  # type: ignore[arg-type]
    assert later == (told[0] + 1000,)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("again", "told"),
    [
        ((2000, 1000), (0, (2000, 3000), (2000, 3000))),
        ((2500, 1000), (0, (2500, 3000), (2000, 3500))),
        ((1500, 1000), (0, (2000, 2500), (1500, 3000))),
        ((1000, 3000), (0, (2000, 3000), (1000, 4000))),
    ],
)
def test_text_that_came_before_beyond_a_gap_is_reported_with_its_block(
    again: tuple[int, int], told: tuple[object, ...]
) -> None:
    sender = Sender()
    sender.text(2000, 1000)
    sender.text(6000, 1000)
    assert sender.text(*again) == [(*told, (6000, 7000))]


def test_a_fin_that_came_twice_is_reported_too() -> None:
    sender = Sender()
    sender.text(0, 1000, FIN | ACK)
    sender.wait(MILLISECOND * 60)
    assert sender.text(0, 1000, FIN | ACK) == [(1001, (0, 1001))]
    assert sender.text(1000, 0, FIN | ACK) == [(1001, (1000, 1001))]


# --- when an ACK leaves -------------------------------------------------------------------------


def test_an_ack_that_would_leave_soon_anyway_leaves_with_the_next_small_text() -> None:
    sender = Sender()
    sender.text(0, 1000)
    sender.settle()
    assert sender.text(1000, 10) == []
    sender.now += 25 * MILLISECOND
    assert sender.text(1010, 10) == []
    sender.now += 6 * MILLISECOND  # 9 ms before it is due: less than a quarter of 40
    assert sender.text(1020, 10) == [(1030,)]
    assert sender.wait(200 * MILLISECOND) == []


@pytest.mark.parametrize(("low_water", "answer"), [(1, []), (10_000, [(2001,)])])
def test_a_user_who_waits_for_more_leaves_the_acknowledging_to_the_stack(
    low_water: int, answer: list[object]
) -> None:
    sender = Sender()
    sender.text(0, 1000)
    sender.tcb.options.rcvlowat = low_water
    space = sender.tcb.receive_space
    space.threshold = space.clamp = sender.tcb.rcv_wnd - 8000  # the window does not advance
    sender.settle()
    assert sender.text(1000, 500) == []
    assert sender.text(1500, 501) == answer


def test_only_what_acknowledges_something_counts_as_a_quick_ack() -> None:
    sender = Sender()
    sender.text(0, 1000)
    quick = sender.tcb.acks.quick
    for _ in range(5):  # of these none acknowledges anything new
        sender.host.tcp.send(sender.tcb, b"answer", sender.now)
        sender.host.tcp.flush(sender.now)
    assert sender.tcb.acks.quick == quick
    sender.tcb.acks.interactive = False
    sender.text(1000, 1000)
    assert sender.tcb.acks.quick in (quick, quick - 1)


def test_text_beyond_a_gap_makes_no_later_ack_quick() -> None:
    sender = Sender()
    sender.text(0, 1000)
    sender.settle()
    sender.text(2000, 1000)
    sender.text(1000, 1000)
    sender.settle()
    assert sender.text(3000, 10, ACK | PSH) == []


def test_reading_all_that_came_with_a_fin_acknowledges_both() -> None:
    sender = Sender()
    sender.text(0, 1000)
    sender.settle()
    assert sender.text(1000, 999, FIN | ACK | PSH) == []
    sender.tcb.acks.interactive = False
    assert sender.read() == [(2000,)]


def test_an_ack_keeps_to_the_window_of_a_peer_who_shrank_it() -> None:
    sender = Sender()
    sender.host.tcp.send(sender.tcb, bytes(5000), sender.now)
    sender.host.tcp.flush(sender.now)
    sender.host.sent()
    sender.host.inject(sender.now, flags=ACK, seq=1001, ack=sender.ack, text=b".")
    sent = sender.host.inject(
        sender.now, flags=ACK, seq=1002, ack=sender.ack, wnd=2000, text=bytes(1000)
    )
    assert [s.seq for s in sent] == [sender.ack + 2000]


# --- the timestamp to echo ----------------------------------------------------------------------


def test_a_timestamp_of_0_in_the_syn_is_none_to_measure_by() -> None:
    peer = Peer("LISTEN", 1000)
    stamps = Options(mss=MSS, timestamps=Timestamps(0, 0))
    (syn_ack,) = peer.host.inject(T0, flags=SYN, seq=1000, options=stamps)
    assert syn_ack.options.timestamps is not None
    first = Options(timestamps=Timestamps(3_000_000_000, syn_ack.options.timestamps.value))
    text = {"flags": ACK, "seq": 1001, "ack": syn_ack.seq + 1, "options": first, "text": b"text"}
    (answer,) = peer.host.inject(T0, **text)
    assert answer.ack == 1005


def test_who_cannot_name_what_we_sent_has_no_timestamp_believed() -> None:
    peer = Peer("LISTEN", 1000)
    stamps = Options(mss=MSS, timestamps=Timestamps(100, 0))
    (syn_ack,) = peer.host.inject(T0, flags=SYN, seq=1000, options=stamps)
    (tcb,) = peer.host.tcp.connections
    true = {"seq": 1001, "ack": syn_ack.seq + 1}
    peer.host.inject(T0, flags=ACK, options=Options(timestamps=Timestamps(101, 0)), **true)
    ahead = Options(timestamps=Timestamps(100 + 2**31 - 1, 0))
    peer.host.inject(T0, flags=ACK, seq=1001, ack=syn_ack.seq + 5000, options=ahead, text=b"x")
    peer.host.inject(T0, flags=PSH, seq=1001, options=ahead, text=b"x")
    assert tcb.ts_recent == 101
