"""Frames on the wire arrive in order, unless they come late, and what befalls them adds up."""

from random import Random

from tapstack.device.disorder import Duplication, Reordering
from tapstack.device.flight import Flight
from tapstack.device.loss import ListLoss
from tapstack.device.parcel import Impairment, Parcel


def flight(*impairments: Impairment, jitter: int = 0, limit: int | None = None) -> Flight:
    return Flight(delay=100, jitter=jitter, impairments=impairments, chance=Random(1), limit=limit)


def arrivals(wire: Flight) -> list[tuple[int, bytes]]:
    arrived = []
    while (now := wire.next_deadline()) is not None:
        assert wire.take(now - 1) is None
        parcel = wire.take(now)
        assert parcel is not None
        arrived.append((now, parcel.octets))
    return arrived


def test_impairments_befall_what_those_before_left() -> None:
    double_then_lose = flight(Duplication(1), ListLoss([1, 4]))
    lose_then_double = flight(ListLoss([1, 4]), Duplication(1))
    for wire in (double_then_lose, lose_then_double):
        for number in range(2):
            wire.put(Parcel(bytes([number])), 0)
    assert arrivals(double_then_lose) == [(100, b"\0"), (100, b"\1")]
    assert double_then_lose.lost == 0  # of each frame one copy came
    assert arrivals(lose_then_double) == [(100, b"\1"), (100, b"\1")]
    assert lose_then_double.lost == 1


def test_a_frame_that_comes_late_does_not_hold_up_others() -> None:
    wire = flight(Reordering(1, by=50), Reordering(1, by=7))
    wire.put(Parcel(b"late"), 0)
    wire.impairments.clear()
    wire.put(Parcel(b"on time"), 10)
    assert arrivals(wire) == [(110, b"on time"), (157, b"late")]


def test_jitter_larger_than_the_delay_never_goes_back_in_time() -> None:
    wire = flight(jitter=1000)
    for now in range(0, 100_000, 5000):
        wire.put(Parcel(b""), now)
        ((due, _),) = arrivals(wire)
        assert now <= due <= now + 1100


def test_what_is_too_much_at_a_time_is_lost() -> None:
    wire = flight(limit=3)
    for number in range(5):
        wire.put(Parcel(bytes([number])), 0)
    assert arrivals(wire) == [(100, b"\0"), (100, b"\1"), (100, b"\2")]
    assert wire.lost == 2
