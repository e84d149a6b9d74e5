"""A link takes the time that its rate and its length say, each way, and does what befalls it."""

import socket
from random import Random
from typing import Any

import pytest

from tapstack.base.units import Instant
from tapstack.sim import (
    GIGABIT,
    MEGABIT,
    MILLISECOND,
    SECOND,
    BlackHole,
    Corruption,
    Duplication,
    ListLoss,
    LossIf,
    Parcel,
    RandomLoss,
    Reordering,
    Way,
    World,
)
from tests.sim.worlds import PORT, Volley, transfer, two_hosts

DELAY = 5 * MILLISECOND


def test_a_frame_takes_its_transmission_and_its_way() -> None:
    way = Way(rate=8 * MEGABIT, delay=DELAY)
    with World() as world, Volley(world, way) as volley:
        volley.fire(3, 1000)
        assert volley.arrivals() == [(0, 6000), (1, 7000), (2, 8000)]
        pipe = volley.link.there
        assert (pipe.sent, pipe.delivered, pipe.lost, pipe.queue.dropped) == (3, 3, 0, 0)
        assert volley.link.back.sent == 0


def test_a_link_that_was_idle_begins_at_once() -> None:
    way = Way(rate=8 * MEGABIT, delay=DELAY)
    with World() as world, Volley(world, way) as volley:
        volley.fire(3, 1000, every=999)
        assert volley.arrivals() == [(0, 6000), (1, 6001), (2, 6002)]


def test_a_rate_that_microseconds_are_too_coarse_for_holds_in_the_long_run() -> None:
    with World() as world, Volley(world, Way(rate=3 * GIGABIT)) as volley:
        volley.fire(300, 1000)
        arrivals = volley.arrivals()
        assert [at for _, at in arrivals[:4]] == [2, 5, 8, 10]  # 2.67 µs each
        assert arrivals[-1] == (299, 800)


def test_without_a_rate_there_is_only_the_delay() -> None:
    with World() as world, Volley(world, Way(delay=DELAY)) as volley:
        volley.fire(3)
        assert volley.arrivals() == [(0, DELAY), (1, DELAY), (2, DELAY)]


def test_jitter_spreads_the_delay_and_keeps_the_order() -> None:
    way = Way(delay=DELAY, jitter=2 * MILLISECOND)
    with World() as world, Volley(world, way) as volley:
        volley.fire(300, every=5 * MILLISECOND)
        arrivals = volley.arrivals()
        assert [number for number, _ in arrivals] == list(range(300))
        delays = [delay for _, delay in arrivals]
        assert 3000 <= min(delays) < 3100
        assert 6900 < max(delays) <= 7000
        assert abs(sum(delays) / 300 - DELAY) < 150
        volley.log.clear()
        volley.fire(300)
        assert [number for number, _ in volley.arrivals()] == list(range(300))


def test_each_direction_has_its_own_parameters() -> None:
    with World() as world:
        client, server = world.host("client"), world.host("server")
        link = world.link(client, server, Way(delay=10_000), back=Way(delay=70_000))
        with server.create_server(("", PORT)):
            client.create_connection((server.address, PORT)).close()
            assert world.now == 80_000
            link.back.delay = 20_000
            before = world.now
            client.create_connection((server.address, PORT)).close()
            assert world.now - before == 30_000


def test_a_delay_that_falls_back_keeps_the_order() -> None:
    with World() as world, Volley(world, Way(delay=DELAY)) as volley:
        volley.link.there.delay = 500_000
        volley.fire(1)
        volley.link.there.delay = DELAY
        volley.fire(2)
        world.run_for(SECOND)
        volley.fire(3)
        assert [delay for _, delay in volley.arrivals()] == [500_000] * 3 + [DELAY] * 3


def test_a_rate_may_be_taken_away_and_given_while_frames_wait() -> None:
    with World() as world, Volley(world, Way(rate=8 * MEGABIT)) as volley:
        volley.fire(3, 1000)
        volley.link.there.rate = None
        volley.fire(5, 1000)
        assert [number for number, _ in volley.arrivals()] == [0, 1, 2, 0, 1, 2, 3, 4]
        volley.log.clear()
        volley.link.there.rate = 4 * MEGABIT
        volley.fire(2, 1000)
        assert volley.arrivals() == [(0, 2000), (1, 4000)]


