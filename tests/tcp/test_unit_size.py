"""How large units are, and which wait for the next ACK: Linux's automatic sizing of TSO."""

import pytest

from tapstack.base.units import MILLISECOND, Duration
from tapstack.tcp.config import TcpConfig
from tests.tcp.pair import World

MSS = 1448


def lengths(rtt: Duration, octets: int, **config: object) -> list[int]:
    """Give the lengths of the units that a first window of text leaves in."""
    world = World(delay=rtt // 2, config=TcpConfig(**config))  # type: ignore[arg-type]
    client, _ = world.pair()
    world.a.outbox.clear()
    sizes = []
    before = client.snd_nxt
    world.send(client, bytes(octets))
    for segment in client.sent:
        sizes.append(segment.text_length // MSS)
    assert client.snd_nxt != before
    return sizes


@pytest.mark.parametrize(
    ("rtt", "expected"),
    [
        (100 * MILLISECOND, [2, 2, 2, 2, 2]),  # two windows a round trip are 290 octets in 2⁻¹⁰ s
        (6 * MILLISECOND, [3, 3, 3, 1]),  # 4.9 KB in 2⁻¹⁰ s, and 65 KB >> 11
        (MILLISECOND, [5, 5]),  # half a window
    ],
)
def test_units_are_what_leaves_within_a_millisecond(rtt: Duration, expected: list[int]) -> None:
    assert lengths(rtt, 20 * MSS) == expected


def test_the_least_unit_is_a_setting() -> None:
    assert lengths(100 * MILLISECOND, 20 * MSS, tcp_min_tso_segs=5) == [5, 5]
