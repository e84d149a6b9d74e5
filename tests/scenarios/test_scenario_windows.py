"""Growth and use of the congestion window, between programs on hosts, in virtual time.

MSS 1460 without timestamps, as there are no options on segments with text; seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tapstack.sim import MEGABIT, MILLISECOND, SECOND, RandomLoss, Way
from tapstack.tcp.recovery_state import Phase
from tests.scenarios.lab import (
    ALGORITHMS,
    BOTTLENECK,
    FRAME,
    MSS,
    RTT,
    Flow,
    Road,
    bottleneck,
    flow,
    flows,
    road_of,
)

pytestmark = pytest.mark.slow

ONE_BY_ONE = {"max_segment_unit": 1500}
"""Segments leave one by one, as without segmentation offload: none waits to leave with others."""


# --- growth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(
    ("packets", "rounds"), [(10, 1), (30, 2), (70, 3), (150, 4), (310, 5), (630, 6)]
)
def test_slow_start_sends_so_many_packets_in_so_many_rounds(
    name: str, packets: int, rounds: int
) -> None:
    with flow(tcp_congestion_control=name, **ONE_BY_ONE) as bulk:
        start = bulk.begin()
        assert bulk.transfer(packets) == rounds * RTT - RTT // 2
        sizes = [bulk.times(start).count(each * RTT) for each in range(rounds)]
        assert sizes == [10 << each for each in range(rounds)]


@pytest.mark.parametrize(("period", "megabits"), [(1_000, 4.52), (10_000, 14.31)])
def test_reno_under_periodic_loss_has_the_throughput_of_the_formula(
    period: int, megabits: float
) -> None:
    """W = 1.22/√p, over one whole period."""
    highest = round((8 / 3 * period) ** 0.5)
    road = Road(lose=lambda number: number in (300, 300 + period))
    with flow(Way(delay=RTT // 2, impairments=[road]), tcp_congestion_control="reno") as bulk:
        bulk.begin_with(highest)
        road_of(bulk)
        bulk.start_sending()
        ends = []
        for reductions in (1, 2):
            at = bulk.wait(lambda n=reductions: bulk.count("TcpExtTCPSackRecovery") == n)  # type: ignore[misc]
            ends.append((at, bulk.read))
        (start, before), (end, after) = ends
        assert (after - before) * 8 / (end - start) == pytest.approx(megabits, rel=0.1)


@contextmanager
def after_one_loss(name: str, window: int, rtt: int, **settings: object) -> Iterator[Flow]:
    """Lose the first of a full window, and wait until the window is being reduced."""
    way = Way(delay=rtt // 2, impairments=[Road(lose=lambda number: number == 1)])
    with flow(way, tcp_congestion_control=name, **settings) as bulk:
        bulk.begin_with(window)
        road_of(bulk)
        bulk.start_sending()
        bulk.wait(lambda: bulk.window.ssthresh < window)
        yield bulk


def test_cubic_follows_its_curve() -> None:
    """W(0), W(K/4), W(K/2), W(K), W(3K/2) for W_max = 100, K = 4.217 s."""
    k = 4_217_163
    with after_one_loss("cubic", 100, RTT, cubic_tcp_friendliness=False) as bulk:
        start = bulk.wait(lambda: bulk.tcb.recovery.phase is Phase.OPEN)
        windows = [bulk.window.cwnd]
        for at in (k // 4, k // 2, k, 3 * k // 2):
            bulk.world.run(until=start + at)
            windows.append(bulk.window.cwnd)
        assert windows == [pytest.approx(w, abs=1) for w in (70, 87.3, 96.2, 100, 103.8)]


@pytest.mark.parametrize(("name", "seconds"), [("cubic", 2.83), ("reno", 2.5)])
def test_the_time_to_come_back_to_100_segments_after_one_loss(name: str, seconds: float) -> None:
    with after_one_loss(name, 100, 50 * MILLISECOND, **ONE_BY_ONE) as bulk:
        start = bulk.wait(lambda: bulk.tcb.recovery.phase is Phase.OPEN)
        back = bulk.wait(lambda: bulk.window.cwnd >= 100)
        assert (back - start) / SECOND == pytest.approx(seconds, rel=0.1)


# --- use ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_bottleneck_is_kept_busy(name: str) -> None:
    """10 Mb/s, 40 ms, a buffer of one bandwidth-delay product: 95 % from the first loss on."""
    with flow(BOTTLENECK, tcp_congestion_control=name) as bulk:
        bulk.start_sending()
        octets = bulk.read_between(2 * SECOND, 8 * SECOND)
        assert octets * 8 / 6 * FRAME / MSS >= 0.95 * 10e6
        assert bulk.link.there.queue.dropped > 0
        assert bulk.count("TcpExtTCPTimeouts") == 0


@pytest.mark.parametrize("name", ALGORITHMS)
def test_two_equal_flows_share_the_bottleneck(name: str) -> None:
    """2 Mb/s, 80 ms, one bandwidth-delay product; the second comes ten seconds later."""
    way = bottleneck(2 * MEGABIT, 80 * MILLISECOND, 1.0)
    with flows(2, way, tcp_congestion_control=name) as (first, second):
        first.start_sending()
        second.start_sending(after=10 * SECOND)
        first.world.run(until=60 * SECOND)
        before = [first.read, second.read]
        first.world.run(until=120 * SECOND)
        rates = [first.read - before[0], second.read - before[1]]
        jain = sum(rates) ** 2 / 2 / sum(rate**2 for rate in rates)
        assert jain >= 0.95
        assert sum(rates) * 8 / 60 * FRAME / MSS >= 0.95 * 2e6


def test_lost_acknowledgments_cost_little() -> None:
    """Of 30 % the stream hardly takes notice: what comes later acknowledges as much."""
    goodput = []
    for loss in (0.0, 0.3):
        back = Way(delay=BOTTLENECK.delay, impairments=[RandomLoss(loss)])
        with flow(BOTTLENECK, back=back) as bulk:
            bulk.start_sending()
            goodput.append(bulk.read_between(bulk.world.now, 6 * SECOND))
            assert bulk.count("TcpExtTCPTimeouts") == 0
    assert goodput[1] >= 0.9 * goodput[0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_after_a_silence_no_more_than_the_initial_window_leaves_at_once(name: str) -> None:
    with flow(tcp_congestion_control=name) as bulk:
        bulk.transfer(300)
        assert bulk.window.cwnd > 100
        bulk.world.sleep(60)
        start = bulk.begin()
        bulk.transfer(400)
        assert bulk.times(start).count(0) == 10


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_program_that_sends_little_earns_no_window(name: str) -> None:
    with flow(tcp_congestion_control=name) as bulk:
        for _ in range(50):
            bulk.transfer(2)
        start = bulk.begin()
        bulk.transfer(100)
        assert bulk.times(start).count(0) == 10
