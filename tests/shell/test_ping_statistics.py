"""The closing lines of ping, to the letter of iputils."""

import pytest

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.shell.ping_statistics import Statistics, format_round_trip


def ping(times: list[int | None], *, interval: int = SECOND) -> Statistics:
    """Send a request for each time, which is the round trip in µs, or None where none came back."""
    statistics = Statistics()
    for index, time in enumerate(times):
        statistics.on_sent(index * interval)
        if time is not None:
            statistics.received += 1
            statistics.on_answer(1)
            statistics.on_round_trip(time)
    return statistics


def test_all_came_back() -> None:
    assert ping([65, 35]).render("10.0.0.2", flood=False) == (
        "--- 10.0.0.2 ping statistics ---\n"
        "2 packets transmitted, 2 received, 0% packet loss, time 1000ms\n"
        "rtt min/avg/max/mdev = 0.035/0.050/0.065/0.015 ms"
    )


def test_a_third_was_lost() -> None:
    assert "3 packets transmitted, 2 received, 33.3333% packet loss, time 2000ms" in ping(
        [100, None, 100]
    ).render("10.0.0.2", flood=False)


def test_nothing_came_back_but_errors() -> None:
    statistics = ping([None, None, None])
    statistics.errors = 3
    statistics.on_answer(3)
    assert statistics.render("10.0.0.9", flood=False) == (
        "--- 10.0.0.9 ping statistics ---\n"
        "3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2000ms\n"
        "pipe 3"
    )


def test_nothing_came_back_at_all() -> None:
    assert ping([None]).render("10.0.0.9", flood=False).endswith("100% packet loss, time 0ms\n")


def test_nothing_was_sent() -> None:
    assert "0 packets transmitted, 0 received\n" in Statistics().render("10.0.0.9", flood=False)


def test_what_came_twice_and_what_came_broken_are_counted_apart() -> None:
    statistics = ping([100])
    statistics.duplicates, statistics.corrupted = 2, 1
    text = statistics.render("10.0.0.2", flood=False)
    assert "1 packets transmitted, 1 received, +2 duplicates, +1 corrupted, 0% packet" in text


def test_a_flood_tells_its_pace_and_the_moving_average() -> None:
    text = ping([200] * 11, interval=300).render("10.0.0.2", flood=True)
    assert text.endswith(
        "rtt min/avg/max/mdev = 0.200/0.200/0.200/0.000 ms, ipg/ewma 0.300/0.200 ms"
    )


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0.000"),
        (65, "0.065"),
        (999, "0.999"),
        (1_234, "1.23"),
        (9_994, "9.99"),
        (9_995, "10.0"),
        (12_345, "12.3"),
        (99_949, "99.9"),
        (99_950, "100"),
        (1_234 * MILLISECOND, "1234"),
    ],
)
def test_longer_times_have_fewer_decimals(time: int, text: str) -> None:
    assert format_round_trip(time) == text
