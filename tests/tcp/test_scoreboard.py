"""The retransmission queue as SACK blocks cut it, and what of it is sent again."""

from __future__ import annotations

from time import process_time

import pytest

from tapstack.tcp.mss import update_effective_mss
from tapstack.tcp.retransmission_queue import RetransmissionQueue
from tapstack.tcp.segment import ACK, FIN, PSH, SYN, Options, SackBlock, Segment
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import add
from tapstack.tcp.tcb import Tcb
from tests.tcp.pair import Host
from tests.tcp.test_state_segment_grid import T0, Peer

MSS = 1000


def unit(packets: int, base: int = 0, tail: int = 0) -> RetransmissionQueue:
    """A queue of one unit of full segments, with a smaller one behind them."""
    queue = RetransmissionQueue()
    end = add(base, packets * MSS + tail)
    queue.append(SentSegment(base, end, 0, MSS, 0))
    return queue


@pytest.mark.parametrize("base", [0, 2**31 - 1, 2**32 - 1500])
@pytest.mark.parametrize(
    ("block", "sacked"),
    [
        ((1000, 2000), [(1000, 2000)]),
        ((1000, 2500), [(1000, 2000)]),
        ((500, 3000), [(1000, 3000)]),
        ((1, 999), []),
        ((1001, 1999), []),
        ((1999, 4001), [(2000, 4000)]),
        ((4000, 5300), [(4000, 5300)]),
        ((4500, 5300), [(5000, 5300)]),
        ((5000, 5200), []),
    ],
)
def test_a_block_takes_whole_segments_of_a_unit(
    base: int, block: tuple[int, int], sacked: list[tuple[int, int]]
) -> None:
    queue = unit(5, base, tail=300)
    queue.sack(SackBlock(add(base, block[0]), add(base, block[1])))
    got = [((s.seq - base) % 2**32, (s.end - base) % 2**32) for s in queue if s.sacked]
    assert got == sacked
    assert queue.packets_out == 6
    assert queue.sacked_out == sum(-(-(end - begin) // MSS) for begin, end in sacked)


def test_a_peer_that_acknowledges_single_octets_splits_nothing() -> None:
    queue = unit(10)
    for octet in range(1, 10 * MSS, 2):
        queue.sack(SackBlock(octet, octet + 1))
    assert len(queue.segments) == 1


@pytest.mark.slow
def test_a_scoreboard_of_many_entries_costs_no_great_time_for_each_ack() -> None:
    """A peer of 48-octet segments, every second of which it acknowledges: 43,000 gaps."""
    host, tcb, peer = sender(Options(mss=48, sack_permitted=True, window_scale=14))
    tcb.window.cwnd = 200_000
    tcb.send_space = 1 << 28
    mss = tcb.effective_mss
    host.tcp.send(tcb, bytes(1 << 22), T0)
    host.tcp.flush(T0)
    host.outbox.clear()
    una, count = tcb.snd_una, tcb.sent.packets_out
    assert count > 80_000
    start = process_time()
    for index in range(1, count - 8, 8):
        blocks = tuple(
            SackBlock(add(una, (index + n) * mss), add(una, (index + n + 1) * mss))
            for n in (0, 2, 4, 6)
        )
        host.inject(T0 + index, flags=ACK, seq=peer.rcv_nxt, ack=una, options=Options(sack=blocks))
        host.outbox.clear()
    assert len(tcb.sent.segments) < 20_000
    assert process_time() - start < 0.01 * count / 8, "10 ms each, with what is sent again"


# --- what is sent again -------------------------------------------------------------------------


def sender(options: Options) -> tuple[Host, Tcb, Peer]:
    """A connection to a peer that said so much in its SYN."""
    peer = Peer("LISTEN", 1000)
    host = peer.host
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, options=options)
    peer.snd_nxt, peer.rcv_nxt = syn_ack.seq + 1, 1001
    host.inject(T0, flags=ACK, seq=1001, ack=peer.snd_nxt)
    tcb = host.tcp.accept(peer.listener)
    assert tcb is not None
    return host, tcb, peer


def write(host: Host, tcb: Tcb, length: int) -> list[Segment]:
    host.tcp.send(tcb, bytes(length), T0)
    host.tcp.flush(T0)
    return host.sent()


def time_out(host: Host, tcb: Tcb) -> list[tuple[int, int, int]]:
    """Wait for a retransmission; give where it lies, how long it is, and its flags."""
    deadline = host.timers.next_deadline()
    assert deadline is not None
    host.expire(deadline)
    return [(s.seq - tcb.snd_una, len(s.text), s.flags) for s in host.sent()]


@pytest.mark.parametrize("collapse", [True, False])
def test_small_segments_are_sent_again_as_one(collapse: bool) -> None:
    host, tcb, _ = sender(Options(mss=MSS))
    host.config.tcp_retrans_collapse = collapse
    tcb.options.nodelay = True
    for length in (300, 300, 300, 300):
        assert len(write(host, tcb, length)) == 1
    again = (0, 900, PSH | ACK) if collapse else (0, 300, PSH | ACK)
    assert time_out(host, tcb) == [again]
    assert tcb.sent.packets_out == (2 if collapse else 4)


def test_a_fin_joins_the_small_segment_before_it_when_that_is_sent_again() -> None:
    host, tcb, _ = sender(Options(mss=MSS))
    write(host, tcb, 100)
    host.tcp.shutdown(tcb, read=False, write=True)
    host.tcp.flush(T0)
    assert [s.flags for s in host.sent()] == [FIN | ACK]
    assert time_out(host, tcb) == [(0, 100, FIN | PSH | ACK)]


def test_what_was_sacked_is_not_sent_again_with_its_neighbour() -> None:
    host, tcb, peer = sender(Options(mss=MSS, sack_permitted=True))
    host.config.tcp_early_retrans = 0
    tcb.options.nodelay = True
    for _ in range(3):
        write(host, tcb, 100)
    block = SackBlock(add(tcb.snd_una, 100), add(tcb.snd_una, 200))
    host.inject(T0, flags=ACK, seq=1001, ack=peer.snd_nxt, options=Options(sack=(block,)))
    assert time_out(host, tcb) == [(0, 100, PSH | ACK)]


def test_a_fin_keeps_to_the_congestion_window() -> None:
    host, tcb, peer = sender(Options(mss=MSS))
    write(host, tcb, 10 * MSS)
    host.tcp.shutdown(tcb, read=False, write=True)
    host.tcp.flush(T0)
    assert host.sent() == []
    (fin,) = host.inject(T0, flags=ACK, seq=1001, ack=peer.snd_nxt + MSS)
    assert fin.flags == FIN | ACK
    assert fin.seq == add(peer.snd_nxt, 10 * MSS)


# --- the size of a full segment changes amid a flight -------------------------------------------


def sent_in_halves(length: int, *, sack: bool = True) -> tuple[Host, Tcb, Peer]:
    """Send text in segments of half a small window; then the peer opens its window wide."""
    peer = Peer("LISTEN", 1000)
    host, options = peer.host, Options(mss=MSS, sack_permitted=sack)
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, wnd=1200, options=options)
    peer.snd_nxt, peer.rcv_nxt = syn_ack.seq + 1, 1001
    host.inject(T0, flags=ACK, seq=1001, ack=peer.snd_nxt, wnd=1200)
    tcb = host.tcp.accept(peer.listener)
    assert tcb is not None
    tcb.options.nodelay = True
    assert [len(s.text) for s in write(host, tcb, length)] == [600, length - 600]
    answer(host, peer)
    assert tcb.effective_mss == MSS
    return host, tcb, peer