def test_a_link_that_is_down_loses_what_is_on_it_and_what_is_sent() -> None:
    with World() as world, Volley(world, Way(delay=DELAY)) as volley:
        volley.fire(2)
        world.run_for(DELAY - 1)
        volley.link.down()
        volley.fire(3)
        world.run_for(1)
        volley.link.up()
        volley.fire(4)
        assert [number for number, _ in volley.arrivals()] == [0, 1, 2, 3]
        assert volley.link.there.lost == 2 + 3


def test_a_list_loses_exactly_the_frames_it_names() -> None:
    with World() as world, Volley(world, Way(impairments=[ListLoss([1, 3, 4])])) as volley:
        volley.fire(6)
        assert [number for number, _ in volley.arrivals()] == [1, 4, 5]
        assert volley.link.there.lost == 3


def test_a_list_may_count_only_some_frames() -> None:
    longer = ListLoss([2], which=lambda octets: len(octets) > 500)
    with World() as world, Volley(world, Way(impairments=[longer])) as volley:
        for length in (1000, 100, 100, 1001, 1002):
            volley.fire(1, length)
        volley.arrivals()
        arrived = [len(each.octets) for each in volley.log if each.host == "server"]
        assert arrived == [1000, 100, 100, 1002]


def test_frames_may_be_lost_for_what_they_are() -> None:
    way = Way(impairments=[LossIf(lambda octets: len(octets) == 77)])
    with World() as world, Volley(world, way) as volley:
        volley.fire(2, 77)
        volley.fire(1, 78)
        assert len(volley.arrivals()) == 1


@pytest.mark.parametrize("given", [None, b"octets", [b"octets"], 7])
def test_who_writes_an_impairment_is_told_what_it_is_to_give(given: Any) -> None:
    def mistaken(parcel: Parcel, now: Instant, chance: Random) -> Any:
        return given

    said = pytest.raises(TypeError, match=r"an impairment gives a list of parcels; .*mistaken")
    with World() as world, Volley(world, Way(impairments=[mistaken])) as volley, said:
        volley.fire(1)


def test_a_black_hole_takes_what_is_too_big_and_says_nothing() -> None:
    way = Way(impairments=[BlackHole(1400)])
    with World() as world, Volley(world, way) as volley:
        volley.fire(1, 14 + 1400)
        volley.fire(1, 14 + 1401)
        assert len(volley.arrivals()) == 1
        assert volley.source.stack.counters["IcmpInMsgs"] == 0


def test_chance_loses_the_share_that_it_should() -> None:
    with World(seed=3) as world, Volley(world, Way(impairments=[RandomLoss(0.2)])) as volley:
        volley.fire(2000)
        assert 340 < volley.link.there.lost < 460  # 400 ± 3.4 σ
        assert len(volley.arrivals()) == 2000 - volley.link.there.lost


def test_reordering_lets_later_frames_overtake() -> None:
    way = Way(delay=DELAY, impairments=[Reordering(0.1, by=2500)])
    with World(seed=1) as world, Volley(world, way) as volley:
        volley.fire(100, every=1000)
        arrivals = volley.arrivals()
        numbers = [number for number, _ in arrivals]
        late = [number for number, delay in arrivals if delay == DELAY + 2500]
        assert sorted(numbers) == list(range(100))
        assert 3 <= len(late) <= 20
        assert all(delay == DELAY for number, delay in arrivals if number not in late)
        assert late
        for each in set(late) - {number - 2 for number in late} - {98, 99}:
            assert numbers.index(each) == numbers.index(each + 2) + 1


def test_duplicates_arrive_together() -> None:
    way = Way(delay=DELAY, impairments=[Duplication(1.0), ListLoss([2])])
    with World() as world, Volley(world, way) as volley:
        volley.fire(2)
        assert volley.arrivals() == [(0, DELAY), (1, DELAY), (1, DELAY)]
        assert volley.link.there.delivered == 3


