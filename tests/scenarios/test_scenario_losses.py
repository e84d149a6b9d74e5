"""Losses, delays and silences between programs on hosts, in virtual time, and what repairs cost.

MSS 1460 without timestamps, unless a test says otherwise; seeds are fixed.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from tapstack.base.units import Instant
from tapstack.device.parcel import Parcel
from tapstack.sim import MILLISECOND, SECOND, LossIf, Way
from tapstack.sim.ecn import mark
from tapstack.tcp.congestion.window import INFINITE_SSTHRESH
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.state import State
from tests.scenarios.lab import ALGORITHMS, FRAME, MSS, RTT, Road, flow, road_of

REDUCED = {"reno": 50, "cubic": 70}
"""What a window of 100 segments comes down to."""


def rough(road: Road) -> Way:
    return Way(delay=RTT // 2, impairments=[road])


# --- losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
def test_one_loss_in_a_hundred_costs_one_reduction_and_one_round_trip(name: str) -> None:
    road = Road(lose=lambda number: number == 1)
    with flow(rough(road), tcp_congestion_control=name) as bulk:
        bulk.begin_with(100)
        road_of(bulk)
        bulk.start_sending()
        start = bulk.wait(lambda: bulk.tcb.recovery.phase is Phase.RECOVERY)
        end = bulk.wait(lambda: bulk.tcb.recovery.phase is Phase.OPEN)
        assert end - start <= RTT
        assert bulk.window.ssthresh == REDUCED[name]
        assert bulk.window.cwnd == pytest.approx(REDUCED[name], abs=2)
        assert bulk.tcb.sent.in_flight == pytest.approx(REDUCED[name], abs=2)
        assert bulk.count("TcpRetransSegs") == bulk.count("TcpExtTCPSackRecovery") == 1


@pytest.mark.parametrize("losses", range(1, 51))
@pytest.mark.parametrize("gap", [1, 2])
def test_any_number_lost_in_one_window_is_repaired_in_two_round_trips(
    losses: int, gap: int
) -> None:
    """The first ones, or every other one, of a hundred."""
    road = Road(lose=lambda number: number <= losses * gap and number % gap == 1 % gap)
    with flow(rough(road)) as bulk:
        bulk.begin_with(100)
        road_of(bulk)
        bulk.send(100)
        start = bulk.wait(lambda: bulk.tcb.recovery.phase is Phase.RECOVERY)
        bulk.finish()
        assert bulk.world.now - start <= 2 * RTT
        assert bulk.tcb.recovery.phase is Phase.OPEN
        assert bulk.count("TcpRetransSegs") == losses
        assert bulk.count("TcpExtTCPTimeouts") == 0


# --- the tail -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [2, 3, 5, 9])
def test_a_lost_tail_is_probed_two_round_trips_after_the_last_acknowledgment(lost: int) -> None:
    road = Road(lose=lambda number: 10 - lost < number <= 10)
    with flow(rough(road)) as bulk:
        road_of(bulk)
        start = bulk.begin()
        bulk.transfer(10)
        probe, *others = bulk.times(start)[10:]
        assert probe == 3 * RTT
        assert len(others) == lost - 1
        # The probe's SACK shows the others to be lost; with nothing else in flight to clock them
        # out, one leaves at first, and twice as many each round trip (RFC 6937, PRR-SSRB).
        assert others == [4 * RTT, *[5 * RTT] * 2, *[6 * RTT] * 4, 7 * RTT][: len(others)]
        assert bulk.count("TcpExtTCPTimeouts") == 0


@pytest.mark.parametrize(
    ("rtt", "probe"),
    [(300 * MILLISECOND, 800 * MILLISECOND), (100 * MILLISECOND, 300 * MILLISECOND)],
)
def test_a_single_lost_segment_is_probed_after_the_longest_ack_delay_too(
    rtt: int, probe: int
) -> None:
    """2·SRTT + 200 ms, but no later than the RTO would come (RFC 8985 §7.2): SRTT + 4·RTTVAR."""
    road = Road(lose=lambda number: number == 1)
    with flow(Way(delay=rtt // 2, impairments=[road])) as bulk:
        road_of(bulk)
        start = bulk.begin()
        assert bulk.transfer(1) == probe + rtt // 2
        assert bulk.times(start) == [0, probe]
        assert bulk.count("TcpExtTCPTimeouts") == 0


# --- silence --------------------------------------------------------------------------------------


def test_a_black_hole_is_tried_ever_more_rarely_and_given_up() -> None:
    """Its program is told after 924.6 s, counted from the probe."""
    with flow(Way()) as bulk:
        start = bulk.begin()
        bulk.link.down()
        bulk.send(1)
        with pytest.raises(TimeoutError) as raised:
            bulk.sender.recv(1)
        assert raised.value.errno == errno.ETIMEDOUT
        gaps = [b - a for a, b in pairwise(bulk.times(start))]
        doubled = [200 * MILLISECOND << each for each in range(10)]
        assert gaps == pytest.approx(
            [200 * MILLISECOND, *doubled, *[120 * SECOND] * 5], abs=5 * MILLISECOND
        )
        elapsed = bulk.world.now - start - gaps[0]
        assert elapsed == pytest.approx(924.6 * SECOND, abs=10 * MILLISECOND)


@pytest.mark.parametrize("update_is_lost", [False, True])
def test_a_window_that_is_shut_for_ten_minutes_ends_nothing(update_is_lost: bool) -> None:
    deaf = {"on": False}
    back = Way(delay=RTT // 2, impairments=[LossIf(lambda octets: deaf["on"])])
    # With such a buffer all that the window offers finds memory, so that it shuts by being used up.
    with flow(back=back, reads=False, tcp_rmem=(4096, 120_000, 120_000)) as bulk:
        bulk.world.spawn(bulk.send, 1000)
        bulk.world.sleep(10)
        bulk.log.clear()
        bulk.world.sleep(600)
        assert bulk.tcb.state is State.ESTABLISHED
        probes = [s.time for s in bulk.log if s.host == "client" and s.direction.value == ">"]
        gaps = [b - a for a, b in pairwise(probes)]
        assert 4 <= len(probes) < 12
        assert all(b == pytest.approx(min(2 * a, 120 * SECOND), rel=0.1) for a, b in pairwise(gaps))
        assert bulk.departures() == []
        deaf["on"] = update_is_lost
        bulk.start_reading()
        bulk.world.sleep(1)
        assert bool(bulk.departures()) is not update_is_lost
        deaf["on"] = False
        begun = bulk.wait(lambda: bool(bulk.departures()), 121 * SECOND)
        assert begun - probes[-1] <= 120 * SECOND + 2 * RTT
        bulk.asked = 1000 * MSS
        bulk.finish()


# --- reordering -----------------------------------------------------------------------------------


def test_reordering_below_a_quarter_of_a_round_trip_causes_no_retransmission() -> None:
    """From when it is seen: until then, three segments that overtake one are a sign of loss."""
    road = Road(late=lambda number: RTT // 5 if number == 8 or number % 20 == 0 else 0)
    with flow(rough(road)) as bulk:
        road_of(bulk)
        bulk.transfer(10)
        bulk.transfer(500)
        assert bulk.tcb.statistics.reord_seen > 5
        assert bulk.count("TcpRetransSegs") == 0
        assert bulk.count("TcpExtTCPSackRecovery") == 0


def test_reordering_above_a_quarter_of_a_round_trip_is_learnt_and_costs_no_window() -> None:
    """Timestamps tell that what arrived late was the original: that is reordering."""
    road = Road(late=lambda number: RTT // 2 if number % 40 == 3 else 0)
    with flow(rough(road), tcp_congestion_control="reno", tcp_timestamps=True) as bulk:
        road_of(bulk)
        widest = bulk.tcb.rack.reo_wnd_mult
        for _ in range(10):
            bulk.transfer(100)
            widest = max(widest, bulk.tcb.rack.reo_wnd_mult)
        learnt = bulk.count("TcpRetransSegs")
        assert 0 < learnt < 20
        assert widest > 1
        bulk.world.sleep(1)
        assert bulk.window.ssthresh == INFINITE_SSTHRESH
        bulk.transfer(100)
        assert bulk.count("TcpRetransSegs") == learnt
        assert bulk.count("TcpExtTCPTimeouts") == 0


def test_without_timestamps_what_overtakes_is_taken_for_a_loss_and_taken_back() -> None:
    """A retransmission is acknowledged, as far as can be told; its D-SACK comes later."""
    road = Road(late=lambda number: RTT // 2 if number % 40 == 3 else 0)
    with flow(rough(road), tcp_congestion_control="reno") as bulk:
        road_of(bulk)
        bulk.transfer(100)
        bulk.world.sleep(1)
        assert bulk.tcb.statistics.reord_seen == 0
        assert bulk.count("TcpRetransSegs") == bulk.count("TcpExtTCPDSACKUndo") == 3
        assert bulk.window.ssthresh == INFINITE_SSTHRESH


@pytest.mark.parametrize("timestamps", [False, True])
def test_a_delay_beyond_the_timeout_costs_one_retransmission_and_no_window(
    timestamps: bool,
) -> None:
    with flow(tcp_congestion_control="reno", tcp_timestamps=timestamps) as bulk:
        bulk.transfer(10)
        cwnd, ssthresh = bulk.window.cwnd, bulk.window.ssthresh
        bulk.link.there.delay += bulk.tcb.rto() * 3 // 2
        bulk.send(200)
        bulk.link.there.delay = RTT // 2
        bulk.finish()
        bulk.world.sleep(1)
        assert bulk.count("TcpExtTCPTimeouts") == 1
        assert bulk.count("TcpRetransSegs") == 1
        assert bulk.window.cwnd >= cwnd
        assert bulk.window.ssthresh == ssthresh == INFINITE_SSTHRESH
        assert bulk.tcb.recovery.phase is Phase.OPEN


# --- marks ----------------------------------------------------------------------------------------


class OneMark:
    """Marks one full segment as having met congestion (RFC 3168 §5); an `Impairment`."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:
        self.left -= len(parcel.octets) == FRAME
        marked = mark(parcel) if self.left == 0 else None
        if marked is None:
            return (parcel,)
        self.left = -1
        return (marked,)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_one_mark_cuts_the_window_once_and_nothing_is_sent_again(name: str) -> None:
    way = Way(delay=RTT // 2, impairments=[OneMark(50)])
    with flow(way, tcp_ecn=1, tcp_congestion_control=name) as bulk:
        bulk.begin_with(100)
        bulk.send(1000)
        bulk.wait(lambda: bulk.tcb.recovery.phase is Phase.CWR)
        reduced = bulk.window.ssthresh
        assert reduced == pytest.approx(REDUCED[name], abs=2)
        end = bulk.wait(lambda: bulk.tcb.recovery.phase is Phase.OPEN)
        assert bulk.window.cwnd == pytest.approx(reduced, abs=2)
        bulk.finish()
        assert bulk.world.now > end
        assert bulk.window.ssthresh == reduced
        assert bulk.count("TcpRetransSegs") == 0
