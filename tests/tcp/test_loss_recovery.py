"""Loss recovery: RACK-TLP (RFC 8985), F-RTO (RFC 5682), undo (RFC 3522, 3708), PRR (RFC 6937)."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable

import pytest

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.receive_space import make_room_for
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.segment import ACK, FIN, PSH, Segment
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.wire import parse
from tests.tcp.pair import ROOMY, A, World

RTT = 100 * MILLISECOND
MSS = 1448
WIDE = (1 << 20, 1 << 20, 1 << 20)
"""A receive buffer that never limits the sender, as `tcp_rmem`."""


class Road:
    """A link whose treatment of each segment with text, counted from the first, is told."""

    def __init__(self) -> None:
        self.texts = 0
        self.delay: Callable[[int], int] = lambda index: 0
        self.lose: Callable[[int], bool] = lambda index: False

    def __call__(self, octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        if not parse(octets).text:
            return [(0, octets)]
        self.texts += 1
        return [] if self.lose(self.texts) else [(self.delay(self.texts), octets)]

    def begin(self) -> None:
        """Count from here."""
        self.texts = 0


def established(
    rtt: int = RTT, config: TcpConfig | None = None, *, warm: int = 0
) -> tuple[World, Road, Tcb, Tcb]:
    """Connect over a road, and send `warm` segments, one a round trip, to know the path."""
    road = Road()
    world = World(delay=rtt // 2, fate=road, config=config)
    client, server = world.pair()
    for _ in range(warm):
        world.transfer(client, server, bytes(MSS))
        world.run(lambda: not client.sent)
    road.begin()
    return world, road, client, server


def sent_text(world: World, since: int) -> list[tuple[int, Segment]]:
    return [(when - since, seg) for when, who, seg in world.log if who == A and seg.text]


# --- the tail loss probe --------------------------------------------------------------------------


def test_a_lost_tail_is_probed_two_round_trips_after_the_last_acknowledgment() -> None:
    world, road, client, server = established()
    road.lose = lambda index: index in (9, 10)
    world.log.clear()
    start = world.now
    data = bytes(10 * MSS)
    assert world.transfer(client, server, data) == data
    times = [when for when, _ in sent_text(world, start)]
    probe = RTT + 2 * RTT
    assert times == [0] * 10 + [probe, probe + RTT]
    assert world.a.counters["TcpExtTCPLossProbes"] == 1
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


def test_a_single_segment_is_probed_no_later_than_its_timeout_would_come() -> None:
    world, road, client, server = established(rtt=300 * MILLISECOND, warm=20)
    road.lose = lambda index: index == 1
    world.log.clear()
    start = world.now
    rto, srtt = client.rtt.rto, client.rtt.srtt
    assert world.transfer(client, server, b"x") == b"x"
    assert [when for when, _ in sent_text(world, start)] == [0, min(rto, 2 * srtt + 200_000)]
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


def test_a_probe_is_new_text_where_there_is_some() -> None:
    world, road, client, _ = established()
    road.lose = lambda index: index >= 9
    client.window.cwnd = 10
    world.log.clear()
    start = world.now
    world.send(client, bytes(30 * MSS))
    client.window.cwnd = 2  # as if the window held back what follows
    world.run(lambda: world.a.counters["TcpExtTCPLossProbes"] == 1)
    _, probe = sent_text(world, start)[-1]
    assert probe.seq == (sent_text(world, start)[-2][1].end)


def test_a_probe_of_the_last_new_text_takes_the_fin_along() -> None:
    world, road, client, _ = established(warm=3)
    client.window.cwnd = 2
    road.lose = lambda index: True
    mark = len(world.log)
    world.send(client, bytes(2 * MSS + 100))
    world.close(client)
    world.run_for(3 * RTT)
    flights = [(len(each.text), each.flags) for _, who, each in world.log[mark:] if who == A]
    assert flights == [(MSS, ACK), (MSS, ACK), (100, ACK | PSH | FIN)]


def test_a_probe_that_repairs_the_loss_reduces_the_window_once() -> None:
    world, road, client, server = established(
        config=TcpConfig(tcp_congestion_control="reno", tcp_slow_start_after_idle=False)
    )
    road.lose = lambda index: index == 10
    world.transfer(client, server, bytes(10 * MSS))
    world.run(lambda: not client.sent)
    window = client.window.cwnd
    assert world.a.counters["TcpExtTCPLossProbeRecovery"] == 0
    # What follows is acknowledged beyond the probe: it was a loss then.
    world.transfer(client, server, bytes(MSS))
    world.run(lambda: not client.sent)
    assert world.a.counters["TcpExtTCPLossProbeRecovery"] == 1
    assert client.window.cwnd == window // 2
    assert client.recovery.phase is Phase.OPEN


def test_a_needless_probe_is_told_by_its_d_sack_and_costs_nothing() -> None:
    world, _, client, server = established()
    late = 3 * RTT

    def fate(octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        # Acknowledgments come late, so that the tail is probed though it has arrived.
        return [(0 if parse(octets).text else late, octets)]

    world.fate = fate
    window = client.window.cwnd
    world.transfer(client, server, bytes(10 * MSS))
    world.run(lambda: not client.sent)
    world.fate = None
    world.run_for(SECOND)
    world.transfer(client, server, bytes(MSS))
    world.run(lambda: not client.sent)
    assert world.a.counters["TcpExtTCPLossProbes"] == 1
    assert client.statistics.dsack_dups == 1
    assert world.a.counters["TcpExtTCPLossProbeRecovery"] == 0
    assert client.window.cwnd >= window


def test_a_second_probe_is_not_sent_and_puts_the_timeout_off_no_further() -> None:
    world, road, client, _ = established(warm=20)
    road.lose = lambda index: True
    world.log.clear()
    start = world.now
    world.send(client, bytes(2 * MSS))
    world.run_for(3 * RTT)
    world.send(client, bytes(MSS))  # which asks for a probe two round trips later
    world.run(lambda: world.a.counters["TcpExtTCPTimeouts"] == 1)
    world.next_instant()
    assert [when for when, _ in sent_text(world, start)] == [0, 0, 2 * RTT, 3 * RTT, 5 * RTT + 1]


def test_without_sack_there_is_no_probe() -> None:
    world, road, client, server = established(config=TcpConfig(tcp_sack=False))
    road.lose = lambda index: index == 10
    world.transfer(client, server, bytes(10 * MSS))
    assert world.a.counters["TcpExtTCPLossProbes"] == 0
    assert world.a.counters["TcpExtTCPTimeouts"] == 1


# --- RACK -----------------------------------------------------------------------------------------


def test_reordering_within_a_quarter_of_a_round_trip_causes_no_retransmission() -> None:
    world, road, client, server = established()
    road.delay = lambda index: RTT // 5 if index == 8 else 0
    data = bytes(10 * MSS)
    assert world.transfer(client, server, data) == data
    world.run(lambda: not client.sent)
    assert world.a.counters["TcpRetransSegs"] == 0
    assert client.statistics.reord_seen == 1


def test_a_segment_that_two_overtook_is_lost_a_quarter_of_a_round_trip_later() -> None:
    world, road, client, server = established()
    road.lose = lambda index: index == 8
    world.log.clear()
    start = world.now
    data = bytes(10 * MSS)
    assert world.transfer(client, server, data) == data
    assert [when for when, _ in sent_text(world, start)] == [0] * 10 + [RTT + RTT // 4]
    assert world.a.counters["TcpExtTCPSackRecovery"] == 1


def test_a_segment_that_three_overtook_is_lost_at_once() -> None:
    world, road, client, server = established()
    road.lose = lambda index: index == 7
    world.log.clear()
    start = world.now
    world.transfer(client, server, bytes(10 * MSS))
    assert [when for when, _ in sent_text(world, start)] == [0] * 10 + [RTT]


def test_a_lost_retransmission_is_found_without_a_timeout() -> None:
    world, _, client, server = established()
    second = client.snd_nxt + MSS
    seen = {"times": 0}

    def fate(octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        seg = parse(octets)
        seen["times"] += bool(seg.text) and seg.seq == second
        lost = seg.text and seg.seq == second and seen["times"] <= 2
        return [] if lost else [(0, octets)]

    world.fate = fate
    data = bytes(60 * MSS)
    assert world.transfer(client, server, data) == data
    assert world.a.counters["TcpExtTCPLostRetransmit"] == 1
    assert world.a.counters["TcpRetransSegs"] == 2
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


def test_much_reordering_is_undone_and_widens_the_reordering_window() -> None:
    world, road, client, server = established()
    # Seen to reorder, the path is given a quarter of a round trip, which is not enough here.
    road.delay = lambda index: RTT // 2 if index % 20 == 3 else 0
    widest = 1
    data = bytes(300 * MSS)
    got = bytearray()
    sent = 0
    while len(got) < len(data):
        if sent < len(data):
            sent += world.send(client, data[sent:])
        while text := world.receive(server):
            got += text
        widest = max(widest, client.rack.reo_wnd_mult)
        assert world.step()
    assert widest > 1
    assert world.a.counters["TcpExtTCPTimeouts"] == 0
    undone = ("FullUndo", "PartialUndo", "DSACKUndo")
    assert sum(world.a.counters[f"TcpExtTCP{name}"] for name in undone) >= 1


def test_a_reduction_for_reordering_alone_is_taken_back() -> None:
    world, road, client, server = established(warm=1)
    road.delay = lambda index: RTT // 2 if index == 2 else 0
    window, ssthresh = client.window.cwnd, client.window.ssthresh
    world.transfer(client, server, bytes(10 * MSS))
    world.run(lambda: not client.sent)
    assert world.a.counters["TcpRetransSegs"] == 1
    world.run_for(SECOND)
    assert client.window.cwnd >= window
    assert client.window.ssthresh == ssthresh


# --- timeouts that prove spurious -----------------------------------------------------------------


@pytest.mark.parametrize("timestamps", [True, False])
def test_a_delay_spike_costs_one_retransmission_and_no_window(timestamps: bool) -> None:
    world, road, client, server = established(
        config=TcpConfig(tcp_timestamps=timestamps, tcp_early_retrans=0), warm=3
    )
    passes_at = world.now + client.rtt.rto * 3 // 2
    road.delay = lambda index: max(0, passes_at - world.now)
    client.window.cwnd = 10
    ssthresh = client.window.ssthresh
    data = bytes(60 * MSS)
    assert world.transfer(client, server, data) == data
    assert world.a.counters["TcpExtTCPTimeouts"] == 1
    assert world.a.counters["TcpRetransSegs"] == 1
    assert client.window.ssthresh == ssthresh
    assert client.window.cwnd >= 10
    assert client.recovery.phase is Phase.OPEN
    assert world.a.counters["TcpExtTCPLossUndo"] == 1
    assert world.a.counters["TcpExtTCPSpuriousRTOs"] == (0 if timestamps else 1)


def test_a_real_timeout_is_not_undone() -> None:
    world, road, client, server = established(config=TcpConfig(tcp_early_retrans=0), warm=3)
    road.lose = lambda index: index <= 10
    client.window.cwnd = 10
    data = bytes(30 * MSS)
    assert world.transfer(client, server, data) == data
    assert world.a.counters["TcpExtTCPLossUndo"] == 0
    assert world.a.counters["TcpRetransSegs"] == 10
    assert client.window.ssthresh <= 10


def test_a_receiver_that_reneges_is_sent_all_of_it_again() -> None:
    world, road, client, server = established()
    road.lose = lambda index: index == 1
    world.send(client, bytes(5 * MSS))
    world.run(lambda: client.sent.sacked_out >= 3)
    server.reassembly = None  # the peer drops what it had SACKed (RFC 2018 §8)
    got = bytearray()
    while len(got) < 5 * MSS:
        while text := world.receive(server):
            got += text
        if len(got) < 5 * MSS:
            assert world.step()
    assert world.a.counters["TcpExtTCPSACKReneging"] == 1


# --- the window during recovery -------------------------------------------------------------------


def test_one_loss_in_a_hundred_ends_with_the_window_at_ssthresh() -> None:
    world, road, client, _ = established(
        config=TcpConfig(tcp_congestion_control="reno", tcp_rmem=WIDE, tcp_wmem=ROOMY), warm=1
    )
    client.window.cwnd = 100
    client.window.ssthresh = 100
    road.lose = lambda index: index == 1
    world.send(client, bytes(100 * MSS))
    world.run(lambda: client.recovery.phase is Phase.RECOVERY)
    began = world.now
    world.run(lambda: client.recovery.phase is Phase.OPEN)
    assert world.now - began <= RTT
    assert client.window.ssthresh == 50
    assert client.window.cwnd == 50
    assert world.a.counters["TcpRetransSegs"] == 1


@pytest.mark.parametrize("losses", [1, 2, 5, 10, 20, 50])
def test_many_losses_in_one_window_are_repaired_in_two_round_trips_without_a_timeout(
    losses: int,
) -> None:
    world, road, client, _ = established(config=TcpConfig(tcp_rmem=WIDE, tcp_wmem=ROOMY), warm=1)
    client.window.cwnd = 100
    client.window.ssthresh = 100
    road.lose = lambda index: index % 2 == 1 and index < 2 * losses
    world.send(client, bytes(100 * MSS))
    world.run(lambda: client.recovery.phase is Phase.RECOVERY)
    began = world.now
    world.run(lambda: client.recovery.phase is Phase.OPEN)
    assert world.now - began <= 2 * RTT
    assert world.a.counters["TcpRetransSegs"] == losses
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


# --- without SACK ---------------------------------------------------------------------------------


def test_without_sack_a_filled_hole_does_not_prove_a_timeout_spurious() -> None:
    """The ACK covers what was sent once, but that had arrived before the timeout."""
    world, road, client, server = established(
        config=TcpConfig(tcp_sack=False, tcp_timestamps=False, tcp_congestion_control="reno")
    )
    road.lose = lambda index: index == 1
    world.transfer(client, server, bytes(3 * client.effective_mss))
    world.run(lambda: not client.sent)
    assert world.a.counters["TcpExtTCPTimeouts"] == 1
    assert world.a.counters["TcpExtTCPLossUndo"] == 0
    assert world.a.counters["TcpExtTCPSpuriousRTOs"] == 0
    assert client.window.ssthresh == 5


def test_without_sack_what_arrives_beyond_a_gap_does_not_open_the_window() -> None:
    """RFC 5681 §2: an ACK that offers more would be no duplicate, and the peer would wait."""
    world, road, client, server = established(config=TcpConfig(tcp_sack=False))
    make_room_for(server, 1 << 20)  # as SO_RCVLOWAT does: the offer grows with what arrives
    road.lose = lambda index: index == 2
    lost = client.snd_nxt + MSS
    world.transfer(client, server, bytes(10 * MSS))
    duplicates = [seg.wnd for _, who, seg in world.log if who != A and seg.ack == lost]
    assert len(duplicates) == 1 + 8
    assert len(set(duplicates)) == 1
    assert world.a.counters["TcpExtTCPRenoRecovery"] == 1
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


def test_without_sack_late_duplicates_at_the_recovery_point_start_nothing() -> None:
    """RFC 6582 §4.1; what is in flight then was sent after everything had been acknowledged."""
    world, road, client, server = established(config=TcpConfig(tcp_sack=False))
    road.lose = lambda index: index == 1
    end = client.snd_nxt + 10 * MSS

    def fate(octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        seg = parse(octets)
        if not seg.text and seg.ack == end:
            return [(0, octets)] + [(RTT // 2, octets)] * 3
        return road(octets, random)

    world.fate = fate
    world.transfer(client, server, bytes(10 * MSS))
    world.run(lambda: not client.sent)
    assert client.snd_una == client.recovery.high_seq == end
    world.transfer(client, server, bytes(10 * MSS))
    world.run(lambda: not client.sent)
    assert world.a.counters["TcpRetransSegs"] == 1
    assert world.a.counters["TcpExtTCPRenoRecovery"] == 1
    assert client.recovery.phase is Phase.OPEN


# --- reports of duplicates ------------------------------------------------------------------------


def test_an_original_that_comes_after_newer_timestamps_is_reported_all_the_same() -> None:
    """PAWS drops it, but its sender is to learn that what it sent again was not lost."""
    world, road, client, server = established(warm=1)
    road.delay = lambda index: 3 * RTT if index == 2 else 0
    world.transfer(client, server, bytes(10 * MSS))
    world.run(lambda: not client.sent)
    world.transfer(client, server, bytes(10 * MSS))
    world.run_for(SECOND)
    assert world.b.counters["TcpExtPAWSEstab"] == 1
    assert world.a.counters["TcpRetransSegs"] == 1
    assert client.statistics.dsack_dups == 1
