"""The retransmission queue as SACK blocks cut it, and what of it is sent again."""

from __future__ import annotations

from time import process_time

import pytest

from tapstack.tcp.retransmission_queue import RetransmissionQueue, SentSegment
from tapstack.tcp.segment import ACK, FIN, PSH, SYN, Options, SackBlock, Segment
from tapstack.tcp.seq import add
from tapstack.tcp.tcb import Tcb
from tests.tcp.pair import Host
from tests.tcp.test_state_segment_grid import T0, Peer

MSS = 1000


def unit(packets: int, base: int = 0, tail: int = 0) -> RetransmissionQueue:
    """A queue of one unit of full segments, with a smaller one behind them."""
    queue = RetransmissionQueue()
    end = add(base, packets * MSS + tail)
    queue.append(SentSegment(base, end, 0, packets + (tail > 0), 0))
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
    queue.sack(SackBlock(add(base, block[0]), add(base, block[1])), MSS)
    got = [((s.seq - base) % 2**32, (s.end - base) % 2**32) for s in queue if s.sacked]
    assert got == sacked
    assert queue.packets_out == 6
    assert queue.sacked_out == sum(-(-(end - begin) // MSS) for begin, end in sacked)


def test_a_peer_that_acknowledges_single_octets_splits_nothing() -> None:
    queue = unit(10)
    for octet in range(1, 10 * MSS, 2):
        queue.sack(SackBlock(octet, octet + 1), MSS)
    assert len(queue.segments) == 1


def test_a_scoreboard_of_many_entries_costs_no_great_time_for_each_ack() -> None:
    """A peer of 48-octet segments, every second of which it acknowledges: 43,000 gaps."""
    host, tcb, peer = sender(Options(mss=48, sack_permitted=True, window_scale=14))
    tcb.window.cwnd = 100_000
    tcb.send_space = 1 << 22
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
