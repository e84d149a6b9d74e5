"""What the algorithms make of ACKs and losses, driven directly (RFC 5681, RFC 9438)."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.congestion import ALGORITHMS
from tapstack.tcp.congestion.cubic import _cube_root
from tests.tcp.virtual_acks import Flow

NAMES = sorted(ALGORITHMS)
UNFRIENDLY = TcpConfig(cubic_tcp_friendliness=False)
NO_HYSTART = TcpConfig(cubic_hystart=False)


# --- slow start, which all share ---


@pytest.mark.parametrize("name", NAMES)
def test_slow_start_doubles_the_window_each_round_trip(name: str) -> None:
    flow = Flow(name, 10, config=NO_HYSTART)
    sent, rounds = 0, {}
    for number in range(1, 7):
        sent += flow.window.cwnd
        rounds[sent] = number
        flow.round()
    assert rounds == {10: 1, 30: 2, 70: 3, 150: 4, 310: 5, 630: 6}


@pytest.mark.parametrize("name", NAMES)
def test_an_ack_for_many_segments_counts_as_that_many(name: str) -> None:
    flow = Flow(name, 10)
    flow.acknowledge(flow.rtt, 10, packets=10)
    assert flow.window.cwnd == 20


@pytest.mark.parametrize("name", NAMES)
def test_slow_start_ends_exactly_at_ssthresh(name: str) -> None:
    flow = Flow(name, 10)
    flow.window.ssthresh = 12
    flow.acknowledge(flow.rtt, 10, packets=5)
    assert flow.window.cwnd == 12


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.sampled_from(["ack", "many", "loss", "timeout", "idle"]), max_size=40))
def test_the_window_is_never_empty_nor_grows_beyond_what_was_acknowledged(
    name: str, story: list[str]
) -> None:
    flow = Flow(name, 10)
    for event in story:
        before = flow.window.cwnd
        if event == "loss":
            flow.lose()
            assert flow.window.ssthresh >= 2
        elif event == "timeout":
            flow.window.ssthresh = flow.algorithm.ssthresh_after_loss(flow.now)
            flow.window.cwnd = 1
            flow.algorithm.on_timeout(flow.now)
        elif event == "idle":
            flow.algorithm.on_restart(3 * SECOND, flow.now)
            flow.now += 3 * SECOND
        else:
            packets = 1 if event == "ack" else before
            flow.acknowledge(flow.now + MILLISECOND, flow.una + before, packets)
            assert before <= flow.window.cwnd <= before + packets
        assert flow.window.cwnd >= 1


# --- Reno ---


def test_reno_grows_by_one_segment_for_each_window() -> None:
    flow = Flow("reno", 100)
    flow.window.ssthresh = 50
    for expected in (101, 102, 103):
        flow.round()
        assert flow.window.cwnd == expected


def test_reno_halves_the_window() -> None:
    flow = Flow("reno", 101)
    flow.lose()
    assert flow.window.ssthresh == 50


@pytest.mark.parametrize(("name", "window", "least"), [("reno", 3, 2), ("cubic", 2, 2)])
def test_ssthresh_is_at_least_two_segments(name: str, window: int, least: int) -> None:
    assert Flow(name, window).algorithm.ssthresh_after_loss(0) == least


@pytest.mark.parametrize(("period", "megabits"), [(1_000, 4.52), (10_000, 14.31)])
def test_reno_under_periodic_loss_has_the_throughput_of_the_formula(
    period: int, megabits: float
) -> None:
    flow = Flow("reno", 10, rtt=100 * MILLISECOND)
    flow.window.ssthresh = 2
    flow.run(lambda: flow.una % period == 0 and flow.una > 0)
    flow.lose()
    start, begun = flow.now, flow.una
    for _ in range(6):
        flow.run(lambda losing=flow.una + period: flow.una >= losing)  # type: ignore[misc]
        flow.lose()
    rate = (flow.una - begun) * 1460 * 8 / (flow.now - start)
    assert rate == pytest.approx(megabits, rel=0.1)


# --- CUBIC: RFC 9438's curve ---


def test_cubic_follows_its_curve() -> None:
    """W(0), W(K/4), W(K/2), W(K), W(3K/2) for W_max = 100: K = 4.217 s."""
    flow = Flow("cubic", 100, config=UNFRIENDLY)
    flow.lose()
    k = 4_217_163
    windows = [flow.window.cwnd]
    for at in (k // 4, k // 2, k, 3 * k // 2):
        flow.run(lambda at=at: flow.now >= at)  # type: ignore[misc]
        windows.append(flow.window.cwnd)
    assert windows == [pytest.approx(w, abs=1) for w in (70, 87.3, 96.2, 100, 103.8)]


@pytest.mark.parametrize(
    ("name", "window", "seconds"),
    [
        ("cubic", 100, 2.83),
        ("cubic", 500, 7.21),
        ("cubic", 1000, 9.09),
        ("reno", 100, 2.5),
        ("reno", 500, 12.5),
        ("reno", 1000, 25.0),
    ],
)
def test_the_time_to_come_back_after_one_loss(name: str, window: int, seconds: float) -> None:
    flow = Flow(name, window)
    flow.lose()
    back = flow.run(lambda: flow.window.cwnd >= window)
    assert back / SECOND == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("rtt", [20, 50, 200])
def test_far_from_renos_region_the_round_trip_does_not_matter(rtt: int) -> None:
    flow = Flow("cubic", 400, rtt=rtt * MILLISECOND, config=UNFRIENDLY)
    flow.lose()
    back = flow.run(lambda: flow.window.cwnd >= 400)
    assert back / SECOND == pytest.approx(6.69, rel=0.05)  # K = ∛(400·0.3/0.4)


def test_cubic_falls_to_seven_tenths() -> None:
    flow = Flow("cubic", 1000)
    flow.lose()
    assert flow.window.ssthresh == 700


def test_a_loss_below_the_last_one_leaves_room_to_newcomers() -> None:
    """RFC 9438 §4.7: W_max = cwnd·(1 + β)/2, so that the flat part comes earlier, and lower."""
    levels = {}
    for fast in (True, False):
        config = TcpConfig(cubic_tcp_friendliness=False, cubic_fast_convergence=fast)
        flow = Flow("cubic", 1000, config=config)
        flow.lose()
        flow.lose()  # at 700
        flow.run(lambda flow=flow: flow.now >= 6 * SECOND)  # type: ignore[misc]
        levels[fast] = flow.window.cwnd
    assert levels[False] > levels[True]
    assert levels[True] == pytest.approx(700 * 0.85, abs=2)


def test_without_friendliness_a_short_path_is_slower_than_reno() -> None:
    times = {}
    for friendly in (True, False):
        config = TcpConfig(cubic_tcp_friendliness=friendly)
        flow = Flow("cubic", 100, rtt=MILLISECOND, config=config)
        flow.lose()
        times[friendly] = flow.run(lambda: flow.window.cwnd >= 100)  # noqa: B023
    assert times[True] < times[False] / 10


def test_on_a_local_path_cubic_grows_as_reno_would_from_the_first_round_trip_on() -> None:
    flow = Flow("cubic", 6, rtt=200)
    flow.lose()
    assert flow.window.cwnd == 4
    for _ in range(40):
        flow.round()
    # RFC 9438 §4.3: α = 3·(1 − 0.7)/(1 + 0.7) = 0.53 segments a round trip.
    assert flow.window.cwnd == pytest.approx(4 + 40 * 0.53, abs=2)


def test_time_without_sending_does_not_count() -> None:
    """RFC 9438 §5.8: after a silence the window goes on from where the curve was."""
    busy, idle = (Flow("cubic", 500, config=UNFRIENDLY) for _ in range(2))
    for flow in (busy, idle):
        flow.lose()
        flow.run(lambda flow=flow: flow.now >= SECOND)  # type: ignore[misc]
    idle.now += 60 * SECOND
    idle.algorithm.on_restart(60 * SECOND, idle.now)
    for flow in (busy, idle):
        end = flow.now + SECOND
        flow.run(lambda flow=flow, end=end: flow.now >= end)  # type: ignore[misc]
    assert idle.window.cwnd == pytest.approx(busy.window.cwnd, abs=2)


def test_before_any_loss_growth_is_five_percent_a_round_trip_at_least() -> None:
    flow = Flow("cubic", 200)
    flow.window.ssthresh = 100
    flow.round()
    assert flow.window.cwnd == 210


def test_growth_is_half_a_window_a_round_trip_at_most() -> None:
    flow = Flow("cubic", 100, rtt=10 * SECOND)
    flow.lose()
    flow.round()
    assert flow.window.cwnd <= 70 * 3 // 2 + 1


def test_a_timeout_makes_cubic_forget_the_last_maximum() -> None:
    flow = Flow("cubic", 100)
    flow.lose()
    flow.algorithm.on_timeout(flow.now)
    start = flow.window.cwnd
    flow.round()
    assert flow.window.cwnd == start + start // 20  # as before any loss


def test_an_undone_loss_begins_a_curve_at_the_window_that_was_given_back() -> None:
    """As Linux does; RFC 9438 §4.9 would have it go on along the old one."""
    flow = Flow("cubic", 500, config=UNFRIENDLY)
    flow.lose()
    flow.run(lambda: flow.now >= 2 * SECOND)
    kept = flow.window.cwnd
    flow.lose()
    flow.window.cwnd, flow.window.ssthresh = kept, kept
    flow.run(lambda: flow.now >= 4 * SECOND)
    assert flow.window.cwnd == pytest.approx(kept + 0.4 * 2**3, abs=1)


@given(st.integers(1, 10**40))
def test_the_cube_root_is_exact(value: int) -> None:
    root = _cube_root(value)
    assert root**3 <= value < (root + 1) ** 3


# --- HyStart ---


def test_a_long_train_of_acks_ends_slow_start() -> None:
    """A bottleneck spreads the ACKs of a window over more than half a round trip."""
    flow = Flow("cubic", 60)
    flow.round()
    assert flow.window.ssthresh == 60 + 31  # after half of 51 ms
    assert flow.counters["TcpExtTCPHystartTrainDetect"] == 1
    assert flow.counters["TcpExtTCPHystartTrainCwnd"] == flow.window.ssthresh


def test_acks_in_one_burst_are_no_train() -> None:
    flow = Flow("cubic", 10)
    for _ in range(6):
        flow.round(spread=False)
    assert flow.window.cwnd == 640
    assert flow.counters["TcpExtTCPHystartTrainDetect"] == 0


@pytest.mark.parametrize(
    ("base", "grown", "ends"),
    [
        (20, 23, False),
        (20, 25, True),
        (80, 89, False),
        (80, 91, True),
        (200, 215, False),
        (200, 217, True),
    ],
)
def test_a_grown_delay_ends_slow_start(base: int, grown: int, ends: bool) -> None:
    """By an eighth of the least round trip, but 4 ms at least and 16 ms at most."""
    flow = Flow("cubic", 20, rtt=base * MILLISECOND)
    flow.round(spread=False)
    flow.rtt = grown * MILLISECOND
    flow.round(spread=False)
    assert flow.window.in_slow_start is not ends
    assert flow.counters["TcpExtTCPHystartDelayDetect"] == ends
    if ends:  # with the ninth sample of the round
        assert flow.counters["TcpExtTCPHystartDelayCwnd"] == 40 + 8


def test_a_small_window_is_left_alone() -> None:
    flow = Flow("cubic", 4)
    flow.round(spread=False)
    flow.rtt *= 3
    flow.round(spread=False)
    assert flow.window.cwnd == 16
    assert flow.window.in_slow_start


def test_hystart_can_be_switched_off() -> None:
    flow = Flow("cubic", 60, config=NO_HYSTART)
    flow.round()
    assert flow.window.cwnd == 120
    assert flow.window.in_slow_start