def answer(host: Host, peer: Peer, *blocks: tuple[int, int], ack: int = 0) -> list[int]:
    """Have the peer acknowledge; give the lengths of what is sent at once."""
    una = peer.snd_nxt
    sack = tuple(SackBlock(add(una, left), add(una, right)) for left, right in blocks)
    options = Options(sack=sack)
    sent = host.inject(T0, flags=ACK, seq=1001, ack=una + ack, wnd=9000, options=options)
    return [len(s.text) for s in sent]


@pytest.mark.parametrize(
    ("length", "last"), [(800, (600, 200, PSH | ACK)), (1100, (600, 500, PSH | ACK))]
)
def test_a_tail_loss_probe_is_the_last_segment_as_it_would_be_cut_now(
    length: int, last: tuple[int, int, int]
) -> None:
    host, tcb, _ = sent_in_halves(length)
    assert time_out(host, tcb) == [last]
    assert host.counters["TcpExtTCPLossProbes"] == 1


def test_what_was_sent_as_two_segments_is_sent_again_as_one_that_is_full_by_now() -> None:
    host, tcb, _ = sent_in_halves(800)
    host.config.tcp_early_retrans = 0
    time_out(host, tcb)
    assert time_out(host, tcb) == [(0, 800, PSH | ACK)]
    assert tcb.sent.packets_out == tcb.sent.in_flight == 1


def test_without_sack_the_head_that_is_lost_is_one_segment_as_it_was_cut() -> None:
    host, tcb, peer = sent_in_halves(1200, sack=False)
    assert answer(host, peer) == []
    for _ in range(2):
        write(host, tcb, MSS)
    assert [answer(host, peer) for _ in range(2)] == [[], [600]]
    assert tcb.sent.lost_out == 1


def test_a_block_takes_segments_as_they_were_cut() -> None:
    host, tcb, peer = sent_in_halves(1100)
    answer(host, peer, (600, 1100))
    assert [(s.sacked, s.text_length) for s in tcb.sent] == [(False, 600), (True, 500)]


def test_an_acknowledgment_counts_segments_as_they_were_cut() -> None:
    host, tcb, peer = sender(Options(mss=MSS))
    write(host, tcb, 4 * MSS)
    tcb.path_mtu = 300  # another connection has learnt it
    update_effective_mss(tcb)
    before = tcb.statistics.delivered
    answer(host, peer, ack=MSS)
    assert tcb.statistics.delivered - before == 1
    assert tcb.sent.packets_out == 3
