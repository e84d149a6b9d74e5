"""The delivery rate of TCP_INFO: what the path gives, not what bursts look like."""

from __future__ import annotations

import pytest

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.info import TcpInfo
from tapstack.tcp.tcb import Tcb
from tests.tcp.pair import ROOMY, World

MS = MILLISECOND
WIDE = TcpConfig(tcp_wmem=ROOMY, tcp_rmem=(4096, 6291456, 6291456))


class Bottleneck:
    """A link that takes so many octets a second, one segment after the other."""

    def __init__(self, octets_per_second: int) -> None:
        self.pace = SECOND / octets_per_second
        self.free_at = 0.0
        self.world: World | None = None

    def __call__(self, octets: bytes, _: object) -> list[tuple[int, bytes]]:
        if self.world is None or len(octets) < 100:
            return [(0, octets)]
        self.free_at = max(self.free_at, self.world.now) + len(octets) * self.pace
        return [(int(self.free_at) - self.world.now, octets)]


def opened(octets_per_second: int, delay: int = 20 * MS) -> tuple[World, Tcb, Tcb]:
    link = Bottleneck(octets_per_second)
    world = World(delay=delay, fate=link, config=WIDE)
    link.world = world
    return world, *world.pair()


def info(world: World, tcb: Tcb) -> TcpInfo:
    return world.host_of(tcb).tcp.info(tcb, world.now)


def test_before_anything_was_sent_there_is_none() -> None:
    world, client, _ = opened(1_000_000)
    assert info(world, client).delivery_rate == 0
    assert info(world, client).app_limited == 1


@pytest.mark.parametrize("octets_per_second", [200_000, 1_000_000, 5_000_000])
def test_it_is_what_the_bottleneck_gives(octets_per_second: int) -> None:
    world, client, server = opened(octets_per_second)
    world.transfer(client, server, bytes(3_000_000))
    told = info(world, client)
    text = 1448 / (1448 + 32)
    assert told.delivery_rate == pytest.approx(octets_per_second * text, rel=0.05)


def test_a_user_who_has_more_to_send_does_not_limit_it() -> None:
    world, client, _ = opened(200_000)
    world.send(client, bytes(250_000))
    world.run(lambda: client.statistics.delivered > 40)
    assert client.unsent() > 0
    assert info(world, client).app_limited == 0


def test_a_user_who_sends_little_limits_it() -> None:
    world, client, server = opened(10_000_000)
    for _ in range(10):
        world.send(client, bytes(1448))
        world.run_for(100 * MS)
        world.receive(server)
    told = info(world, client)
    assert told.app_limited == 1
    assert told.delivery_rate == pytest.approx(1448 * SECOND // (40 * MS), rel=0.01)


def test_acks_that_come_in_a_burst_do_not_look_like_speed() -> None:
    world, client, server = opened(1_000_000)
    world.transfer(client, server, bytes(1_000_000))

    def bunch(octets: bytes, chance: object) -> list[tuple[int, bytes]]:
        """Delay ACKs so that all of each tenth of a second come at its end."""
        if len(octets) >= 100:
            assert isinstance(link, Bottleneck)
            return link(octets, chance)
        return [(-world.now % (100 * MS), octets)]

    link, world.fate = world.fate, bunch
    for _ in range(5):
        world.transfer(client, server, bytes(300_000))
        # The ACKs of each bunch, taken by themselves, would tell of any speed.
        assert info(world, client).delivery_rate < 1_350_000
