"""What RFC 9293 requires of windows (§3.8.6): shrunk and closed ones, probes, silly ones."""

from __future__ import annotations

from errno import ETIMEDOUT
from itertools import pairwise

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.segment import ACK, FIN, PSH, RST, SYN, Options, Segment
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host, World
from tests.tcp.test_buffers import set_option
from tests.tcp.test_state_segment_grid import T0, Peer

MSS = 536


def established(wnd: int) -> tuple[Peer, Host, Tcb]:
    """A connection without options whose peer offers a window."""
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    peer.host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=wnd)
    return peer, peer.host, peer.tcb


def next_timeout(host: Host) -> tuple[int, list[Segment]]:
    """Go on to the next deadline; tell when that was, and what was sent."""
    deadline = host.timers.next_deadline()
    assert deadline is not None
    host.expire(deadline)
    return deadline, host.sent()


# --- a window that shrinks ----------------------------------------------------------------------


def test_a_receiver_never_takes_back_what_it_has_offered() -> None:
    world = World(delay=5 * MILLISECOND)
    client, server = world.pair()
    got = 0
    for step in range(400):
        world.send(client, bytes(20_000))
        if step % 3 == 0:
            got += len(world.receive(server, 3000) or b"")
        if step == 200:
            set_option(world, server, "window_clamp", 4000)
        world.run_for(2 * MILLISECOND)
    shift = server.rcv_wind_shift
    edges = [s.ack + (s.wnd << shift) for _, who, s in world.log if who == B and s.flags == ACK]
    assert got > 100_000
    assert len(edges) > 50
    assert all((later - earlier) % 2**32 < 2**31 for earlier, later in pairwise(edges))


def shrunk(keep: int) -> tuple[Peer, Host, Tcb, list[Segment]]:
    """Send ten segments into a window that then shrinks to `keep` octets.

    One that does not close is believed only of a segment that is newer than the last.
    """
    peer, host, tcb = established(20_000)
    host.tcp.send(tcb, bytes(20 * 1000), T0)
    host.tcp.flush(T0)
    sent = host.sent()
    assert len(sent) == 10
    seq = peer.rcv_nxt
    if keep:
        host.inject(T0, flags=ACK, seq=seq, ack=peer.snd_nxt, text=b".")
        seq += 1
    host.inject(T0, flags=ACK, seq=seq, ack=peer.snd_nxt, wnd=keep)
    return peer, host, tcb, sent


@pytest.mark.parametrize(
    ("window", "again"), [(3 * 1460, 1460), (1460, 1460), (100, 100), (0, 1460)]
)
def test_of_what_is_in_flight_only_what_lies_in_a_shrunk_window_is_sent_again(
    window: int, again: int
) -> None:
    """Of a closed one the oldest segment is: it is the probe."""
    _, host, _, sent = shrunk(window)
    _, segments = next_timeout(host)
    assert [(s.seq, len(s.text)) for s in segments] == [(sent[0].seq, again)]


def test_what_lies_beyond_a_shrunk_window_ends_nothing_while_the_peer_answers() -> None:
    peer, host, tcb, sent = shrunk(0)
    now = T0
    for _ in range(50):
        now, again = next_timeout(host)
        assert {s.seq for s in again} <= {sent[0].seq}
        # The peer is alive, and takes nothing.
        host.inject(now, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=0)
    assert now > T0 + 3600 * SECOND, "longer than a peer that is silent is borne with"
    assert tcb.state is State.ESTABLISHED
    host.inject(now, flags=ACK, seq=peer.rcv_nxt, ack=sent[-1].end, wnd=20_000)
    assert tcb.snd_una == sent[-1].end


def test_a_peer_that_has_shut_its_window_and_then_falls_silent_is_given_up() -> None:
    _, host, tcb, _ = shrunk(0)
    now = T0
    for _ in range(50):
        if tcb.state is State.CLOSED:
            break
        now, _ = next_timeout(host)
    assert tcb.error == ETIMEDOUT
    assert 240 * SECOND < now - T0 <= 360 * SECOND  # 2·RTO.max, then the next timeout


