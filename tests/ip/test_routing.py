"""Routes and the way of a datagram: longest prefix, metric, source address."""

import errno

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Network, parse_ipv4, parse_network
from tapstack.ip.routing import DEFAULT, Route, RoutingTable
from tests.ip.rig import BROADCAST, FAR, HOST, OTHER, US, FakeInterface, Rig

tap, eth = FakeInterface("tap0"), FakeInterface("eth0")
LOOPBACK = parse_ipv4("127.0.0.1")
LIMITED = 0xFFFFFFFF


def masked(address: int, length: int) -> Network:
    return Network(Network(address, length).prefix, length)


# Addresses that share prefixes of every length, so that routes nest.
addresses = st.one_of(
    st.integers(0, 32).map(lambda zeros: 0xFFFFFFFF << zeros & 0xFFFFFFFF),
    st.integers(0, 2**32 - 1),
)
routes = st.builds(
    lambda address, length, interface, metric: Route(
        masked(address, length), interface, metric=metric
    ),
    addresses,
    st.integers(0, 32),
    st.sampled_from([tap, eth]),
    st.integers(0, 2),
)


@given(
    st.lists(routes, unique_by=lambda route: (route.network, route.metric)),
    st.data(),
    st.lists(addresses, min_size=1),
)
def test_lookup_is_the_longest_prefix_then_the_lowest_metric(
    wanted: list[Route], data: st.DataObject, destinations: list[int]
) -> None:
    changes = []
    table = RoutingTable(lambda: changes.append(1), lambda _: True)
    for route in wanted:
        table.add(route)
    removed = data.draw(st.lists(st.sampled_from(wanted), unique=True) if wanted else st.just([]))
    for route in removed:
        table.remove(route)
    left = [route for route in wanted if route not in removed]
    assert len(changes) == len(wanted) + len(removed)
    assert sorted(map(str, table)) == sorted(map(str, left))
    for destination in destinations + [route.network.address for route in wanted]:
        matching = [route for route in left if destination in route.network]
        best = min(matching, key=lambda r: (-r.network.prefix_length, r.metric), default=None)
        assert table.lookup(destination) == best


@pytest.mark.parametrize(
    ("route", "line"),
    [
        (
            Route(parse_network("10.0.0.0/24"), tap, source=US, protocol="kernel"),
            "10.0.0.0/24 dev tap0 proto kernel scope link src 10.0.0.1",
        ),
        (Route(DEFAULT, tap, gateway=HOST), "default via 10.0.0.2 dev tap0"),
        (Route(parse_network("192.0.2.9/32"), tap), "192.0.2.9 dev tap0 scope link"),
        (
            Route(parse_network("192.0.2.0/24"), tap, HOST, metric=100, protocol="static"),
            "192.0.2.0/24 via 10.0.0.2 dev tap0 proto static metric 100",
        ),
    ],
)
def test_a_route_renders_as_ip_route_shows_it(route: Route, line: str) -> None:
    assert str(route) == line


