"""Retransmission (RFC 6298, 5681, 6582, 6675): when, how often, how much, and when to give up."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from errno import ETIMEDOUT
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.retransmission_queue import RetransmissionQueue
from tapstack.tcp.rtt import RttEstimator
from tapstack.tcp.segment import SYN, SackBlock
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.state import State
from tapstack.tcp.wire import parse
from tests.tcp.pair import World

RTO_MAX = 120 * SECOND


class Loss:
    """A link that loses what a rule picks, counting the segments with text."""

    def __init__(self) -> None:
        self.lose: Callable[[int], bool] = lambda index: False
        self.all = False
        self.texts = 0

    def __call__(self, octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        if self.all:
            return []
        if parse(octets).text:
            self.texts += 1
            if self.lose(self.texts):
                return []
        return [(0, octets)]


def estimator() -> RttEstimator:
    return RttEstimator(rto_min=200 * MILLISECOND, rto_max=RTO_MAX)


def test_the_first_sample_sets_srtt_and_half_of_it_as_variation() -> None:
    rtt = estimator()
    assert rtt.rto == SECOND
    rtt.sample(100 * MILLISECOND, 0, 0)
    assert rtt.srtt == 100 * MILLISECOND
    assert rtt.rttvar == 50 * MILLISECOND
    assert rtt.rto == 300 * MILLISECOND


def test_later_samples_are_smoothed_by_an_eighth_and_a_quarter() -> None:
    rtt = estimator()
    rtt.sample(800, 0, 0)
    rtt.sample(1600, 0, 0)
    assert rtt.srtt == 800 + (1600 - 800) // 8
    assert rtt.rttvar == 400 + (800 - 400) // 4


def test_a_round_trip_that_is_shorter_widens_the_variation_by_an_eighth_of_that() -> None:
    """As Linux has it: shorter ones are no sign that others will be longer."""
    rtt = estimator()
    rtt.sample(800, 0, 0)
    rtt.sample(0, 0, 0)
    assert rtt.srtt == 700
    assert rtt.rttvar == 400 + (800 - 400) // 4 // 8


def test_the_rto_rises_with_the_variation_at_once_and_comes_down_by_a_quarter_a_round_trip() -> (
    None
):
    rtt = estimator()
    rtt.sample(400 * MILLISECOND, 1, 1)
    assert rtt.variance == 800 * MILLISECOND
    for _ in range(9):
        rtt.sample(400 * MILLISECOND, 1, 9)
        assert rtt.variance == 800 * MILLISECOND, "still the first round trip"
    rtt.sample(400 * MILLISECOND, 2, 9)
    assert rtt.variance == 800 * MILLISECOND, "the largest of that one"
    rtt.sample(400 * MILLISECOND, 10, 20)
    assert rtt.variance == (800 - (800 - 200) // 4) * MILLISECOND
    rtt.sample(1400 * MILLISECOND, 15, 20)
    assert rtt.variance == rtt.rttvar_4 > SECOND


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50))
def test_the_rto_is_never_below_rtt_plus_200_ms_nor_above_two_minutes(samples: list[int]) -> None:
    rtt = estimator()
    for sample in samples:
        rtt.sample(sample, 0, 0)
        assert min(rtt.srtt + 200 * MILLISECOND, RTO_MAX) <= rtt.rto <= RTO_MAX


def test_a_black_hole_is_probed_ever_more_rarely_and_given_up_after_924_seconds() -> None:
    loss = Loss()
    world = World(delay=0, fate=loss)
    client, _ = world.pair()
    loss.all = True
    world.log.clear()
    start = world.now
    world.send(client, b"into the void")
    world.run(lambda: client.state is State.CLOSED)
    times = [(when - start) / SECOND for when, _, _ in world.log]
    gaps = [round(b - a, 1) for a, b in pairwise(times)]
    probe, *timeouts = gaps
    assert probe == 0.2
    assert timeouts == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4] + [120.0] * 5
    assert round((world.now - start) / SECOND - probe, 1) == 924.6
    assert client.error == ETIMEDOUT
    assert world.a.counters["TcpExtTCPAbortOnTimeout"] == 1


def test_a_user_timeout_ends_it_earlier() -> None:
    loss = Loss()
    world = World(fate=loss)
    client, _ = world.pair()
    client.options.user_timeout = 5000
    loss.all = True
    start = world.now
    world.send(client, b"into the void")
    world.run(lambda: client.state is State.CLOSED)
    assert 5 * SECOND <= world.now - start <= 13 * SECOND
    assert client.error == ETIMEDOUT


@pytest.mark.parametrize("sack", [True, False])
def test_one_loss_in_a_window_is_repaired_by_one_fast_retransmission(sack: bool) -> None:
    loss = Loss()
    world = World(delay=10 * MILLISECOND, fate=loss)
    world.a.config.tcp_sack = sack
    client, server = world.pair()
    loss.lose = lambda index: index == 20
    data = bytes(range(256)) * 400
    assert world.transfer(client, server, data) == data
    assert world.a.counters["TcpRetransSegs"] == 1
    assert world.a.counters["TcpExtTCPTimeouts"] == 0
    name = "TcpExtTCPSackRecovery" if sack else "TcpExtTCPRenoRecovery"
    assert world.a.counters[name] == 1


@pytest.mark.parametrize("losses", [2, 5, 10])
def test_several_losses_in_one_window_are_repaired_without_a_timeout(losses: int) -> None:
    loss = Loss()
    world = World(delay=10 * MILLISECOND, fate=loss)
    client, server = world.pair()
    loss.lose = lambda index: 40 <= index < 40 + 2 * losses and index % 2 == 0
    data = bytes(range(256)) * 1500
    assert world.transfer(client, server, data) == data
    assert world.a.counters["TcpRetransSegs"] == losses
    assert world.a.counters["TcpExtTCPTimeouts"] == 0
    assert world.a.counters["TcpExtTCPSackRecovery"] == 1


@pytest.mark.parametrize("sack", [True, False])
def test_a_loss_halves_the_window_once(sack: bool) -> None:
    loss = Loss()
    world = World(delay=10 * MILLISECOND, fate=loss)
    world.a.config.tcp_sack = sack
    world.a.config.tcp_congestion_control = "reno"
    client, _ = world.pair()
    seen: dict[str, int] = {}

    def lose(index: int) -> bool:
        if index == 25:
            seen["cwnd"] = client.window.cwnd
        return index == 25

    loss.lose = lose
    data = b"y" * 60_000
    sent = world.send(client, data)
    assert sent == len(data)
    world.run(lambda: client.recovery.phase is Phase.RECOVERY)
    before = client.recovery.prr.prior_cwnd
    assert before >= seen["cwnd"]
    assert client.window.ssthresh == before // 2
    world.run(lambda: not client.sent)
    world.send(client, b"z")  # without SACK, only what lies beyond the recovery point ends it
    world.run(lambda: client.recovery.phase is Phase.OPEN)
    assert client.window.cwnd in (client.window.ssthresh, client.window.ssthresh + 1)


def test_a_timeout_begins_again_with_one_segment() -> None:
    loss = Loss()
    world = World(delay=10 * MILLISECOND, fate=loss)
    world.a.config.tcp_congestion_control = "reno"
    client, _ = world.pair()
    world.send(client, b"z" * 100_000)
    loss.all = True
    flight = client.sent.packets_out
    world.run(lambda: world.a.counters["TcpExtTCPTimeouts"] == 1)
    assert client.window.cwnd == 1
    assert client.window.ssthresh == max(flight // 2, 2)
    assert client.recovery.phase is Phase.LOSS


def test_karn_no_sample_is_taken_of_a_retransmitted_segment_without_timestamps() -> None:
    loss = Loss()
    world = World(delay=MILLISECOND, fate=loss)
    world.a.config.tcp_timestamps = False
    client, server = world.pair()
    srtt = client.rtt.srtt
    loss.lose = lambda index: index == 1
    assert world.transfer(client, server, b"once") == b"once"
    world.run_for(SECOND)
    assert world.a.counters["TcpRetransSegs"] == 1
    assert client.rtt.srtt == srtt


def test_slow_start_doubles_the_window_each_round_trip_from_ten() -> None:
    world = World(delay=50 * MILLISECOND)
    client, server = world.pair()
    world.send(server, b"")  # nothing: the server only reads
    world.log.clear()
    start = world.now
    data = b"s" * (client.effective_mss * 70)
    assert world.transfer(client, server, data) == data
    rounds: dict[int, int] = {}
    for when, sender, segment in world.log:
        if sender == client.local.address and segment.text:
            rounds[(when - start) // (100 * MILLISECOND)] = (
                rounds.get((when - start) // (100 * MILLISECOND), 0) + 1
            )
    assert list(rounds.values()) == [10, 20, 40]


UNIT = st.tuples(st.integers(1, 40), st.sampled_from([10, 10, 7, 15]))
"""Octets of text, and of each of its segments."""
EDGES = st.tuples(st.integers(0, 400), st.integers(0, 400))


@given(
    st.lists(UNIT, min_size=1, max_size=12),
    st.lists(
        st.one_of(
            st.tuples(st.just("ack"), EDGES),
            st.tuples(st.just("sack"), EDGES),
            st.tuples(st.just("lost"), EDGES),
            st.tuples(st.just("resend"), EDGES),
        ),
        max_size=30,
    ),
    st.sampled_from([0, 2**32 - 100, 2**31 - 7]),
)
def test_the_counts_of_the_scoreboard_are_always_those_of_its_entries(
    units: list[tuple[int, int]], steps: list[tuple[str, tuple[int, int]]], base: int
) -> None:
    queue = RetransmissionQueue()
    end = 0
    for length, size in units:
        seq = (base + end) % 2**32
        end += length
        queue.append(SentSegment(seq, (base + end) % 2**32, 0, size, 0))
    una = 0
    for what, (a, b) in steps:
        left, right = sorted((a, b))
        if what == "ack" and una < right <= end:
            queue.acknowledge((base + right) % 2**32)
            una = right
        elif what == "sack" and una <= left < right <= end:
            block = SackBlock((base + left) % 2**32, (base + right) % 2**32)
            queue.sack(block)
        elif what == "lost":
            for segment in list(queue)[left % 7 : right % 9]:
                if not segment.sacked:
                    queue.mark_lost(segment)
        elif what == "resend" and (index := queue.first_lost()) is not None:
            queue.resize(queue.segments[index], 10)
            if queue.segments[index].packets > 1:
                queue.split_packets(index, 1)
            queue.mark_retransmitted(queue.segments[index], 1)
        entries = list(queue)
        assert queue.packets_out == sum(s.packets for s in entries)
        assert queue.sacked_out == sum(s.packets for s in entries if s.sacked)
        assert queue.lost_out == sum(s.packets for s in entries if s.lost)
        assert queue.retrans_out == sum(s.packets for s in entries if s.retransmitted)
        assert not any(s.sacked and (s.lost or s.retransmitted) for s in entries)
        covered = sum((s.end - s.seq) % 2**32 for s in entries)
        assert covered == end - una


@pytest.mark.parametrize(("lost", "cwnd"), [(1, 10), (2, 1)])
def test_a_lost_syn_does_not_end_slow_start_but_two_begin_it_with_one_segment(
    lost: int, cwnd: int
) -> None:
    seen = {"syns": 0}

    def fate(octets: bytes, chance: random_module.Random) -> list[tuple[int, bytes]]:
        if parse(octets).flags == SYN:
            seen["syns"] += 1
            return [] if seen["syns"] <= lost else [(0, octets)]
        return [(0, octets)]

    world = World(delay=10 * MILLISECOND, fate=fate)
    client, _ = world.pair()
    assert client.window.cwnd == cwnd
    assert client.window.in_slow_start
    assert client.recovery.phase is Phase.OPEN
    assert client.rtt.srtt == 20 * MILLISECOND  # told by the timestamp


def test_a_timeout_amid_fast_recovery_does_not_reduce_ssthresh_again() -> None:
    loss = Loss()
    world = World(delay=10 * MILLISECOND, fate=loss)
    client, _ = world.pair()
    loss.lose = lambda index: index == 5
    world.send(client, b"y" * 60_000)
    world.run(lambda: client.recovery.phase is Phase.RECOVERY)
    ssthresh = client.window.ssthresh
    loss.all = True
    world.run(lambda: client.recovery.phase is Phase.LOSS)
    assert client.window.ssthresh == ssthresh