def test_a_window_that_opens_again_has_the_whole_patience_before_it() -> None:
    peer, host, tcb, sent = shrunk(0)
    now = T0
    for _ in range(20):
        now, _ = next_timeout(host)
        host.inject(now, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=0)
    assert now > T0 + 1000 * SECOND
    host.inject(now, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=20_000)
    now, again = next_timeout(host)
    assert [s.seq for s in again] == [sent[0].seq]
    assert tcb.state is State.ESTABLISHED


# --- the edges of our own window ------------------------------------------------------------------


def receiver() -> tuple[Peer, Host, Tcb, int]:
    """A connection, and the window that it offers."""
    peer, host, tcb = established(65_535)
    return peer, host, tcb, tcb.rcv_wnd


def arrives(peer: Peer, offset: int, length: int, flags: int = 0) -> int | None:
    """Let text come in; tell how far it is acknowledged at once."""
    sent = peer.host.inject(
        T0,
        flags=ACK | PSH | flags,
        seq=peer.rcv_nxt + offset,
        ack=peer.snd_nxt,
        text=bytes(length),
    )
    return (sent[-1].ack - peer.rcv_nxt) % 2**32 if sent else None


@pytest.mark.parametrize("fin", [0, FIN])
def test_text_that_reaches_beyond_the_window_is_taken_whole_while_nothing_waits(fin: int) -> None:
    """As measured on Linux 6.18."""
    peer, host, tcb, window = receiver()
    arrives(peer, 0, window + 1, fin)
    host.expire(T0 + SECOND)
    assert tcb.last_ack_sent == tcb.rcv_nxt == (peer.rcv_nxt + window + 1 + bool(fin)) % 2**32
    assert len(tcb.receive_queue) == window + 1
    assert tcb.state is (State.CLOSE_WAIT if fin else State.ESTABLISHED)


def test_text_that_reaches_beyond_the_window_is_refused_while_some_waits() -> None:
    peer, _, tcb, window = receiver()
    assert arrives(peer, 0, 1000) == 1000
    assert arrives(peer, 1000, window) == 1000
    assert len(tcb.receive_queue) == 1000
    arrives(peer, 1000, window - 1000)
    assert len(tcb.receive_queue) == window


def test_beyond_a_gap_text_that_reaches_beyond_the_window_is_kept_whole_while_nothing_waits() -> (
    None
):
    """As measured on Linux 6.18."""
    peer, _, tcb, window = receiver()
    assert arrives(peer, 100, window) == 0
    assert tcb.reassembly.octets == window
    assert arrives(peer, 3 * window, 100) == 0
    assert tcb.reassembly.octets == window


def test_text_that_came_before_is_acknowledged_again_and_what_it_acknowledges_counts() -> None:
    peer, host, tcb = established(65_535)
    arrives(peer, 0, 100)
    host.tcp.send(tcb, b"answer", T0)
    host.tcp.flush(T0)
    host.sent()
    again = host.inject(T0, flags=ACK | PSH, seq=peer.rcv_nxt + 90, ack=tcb.snd_nxt, text=bytes(10))
    assert [s.ack for s in again] == [peer.rcv_nxt + 100]
    assert not tcb.sent


def test_a_fin_that_came_before_is_acknowledged_each_time() -> None:
    peer = Peer("CLOSE_WAIT", 1000)
    for _ in range(5):
        (answer,) = peer.host.inject(T0, flags=ACK | FIN, seq=peer.rcv_nxt - 1, ack=peer.snd_nxt)
        assert answer.ack == peer.rcv_nxt


# --- a window that is closed --------------------------------------------------------------------