@pytest.mark.parametrize(
    ("route", "number"),
    [
        (Route(Network(US, 24), tap), errno.EINVAL),
        (Route(parse_network("10.0.0.0/24"), tap), errno.EEXIST),
        (Route(DEFAULT, tap, gateway=FAR), errno.ENETUNREACH),
        (Route(DEFAULT, eth, gateway=HOST), errno.ENETUNREACH),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(route: Route, number: int) -> None:
    rig = Rig()
    with pytest.raises(OSError) as caught:  # noqa: PT011
        rig.ip.routes.add(route._replace(interface=rig.tap) if route.interface is tap else route)
    assert caught.value.errno == number
    assert len(list(rig.ip.routes)) == 1


@pytest.mark.parametrize(
    "gateway", ["10.0.0.1", "10.0.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "240.0.0.1"]
)
def test_a_gateway_is_another_host(gateway: str) -> None:
    rig = Rig()
    rig.ip.routes.add(Route(Network(parse_ipv4("224.0.0.0"), 3), rig.tap))  # all are neighbours
    before = list(rig.ip.routes)
    with pytest.raises(OSError, match=f"{gateway} is not another host's address") as refusal:
        rig.ip.routes.add(Route(DEFAULT, rig.tap, gateway=parse_ipv4(gateway)))
    assert refusal.value.errno == errno.EINVAL
    assert list(rig.ip.routes) == before


def test_a_route_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(ProcessLookupError):
        RoutingTable(lambda: None, lambda _: True).remove(Route(DEFAULT, tap))


def test_a_change_of_routes_takes_effect_at_once() -> None:
    rig = Rig()
    with pytest.raises(OSError, match="unreachable"):
        rig.ip.path_to(FAR)
    route = Route(DEFAULT, rig.tap, gateway=HOST)
    rig.ip.routes.add(route)
    rig.ip.send_datagram(17, 0, FAR, [b"x"], rig.now)
    assert rig.drain()[0].next_hop == HOST
    rig.ip.routes.remove(route)
    with pytest.raises(OSError, match="unreachable"):
        rig.ip.path_to(FAR)


@pytest.mark.parametrize(
    ("destination", "source"),
    [
        (HOST, US),
        (BROADCAST, US),
        (US, US),
        (LOOPBACK, LOOPBACK),
        (parse_ipv4("127.1.2.3"), LOOPBACK),
        (parse_ipv4("10.9.0.7"), parse_ipv4("10.9.0.1")),
        (FAR, US),
    ],
)
def test_the_source_is_our_address_towards_the_next_hop(destination: int, source: int) -> None:
    rig = Rig()
    rig.ip.add_address(rig.tap, parse_network("10.9.0.1/16"))
    rig.ip.routes.add(Route(DEFAULT, rig.tap, gateway=HOST))
    assert rig.ip.path_to(destination).source == source


def test_a_routes_own_source_is_preferred() -> None:
    rig = Rig()
    rig.ip.add_address(rig.tap, parse_network("10.9.0.1/16"))
    rig.ip.routes.add(Route(DEFAULT, rig.tap, gateway=HOST, source=parse_ipv4("10.9.0.1")))
    assert rig.ip.path_to(FAR).source == parse_ipv4("10.9.0.1")


def test_what_is_for_ourselves_goes_by_the_loopback() -> None:
    rig = Rig()
    for destination in (US, LOOPBACK, parse_ipv4("127.1.2.3")):
        rig.ip.send_datagram(99, 0, destination, [b"x"], rig.now)
        assert rig.lo.queue.pop().header.destination == destination
        assert rig.ip.path_to(destination).mtu == 65535
    assert not rig.tap.queue


def test_a_source_that_is_not_ours_is_refused() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        Rig().ip.path_to(HOST, OTHER)


def test_a_loopback_source_never_leaves_the_host() -> None:
    rig = Rig()
    assert rig.ip.path_to(US, LOOPBACK).source == LOOPBACK
    with pytest.raises(OSError, match="Invalid argument"):
        rig.ip.path_to(HOST, LOOPBACK)


def test_the_limited_broadcast_goes_where_our_source_lives() -> None:
    rig = Rig()
    with pytest.raises(OSError, match="unreachable"):
        rig.ip.send_datagram(17, 0, LIMITED, [b"x"], rig.now)
    rig.ip.send_datagram(17, US, LIMITED, [b"x"], rig.now)
    assert rig.drain()[0].next_hop == LIMITED


def test_a_group_is_addressed_itself_also_by_the_default_route() -> None:
    rig = Rig()
    rig.ip.routes.add(Route(DEFAULT, rig.tap, gateway=HOST))
    for group in (LIMITED, parse_ipv4("224.0.0.9")):
        rig.ip.send_datagram(17, 0, group, [b"x"], rig.now)
        (sent,) = rig.drain()
        assert (sent.next_hop, sent.header.source) == (group, US)


def test_an_address_is_taken_once() -> None:
    rig = Rig()
    rig.ip.add_address(rig.tap, Network(US, 24))
    assert len(list(rig.ip.routes)) == 1
    with pytest.raises(FileExistsError):
        rig.ip.add_address(FakeInterface("tap1"), Network(US, 24))


def test_a_second_address_of_a_network_shares_its_route() -> None:
    rig = Rig()
    rig.ip.add_address(rig.tap, Network(OTHER, 24))
    assert [str(route) for route in rig.ip.routes] == [
        "10.0.0.0/24 dev tap0 proto kernel scope link src 10.0.0.1"
    ]
    assert rig.ip.is_local(OTHER)


@pytest.mark.parametrize("length", [31, 32])
def test_a_network_of_one_or_two_has_no_broadcast(length: int) -> None:
    rig = Rig()
    network = Network(parse_ipv4("10.9.0.1"), length)
    rig.ip.add_address(rig.tap, network)
    assert not rig.ip.is_broadcast(network.broadcast)
    assert rig.ip.is_broadcast(BROADCAST)
    assert rig.ip.is_broadcast(LIMITED)
