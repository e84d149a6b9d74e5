"""Timers and losses as RFC 6298, 5681, 3042 and 6582 require, with and without SACK."""

from __future__ import annotations

import pytest

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.segment import ACK, SYN, Options, Segment
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.wire import parse
from tests.tcp.pair import A, Host, World
from tests.tcp.test_loss_recovery import RTT, Road, sent_text
from tests.tcp.test_state_segment_grid import T0, Peer

MSS = 1000
PLAIN = TcpConfig(tcp_sack=False, tcp_timestamps=False)


# --- the retransmission timer (RFC 6298 §5) -----------------------------------------------------


def quiet(sack: bool = False) -> tuple[Peer, Host, Tcb]:
    """A connection with a peer of single segments, to whom ten may be sent."""
    peer = Peer("LISTEN", 1000)
    host = peer.host
    host.config.tcp_early_retrans = 0  # without probes, the timer is what RFC 6298 says
    options = Options(mss=MSS, sack_permitted=sack)
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, options=options)
    peer.snd_nxt, peer.rcv_nxt = syn_ack.seq + 1, 1001
    host.inject(T0, flags=ACK, seq=1001, ack=peer.snd_nxt)
    tcb = host.tcp.accept(peer.listener)
    assert tcb is not None
    return peer, host, tcb


def send(host: Host, tcb: Tcb, segments: int, now: int = T0) -> list[Segment]:
    host.tcp.send(tcb, bytes(segments * MSS), now)
    host.tcp.flush(now)
    return host.sent()


def acknowledge(peer: Peer, segments: int, now: int) -> list[Segment]:
    """Acknowledge so many segments from the first on."""
    ack = peer.snd_nxt + segments * MSS
    return peer.host.inject(now, flags=ACK, seq=peer.rcv_nxt, ack=ack)


def test_the_timer_runs_from_the_first_segment_and_anew_from_each_ack_until_none_is_left() -> None:
    peer, host, tcb = quiet()
    rto = tcb.rtt.rto
    assert tcb.retransmission_timer.deadline is None
    assert len(send(host, tcb, 2)) == 2
    assert tcb.retransmission_timer.deadline == T0 + rto
    send(host, tcb, 1, T0 + 10)
    assert tcb.retransmission_timer.deadline == T0 + rto, "what follows does not put it off"
    acknowledge(peer, 1, T0 + 50)
    assert tcb.retransmission_timer.deadline == T0 + 50 + tcb.rtt.rto
    acknowledge(peer, 1, T0 + 60)
    assert tcb.retransmission_timer.deadline == T0 + 50 + tcb.rtt.rto, "no news, no delay"
    acknowledge(peer, 3, T0 + 90)
    assert tcb.retransmission_timer.deadline is None


def test_a_timeout_sends_the_oldest_segment_and_doubles_the_timer() -> None:
    _, host, tcb = quiet()
    first, *_ = send(host, tcb, 5)
    rto, now = tcb.rtt.rto, T0
    for doublings in range(5):
        now += rto << doublings
        host.expire(now - 1)
        assert host.sent() == []
        host.expire(now)
        assert [s.seq for s in host.sent()] == [first.seq]


def test_the_doubling_lasts_until_something_new_is_acknowledged() -> None:
    peer, host, tcb = quiet()
    send(host, tcb, 5)
    for _ in range(3):
        deadline = host.timers.next_deadline()
        assert deadline is not None
        host.expire(deadline)
    assert tcb.rto() == tcb.rtt.rto << 3
    acknowledge(peer, 0, deadline + 10)
    assert tcb.rto() == tcb.rtt.rto << 3
    acknowledge(peer, 1, deadline + 20)
    assert tcb.rto() == tcb.rtt.rto << 3, "of what was sent twice no round trip is known (Karn)"
    acknowledge(peer, 5, deadline + 40)
    send(host, tcb, 1, deadline + 50)
    acknowledge(peer, 6, deadline + 60)
    assert tcb.rto() == tcb.rtt.rto


@pytest.mark.parametrize(("lost", "rto"), [(0, SECOND), (1, 3 * SECOND)])
def test_a_lost_syn_leaves_a_timeout_of_three_seconds_where_nothing_was_measured(
    lost: int, rto: int
) -> None:
    syns = {"lost": 0}

    def fate(octets: bytes, _: object) -> list[tuple[int, bytes]]:
        if parse(octets).flags == SYN and syns["lost"] < lost:
            syns["lost"] += 1
            return []
        return [(0, octets)]

    world = World(delay=MILLISECOND, fate=fate, config=PLAIN)
    client, _ = world.pair()
    if lost:
        assert client.rtt.rto == rto
    else:
        assert client.rtt.rto < rto


# --- duplicate ACKs without SACK ----------------------------------------------------------------


def test_the_first_two_duplicate_acks_let_new_text_go_and_the_third_has_the_lost_sent_again() -> (
    None
):
    """Limited transmit (RFC 3042), then fast retransmit (RFC 5681 §3.2)."""
    peer, host, tcb = quiet()
    sent = send(host, tcb, 30)
    assert len(sent) == 10
    answers = [acknowledge(peer, 0, T0 + n * 2 * MILLISECOND) for n in range(1, 4)]
    assert [[s.seq for s in answer] for answer in answers] == [
        [sent[-1].end],
        [(sent[-1].end + MSS) % 2**32],
        [sent[0].seq],
    ]
    assert tcb.window.ssthresh <= 7
    assert host.counters["TcpExtTCPTimeouts"] == 0


@pytest.mark.parametrize("losses", [1, 2, 3, 5])
def test_without_sack_one_loss_is_repaired_each_round_trip(losses: int) -> None:
    """NewReno (RFC 6582 §3.2): each partial ACK names the next hole."""
    road = Road()
    world = World(delay=RTT // 2, fate=road, config=PLAIN)
    client, server = world.pair()
    world.transfer(client, server, bytes(20 * 1460))
    world.run(lambda: not client.sent)
    road.begin()
    road.lose = lambda index: index % 2 == 1 and index < 2 * losses
    start = world.now
    world.log.clear()
    assert world.transfer(client, server, bytes(20 * 1460)) == bytes(20 * 1460)
    world.run(lambda: not client.sent)
    assert world.a.counters["TcpRetransSegs"] == losses
    assert world.a.counters["TcpExtTCPTimeouts"] == 0
    assert world.a.counters["TcpExtTCPRenoRecovery"] == 1
    counts: dict[int, int] = {}
    for _, segment in sent_text(world, start):
        counts[segment.seq] = counts.get(segment.seq, 0) + 1
    again = [when for when, s in sent_text(world, start) if counts[s.seq] == 2 and when > 0]
    assert again == [RTT * n for n in range(1, losses + 1)]


def test_what_was_sacked_is_not_sent_again() -> None:
    road = Road()
    world = World(delay=RTT // 2, fate=road)
    client, server = world.pair()
    road.begin()
    road.lose = lambda index: index in (1, 4, 6)
    assert world.transfer(client, server, bytes(10 * 1448)) == bytes(10 * 1448)
    lost = {client.iss + 1 + n * 1448 for n in (0, 3, 5)}
    seqs = [s.seq for _, who, s in world.log if who == A and s.text]
    again = {seq for seq in seqs if seqs.count(seq) > 1}
    assert again == {seq % 2**32 for seq in lost}
    assert client.state is State.ESTABLISHED