def test_a_closed_window_is_probed_first_after_an_rto_and_then_half_as_often_each_time() -> None:
    _, host, tcb = established(0)
    rto = tcb.rtt.rto
    host.tcp.send(tcb, b"waits", T0)
    host.tcp.flush(T0)
    assert host.sent() == []
    times = []
    for _ in range(6):
        when, probes = next_timeout(host)
        assert [(s.seq, s.text) for s in probes] == [(tcb.snd_una - 1, b"")]
        times.append(when - T0)
    assert times == [rto * (2**n - 1) for n in range(1, 7)]


@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_a_closed_window_still_hears_a_reset(flags: int) -> None:
    peer, host, tcb = established(1000)
    offset = 0
    while tcb.rcv_wnd > (tcb.rcv_nxt - tcb.rcv_wup) % 2**32:
        text = bytes(min(1000, tcb.rcv_wnd))
        host.inject(T0, flags=ACK | PSH, seq=peer.rcv_nxt + offset, ack=peer.snd_nxt, text=text)
        offset = (tcb.rcv_nxt - peer.rcv_nxt) % 2**32
    assert offset > 10_000
    host.inject(T0, flags=flags, seq=peer.rcv_nxt + offset, ack=peer.snd_nxt)
    assert tcb.state is State.CLOSED


# --- silly windows ------------------------------------------------------------------------------


def test_a_closed_window_is_not_opened_by_crumbs() -> None:
    world = World(delay=MILLISECOND)
    client, server = world.pair()
    while world.send(client, bytes(100_000)):
        world.run_for(20 * MILLISECOND)
    world.run_for(SECOND)
    mark = len(world.log)
    for _ in range(3000):
        assert world.receive(server, 20)
        world.run_for(10 * MILLISECOND)
    answers = [s for _, who, s in world.log[mark:] if who == B]
    assert any(s.wnd == 0 for s in answers), "what was asked meanwhile was answered"
    edges = [s.ack + (s.wnd << server.rcv_wind_shift) for s in answers]
    steps = [(later - earlier) % 2**32 for earlier, later in pairwise(edges)]
    unit = 1 << server.rcv_wind_shift  # what is offered is rounded up to it
    assert all(step < unit or step >= 1448 for step in steps)
    assert sum(step >= 1448 for step in steps) > 5, "and it did open"


def test_small_segments_do_not_have_a_user_who_reads_nothing_hold_ever_more() -> None:
    buffer = 16384
    host = Host(A, config=TcpConfig(tcp_rmem=(4096, buffer, 6 << 20)))
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 8, UserOptions())
    (syn_ack,) = host.inject(T0, flags=SYN, seq=0, options=Options(mss=1460, window_scale=0))
    scale = syn_ack.options.window_scale or 0
    assert scale > 6  # what is smaller than this unit closes the window by nothing, rounded up
    host.config.tcp_rmem = (4096, buffer, buffer)  # so that it does not grow
    ack = syn_ack.seq + 1
    answers = host.inject(T0, flags=ACK, seq=1, ack=ack)
    for number in range(1000):
        now = T0 + number * SECOND
        answers += host.inject(now, flags=ACK | PSH, seq=1 + 64 * number, ack=ack, text=bytes(64))
        host.expire(now + SECOND // 2)
        answers += host.sent()
    (tcb,) = host.tcp.connections
    assert buffer // 2 <= len(tcb.receive_queue) <= buffer
    assert answers[-1].wnd == 0


def test_a_window_too_small_for_a_segment_is_filled_in_the_end_and_pushed() -> None:
    """RFC 9293 §3.8.6.2.1: the override timeout; like Linux, what it sends has PSH."""
    _, host, tcb = established(400)
    host.tcp.send(tcb, bytes(300), T0)
    host.tcp.flush(T0)
    host.sent()
    host.inject(T0, flags=ACK, seq=tcb.rcv_nxt, ack=tcb.snd_una + 300, wnd=100)
    host.tcp.send(tcb, bytes(2000), T0)
    host.tcp.flush(T0)
    assert host.sent() == []
    _, (probe,) = next_timeout(host)
    assert (len(probe.text), probe.flags) == (100, PSH | ACK)
