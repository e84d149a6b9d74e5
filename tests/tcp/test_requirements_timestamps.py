"""Timestamps, PAWS and window scaling as RFC 7323 requires them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.segment import ACK, PSH, RST, SYN, Options, Timestamps
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host, World
from tests.tcp.test_errors import established_with_timestamps
from tests.tcp.test_state_segment_grid import T0, Peer

DAY = 24 * 3600 * SECOND


def test_every_segment_but_a_reset_carries_timestamps_once_both_syns_had_them() -> None:
    world = World(delay=5 * MILLISECOND)
    client, server = world.pair()
    world.transfer(client, server, bytes(100_000))
    world.run_for(SECOND)
    world.close(client)
    world.close(server)
    world.run_for(SECOND)
    segments = [s for _, _, s in world.log if not s.flags & RST]
    assert len(segments) > 20
    assert all(s.options.timestamps is not None for s in segments)


@pytest.mark.parametrize("offered", [True, False])
def test_a_syn_ack_has_what_the_syn_offered(offered: bool) -> None:
    peer = Peer("LISTEN", 1000)
    stamps = Timestamps(77, 0) if offered else None
    options = Options(mss=1460, timestamps=stamps)
    (syn_ack,) = peer.host.inject(T0, flags=SYN, seq=1000, options=options)
    answered = syn_ack.options.timestamps
    assert (answered.echo if answered else None) == (77 if offered else None)


def test_a_syn_echoes_nothing() -> None:
    world = World()
    world.pair()
    (_, _, syn), *_ = world.log
    assert syn.options.timestamps is not None
    assert syn.options.timestamps.echo == 0


def test_the_clock_of_a_connection_ticks_each_millisecond_and_never_goes_back() -> None:
    world = World(delay=20 * MILLISECOND)
    client, server = world.pair()
    world.transfer(client, server, bytes(200_000))
    stamps = [
        (when, s.options.timestamps.value)
        for when, who, s in world.log
        if who == A and s.options.timestamps
    ]
    assert len(stamps) > 100
    for (earlier, before), (later, after) in pairwise(stamps):
        ticks = (after - before) % 2**32
        assert ticks == later // MILLISECOND - earlier // MILLISECOND


def test_two_connections_have_clocks_that_tell_nothing_of_each_other() -> None:
    host = Host(A)
    stamps = set()
    for port in range(1, 30):
        host.tcp.open_active(Endpoint(B, port), UserOptions(), T0)
        host.tcp.flush(T0)
        (syn,) = host.sent()
        assert syn.options.timestamps is not None
        stamps.add(syn.options.timestamps.value)
    assert len({stamp >> 24 for stamp in stamps}) > 20


def test_what_is_echoed_is_the_timestamp_of_the_segment_that_moved_the_window_on() -> None:
    """RFC 7323 §4.3: of what is acknowledged late, the earliest; beyond a gap, the last before."""
    host, tcb, seq, una = established_with_timestamps()
    tcb.acks.interactive = True  # ACKs are delayed

    def arrives(offset: int, stamp: int, text: bytes) -> int | None:
        options = Options(timestamps=Timestamps(stamp, 0))
        answers = host.inject(
            T0, flags=ACK | PSH, seq=seq + offset, ack=una, text=text, options=options
        )
        return answers[-1].options.timestamps.echo if answers else None  # type: ignore[union-attr]

    assert arrives(0, 1010, b"a") is None
    assert arrives(1, 1020, b"b") is None
    host.expire(T0 + SECOND)
    (delayed,) = host.sent()
    assert delayed.options.timestamps is not None
    assert delayed.options.timestamps.echo == 1010
    assert arrives(10, 1030, b"beyond a gap") == 1010
    assert arrives(2, 1025, b"12345678") == 1025, "the gap is filled by an older one"


def test_a_segment_without_timestamps_is_taken_all_the_same() -> None:
    host, tcb, seq, una = established_with_timestamps()
    host.inject(T0, flags=ACK | PSH, seq=seq, ack=una, text=b"bare")
    assert host.tcp.receive_text(tcb, 10, T0) == b"bare"


@pytest.mark.parametrize(("days", "taken"), [(23, False), (25, True)])
def test_after_24_days_of_silence_no_timestamp_is_too_old(days: int, taken: bool) -> None:
    host, tcb, seq, una = established_with_timestamps()
    old = Options(timestamps=Timestamps((1000 - 2**30) % 2**32, 0))
    later = T0 + days * DAY
    host.inject(later, flags=ACK | PSH, seq=seq, ack=una, text=b"x", options=old)
    assert host.tcp.receive_text(tcb, 10, later) == (b"x" if taken else None)


@pytest.mark.parametrize(
    ("offset", "below", "window", "answers", "counted"),
    [
        pytest.param(0, 10, 65535, 0, None, id="a duplicate ACK that was overtaken"),
        pytest.param(0, 2000, 65535, 1, "TcpExtPAWSEstab", id="one that is too old for that"),
        pytest.param(0, 10, 0, 1, "TcpExtPAWSEstab", id="one that would close the window"),
        pytest.param(1, 10, 65535, 1, "TcpExtPAWSEstab", id="one that is not expected"),
        pytest.param(-1, 10, 65535, 0, "TcpExtPAWSOldAck", id="one that text overtook"),
    ],
)
def test_an_empty_ack_that_is_merely_late_is_no_old_duplicate(
    offset: int, below: int, window: int, answers: int, counted: str | None
) -> None:
    host, tcb, seq, una = established_with_timestamps()
    late = Options(timestamps=Timestamps((1001 - below) % 2**32, 0))
    sent = host.inject(T0, flags=ACK, seq=seq + offset, ack=una, wnd=window, options=late)
    assert len(sent) == answers
    names = ("TcpExtPAWSEstab", "TcpExtPAWSOldAck")
    assert [name for name in names if host.counters[name]] == ([counted] if counted else [])
    assert tcb.ts_recent == 1001, "it never goes back"


def test_timestamps_wrap() -> None:
    host = Host(A)
    listener = host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 5, UserOptions())
    options = Options(mss=1460, timestamps=Timestamps(2**32 - 1, 0))
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1, options=options)
    una = syn_ack.seq + 1
    wrapped = Options(timestamps=Timestamps(3, 0))
    host.inject(T0, flags=ACK, seq=2, ack=una, options=wrapped)
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert tcb.ts_recent == 3
    before = Options(timestamps=Timestamps(2**32 - 2, 0))
    host.inject(T0, flags=ACK | PSH, seq=2, ack=una, text=b"old", options=before)
    assert host.tcp.receive_text(tcb, 10, T0) is None


# --- window scaling -----------------------------------------------------------------------------


def opened(scale: int | None, wnd: int) -> tuple[Host, Tcb]:
    """A connection whose peer's SYN names a scale, and whose ACK of our SYN-ACK a window."""
    peer = Peer("LISTEN", 1000)
    options = Options(mss=1460, window_scale=scale)
    (syn_ack,) = peer.host.inject(T0, flags=SYN, seq=1000, wnd=50_000, options=options)
    (tcb,) = peer.host.tcp.connections
    assert tcb.snd_wnd == 50_000, "a SYN's window is never scaled"
    assert (syn_ack.options.window_scale is None) == (scale is None)
    peer.host.inject(T0, flags=ACK, seq=1001, ack=syn_ack.seq + 1, wnd=wnd)
    return peer.host, tcb


@pytest.mark.parametrize(
    ("scale", "window"),
    [
        (None, 1000),
        (0, 1000),
        (7, 1000 << 7),
        (14, 1000 << 14),
        (15, 1000 << 14),
        (255, 1000 << 14),
    ],
)
def test_a_window_is_scaled_by_what_the_peers_syn_said_14_at_most(
    scale: int | None, window: int
) -> None:
    _, tcb = opened(scale, 1000)
    assert tcb.snd_wnd == window


def test_without_a_scale_of_the_peer_ours_does_not_count() -> None:
    host, tcb = opened(None, 1000)
    (answer,) = host.inject(T0, flags=ACK | PSH, seq=1001, ack=tcb.snd_nxt, text=b"x")
    assert answer.wnd == tcb.rcv_wnd > 1000