def test_every_corrupted_frame_is_noticed_and_counted() -> None:
    with World(seed=5) as world, Volley(world, Way(impairments=[Corruption(1.0)])) as volley:
        volley.fire(500, 100)
        assert len(volley.arrivals()) == 500
        counters = volley.sink.stack.counters
        assert counters["UdpInErrors"] + counters["IpInHdrErrors"] == 500
        assert counters["UdpInDatagrams"] == 0
        assert counters["IpInHdrErrors"] > 50


def test_a_stream_survives_all_of_it_together() -> None:
    text = bytes(range(256)) * 1000
    way = Way(
        rate=20 * MEGABIT,
        delay=DELAY,
        jitter=MILLISECOND,
        impairments=[RandomLoss(0.03), Duplication(0.03), Corruption(0.03), Reordering(0.03)],
    )
    with World(seed=11) as world:
        client, server = two_hosts(world, way)
        assert transfer(world, client, server, text) == text
        assert world.links[0].there.lost > 0


def test_a_link_with_arp_asks_first() -> None:
    with World() as world:
        client, server = world.host("client"), world.host("server")
        world.link(client, server, Way(delay=DELAY), arp=True)
        with server.create_server(("", PORT)):
            world.run(until=SECOND)  # the hosts have announced themselves, each to a stranger
            client.create_connection((server.address, PORT)).close()
            assert world.now == SECOND + 4 * DELAY


def test_with_offload_units_cross_whole() -> None:
    text = bytes(200_000)
    lengths = {}
    for offload in (False, True):
        with World() as world:
            client, server = world.host("client"), world.host("server")
            link = world.link(client, server, Way(delay=DELAY), offload=offload)
            log = link.log()
            assert transfer(world, client, server, text) == text
            lengths[offload] = max(len(each.octets) for each in log)
    assert lengths[False] == 1514
    assert lengths[True] > 10_000


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_host_can_talk_to_itself(kind: int) -> None:
    with World() as world:
        host = world.host("alone")
        with host.socket(kind) as listener, host.socket(kind) as speaker:
            listener.bind(("127.0.0.1", PORT))
            if kind == socket.SOCK_STREAM:
                listener.listen()
            speaker.connect(("127.0.0.1", PORT))
            speaker.send(b"to myself")
            heard = listener.accept()[0] if kind == socket.SOCK_STREAM else listener
            assert heard.recv(100) == b"to myself"
            heard.close()
        assert world.now == 0


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"rate": 0}, {"rate": -1}, {"delay": -1}, {"jitter": -1}):
        with pytest.raises(ValueError, match=r"at least"):
            Way(**wrong)
    for chance in (-0.1, 1.1):
        with pytest.raises(ValueError, match="chance"):
            RandomLoss(chance)
    world = World()
    host = world.host("only")
    with pytest.raises(ValueError, match="already"):
        world.host("only")
    with pytest.raises(ValueError, match="no link"):
        _ = host.address
    with pytest.raises(ValueError, match="no neighbour"):
        host.add_route("default", "10.0.0.9")


def test_hosts_that_know_each_other_send_nothing_of_their_own_accord() -> None:
    with World() as world:
        two_hosts(world)
        log = world.links[0].log()
        world.run_for(3600 * SECOND)
        assert log == []


@pytest.mark.parametrize("mtu", [-1, 0, 67, 65536])
def test_an_mtu_that_no_link_can_have(mtu: int) -> None:
    with World() as world:
        ends = world.host("a"), world.host("b")
        with pytest.raises(ValueError, match=f"an MTU of {mtu} is not between 68 and 65535"):
            world.link(*ends, mtu=mtu)
        assert not world.links
        world.link(*ends, mtu=68)


@pytest.mark.parametrize("name", ["rate", "delay", "jitter"])
def test_a_way_has_whole_numbers(name: str) -> None:
    fraction: Any = 2.5
    with pytest.raises(TypeError, match=f"the {name} of a way is a whole number of .*, not 2.5"):
        Way(**{name: fraction})
