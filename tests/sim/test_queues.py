"""Queues lose, or mark, exactly what their limits say."""

from itertools import pairwise
from random import Random

import pytest

from tapstack.sim import (
    MEGABIT,
    MILLISECOND,
    SECOND,
    CoDel,
    Direction,
    DropTail,
    GilbertElliott,
    Parcel,
    Queue,
    StepMarker,
    Way,
    World,
)
from tests.sim.worlds import Volley, transfer, two_hosts

ECT0, ECT1, CE = 2, 1, 3


def slow(queue: Queue) -> Way:
    """Give a link that takes 1 ms for a frame of 1000 octets."""
    return Way(rate=8 * MEGABIT, queue=queue)


def codepoints(volley: Volley) -> list[int]:
    """Give the ECN codepoint of each datagram that arrived."""
    headers = [each.datagram for each in volley.log if each.direction is Direction.IN]
    return [header.tos & 3 for header in headers if header is not None]


def test_a_full_queue_drops_its_tail() -> None:
    with World() as world, Volley(world, slow(DropTail(packets=3))) as volley:
        volley.fire(10)
        assert [number for number, _ in volley.arrivals()] == [0, 1, 2, 3]  # one is being sent
        assert volley.link.there.queue.dropped == 6
        assert volley.link.there.lost == 0


def test_a_queue_may_be_limited_in_octets() -> None:
    with World() as world, Volley(world, slow(DropTail(packets=None, octets=2500))) as volley:
        volley.fire(1, 1500)
        volley.fire(3, 1000)  # the last finds 2000 octets
        volley.fire(1, 500)
        volley.fire(1, 60)
        arrived = [1500, 1000, 1000, 500]
        volley.arrivals()
        assert [len(each.octets) for each in volley.log if each.host == "server"] == arrived
        assert volley.link.there.queue.dropped == 2


def test_each_direction_has_a_queue_of_its_own() -> None:
    way = slow(DropTail(packets=3))
    with World() as world:
        two_hosts(world, way)
        there, back = world.links[0].there.queue, world.links[0].back.queue
        assert len({id(there), id(back), id(way.queue)}) == 3


@pytest.mark.parametrize("tos", [ECT0, ECT1])
def test_a_step_marks_what_finds_too_many_waiting(tos: int) -> None:
    with World() as world, Volley(world, slow(StepMarker(3, packets=5)), tos=tos) as volley:
        volley.fire(10)
        assert [number for number, _ in volley.arrivals()] == [0, 1, 2, 3, 4, 5]
        assert codepoints(volley) == [tos] * 4 + [CE] * 2
        queue = volley.link.there.queue
        assert (queue.marked, queue.dropped) == (2, 4)
        counters = volley.sink.stack.counters
        assert counters["UdpInDatagrams"] == 6  # the header's checksum was kept right
        assert counters["IpInHdrErrors"] == 0


def test_a_step_drops_what_cannot_be_marked() -> None:
    with World() as world, Volley(world, slow(StepMarker(3))) as volley:
        volley.fire(10)
        assert [number for number, _ in volley.arrivals()] == [0, 1, 2, 3]
        assert (volley.link.there.queue.marked, volley.link.there.queue.dropped) == (0, 6)


def test_codel_lets_a_burst_pass() -> None:
    with World() as world, Volley(world, slow(CoDel()), tos=ECT0) as volley:
        volley.fire(90)  # gone within an interval
        assert len(volley.arrivals()) == 90
        assert CE not in codepoints(volley)


@pytest.mark.parametrize(("tos", "ecn"), [(0, True), (ECT0, False), (ECT0, True)])
def test_codel_warns_faster_and_faster_of_a_queue_that_stands(tos: int, ecn: bool) -> None:
    with World() as world, Volley(world, slow(CoDel(ecn=ecn, packets=None)), tos=tos) as volley:
        volley.fire(1300, every=500)  # twice what the link carries
        queue = volley.link.there.queue
        warned = queue.dropped + queue.marked
        # RFC 8289 §4.3: the first an interval after the wait passes the target; then the n-th
        # 100 ms / √n after the one before it: in 545 ms, about 10
        assert 8 <= warned <= 12
        assert (queue.marked > 0) is bool(tos and ecn)
        assert (queue.dropped > 0) is not bool(tos and ecn)


def waits(queue: Queue) -> tuple[float, float]:
    """Send a stream through a queue; give the median wait, µs, and the share of the rate used."""
    text = bytes(2_500_000)
    with World() as world:
        client, server = two_hosts(
            world, Way(rate=5 * MEGABIT, delay=20 * MILLISECOND, queue=queue)
        )
        log = world.links[0].log()
        transfer(world, client, server, text)
        sent: dict[int, int] = {}
        spent = []
        for each in log:
            if each.segment is None or not len(each.segment.text):
                continue
            if each.direction is Direction.OUT:
                sent[each.segment.seq] = each.time
            else:
                spent.append(each.time - sent[each.segment.seq] - 20 * MILLISECOND)
        used = len(text) * 8 / (5 * MEGABIT) / (world.now / SECOND)
    return sorted(spent)[len(spent) // 2], used


def test_codel_keeps_the_wait_of_a_stream_short_and_the_link_busy() -> None:
    wait, used = waits(CoDel())
    assert wait < 20 * MILLISECOND
    assert used > 0.85
    wait, used = waits(DropTail())
    assert wait > 100 * MILLISECOND
    assert used > 0.9


@pytest.mark.parametrize(
    ("to_bad", "to_good", "when_bad", "when_good"),
    [(0.01, 0.25, 1.0, 0.0), (0.05, 0.3, 0.6, 0.01), (0.2, 0.8, 1.0, 0.0)],
)
def test_bursty_loss_has_its_stationary_rate(
    to_bad: float, to_good: float, when_bad: float, when_good: float
) -> None:
    loss = GilbertElliott(to_bad, to_good, loss_when_bad=when_bad, loss_when_good=when_good)
    chance = Random(1)
    fates = [not loss(Parcel(b""), 0, chance) for _ in range(200_000)]
    bad = to_bad / (to_bad + to_good)
    expected = bad * when_bad + (1 - bad) * when_good
    assert loss.stationary_loss == pytest.approx(expected)
    assert sum(fates) / len(fates) == pytest.approx(expected, rel=0.04)
    if when_bad == 1:
        bursts = sum(now and not before for before, now in pairwise(fates))
        assert sum(fates) / bursts == pytest.approx(1 / to_good, rel=0.04)
