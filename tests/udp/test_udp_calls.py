"""The user's calls: what udp(7) promises, and which errno says no."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import ANY_ENDPOINT, Endpoint, parse_ipv4, parse_network
from tapstack.base.checksum import ones_complement_sum, pseudo_header_sum
from tapstack.base.contracts import CLOSED, ERROR, READABLE, WRITABLE
from tapstack.base.errors import Drop
from tapstack.ip import icmp_wire
from tapstack.ip.icmp_wire import Message
from tapstack.udp.sockets import EPHEMERAL_PORTS, UdpSocket
from tests.ip.rig import BROADCAST, DF, FAR, HOST, ICMP, MF, OTHER, UDP, US, Rig, ipv4, udp

LOOPBACK = parse_ipv4("127.0.0.1")
PEER = Endpoint(HOST, 4000)


def bound(rig: Rig, port: int = 9, address: int = 0) -> UdpSocket:
    socket = rig.udp.open()
    rig.udp.bind(socket, Endpoint(address, port))
    return socket


def connected(rig: Rig, remote: Endpoint = PEER) -> UdpSocket:
    socket = rig.udp.open()
    rig.udp.connect(socket, remote)
    return socket


# --- sending --------------------------------------------------------------------------------------


@given(st.binary(max_size=4000))
def test_what_is_sent_has_its_checksum_and_arrives_whole(data: bytes) -> None:
    rig = Rig()
    assert rig.udp.send(bound(rig), data, PEER, rig.now) == len(data)
    sent = rig.drain()
    whole = b"".join(each.payload for each in sent)
    assert whole[:6] == bytes((0, 9)) + (4000).to_bytes(2, "big") + (8 + len(data)).to_bytes(
        2, "big"
    )
    assert whole[6:8] != b"\0\0"  # RFC 768: "an all zero transmitted checksum value" is none
    pseudo = pseudo_header_sum(US, HOST, UDP, len(whole))
    assert ones_complement_sum(whole, pseudo) == 0xFFFF
    assert whole[8:] == data
    assert [each.header.flags for each in sent] in ([DF], [MF, 0], [MF, MF, 0])


def test_the_users_choices_are_in_the_header() -> None:
    rig = Rig()
    socket = rig.udp.open()
    socket.ttl, socket.tos, socket.dont_fragment = 3, 0x10, False
    rig.udp.send(socket, b"", PEER, rig.now)
    rig.ip.routes.add(next(iter(rig.ip.routes))._replace(network=parse_network("224.0.0.0/4")))
    rig.udp.send(socket, b"", Endpoint(parse_ipv4("224.0.0.9"), 5), rig.now)
    unicast, multicast = (each.header for each in rig.drain())
    assert (unicast.ttl, unicast.tos, unicast.flags) == (3, 0x10, 0)
    assert multicast.ttl == 1


def test_the_first_send_gives_a_port() -> None:
    rig = Rig()
    socket = rig.udp.open()
    rig.udp.send(socket, b"x", PEER, rig.now)
    assert socket.local.address == 0
    assert socket.local.port in EPHEMERAL_PORTS
    rig.receive(ipv4(udp(b"back", port=socket.local.port)))
    assert rig.udp.receive_from(socket) == (b"back", PEER)


@pytest.mark.parametrize(
    ("to", "size", "number"),
    [
        (None, 1, errno.EDESTADDRREQ),
        (Endpoint(HOST, 0), 1, errno.EINVAL),
        (Endpoint(FAR, 9), 1, errno.ENETUNREACH),
        (Endpoint(BROADCAST, 9), 1, errno.EACCES),
        (Endpoint(0xFFFFFFFF, 9), 1, errno.EACCES),
        (PEER, 65508, errno.EMSGSIZE),
    ],
)
def test_what_cannot_be_sent(to: Endpoint | None, size: int, number: int) -> None:
    rig = Rig()
    socket = rig.udp.open()
    with pytest.raises(OSError) as caught:  # noqa: PT011
        rig.udp.send(socket, bytes(size), to, rig.now)
    assert caught.value.errno == number
    assert rig.drain() == []
    assert socket.local == ANY_ENDPOINT


def test_the_largest_datagram_goes() -> None:
    rig = Rig()
    assert rig.udp.send(rig.udp.open(), bytes(65507), PEER, rig.now) == 65507
    assert sum(len(each.payload) for each in rig.drain()) == 65515


def test_what_may_not_be_fragmented_must_fit() -> None:
    rig = Rig()
    socket = rig.udp.open()
    socket.dont_fragment = True
    assert rig.udp.send(socket, bytes(1472), PEER, rig.now) == 1472
    with pytest.raises(OSError, match="Message too long"):
        rig.udp.send(socket, bytes(1473), PEER, rig.now)


def test_the_address_0_is_this_host() -> None:
    rig = Rig()
    server = bound(rig)
    rig.udp.send(rig.udp.open(), b"hi", Endpoint(0, 9), rig.now)
    rig.drain()
    received = rig.udp.receive_from(server)
    assert received is not None
    assert (received[0], received[1].address) == (b"hi", LOOPBACK)


def test_a_broadcast_reaches_the_link_and_everybody_here() -> None:
    rig = Rig()
    first, second = rig.udp.open(), rig.udp.open()
    for socket in (first, second):
        socket.reuse_address = True
        rig.udp.bind(socket, Endpoint(0, 9))
    first.broadcast = True
    rig.udp.send(first, b"all", Endpoint(BROADCAST, 9), rig.now)
    assert [each.next_hop for each in rig.drain()] == [BROADCAST]
    for socket in (first, second):
        assert rig.udp.receive_from(socket) == (b"all", Endpoint(US, 9))


def test_an_octet_that_the_user_changes_later_is_not_sent() -> None:
    rig = Rig()
    server = bound(rig)
    data = bytearray(b"before")
    rig.udp.send(rig.udp.open(), data, Endpoint(US, 9), rig.now)
    data[:] = b"after!"
    rig.drain()
    received = rig.udp.receive_from(server)
    assert received is not None
    assert received[0] == b"before"


# --- binding and connecting -----------------------------------------------------------------------


@pytest.mark.parametrize("address", [0, US, LOOPBACK, parse_ipv4("127.9.9.9"), BROADCAST])
def test_binding_to_what_is_ours(address: int) -> None:
    rig = Rig()
    socket = bound(rig, address=address)
    assert socket.local == Endpoint(address, 9)
    with pytest.raises(OSError, match="Invalid argument"):
        rig.udp.bind(socket, Endpoint(0, 10))


def test_binding_to_what_is_not() -> None:
    rig = Rig()
    with pytest.raises(OSError, match="assign requested address"):
        bound(rig, address=OTHER)
    bound(rig)
    with pytest.raises(OSError, match="in use"):
        bound(rig, address=US)


def test_port_0_is_any_free_port() -> None:
    rig = Rig()
    ports = {bound(rig, port=0).local.port for _ in range(50)}
    assert len(ports) == 50
    assert ports < set(EPHEMERAL_PORTS)


def test_the_last_of_those_that_share_an_address_receives() -> None:
    rig = Rig()
    first, second = rig.udp.open(), rig.udp.open()
    for socket in (first, second):
        socket.reuse_address = True
        rig.udp.bind(socket, Endpoint(0, 9))
    rig.receive(ipv4(udp()))
    assert rig.udp.receive_from(first) is None
    assert rig.udp.receive_from(second) == (b"data", PEER)


def test_a_connected_socket_hears_its_peer_only() -> None:
    rig = Rig()
    socket = connected(rig)
    assert socket.local.address == US
    port = socket.local.port
    assert len(rig.receive(ipv4(udp(port=port, source_port=4001)))) == 1
    assert len(rig.receive(ipv4(udp(port=port), source=OTHER))) == 1
    assert rig.udp.receive_from(socket) is None
    rig.receive(ipv4(udp(port=port)))
    assert rig.udp.receive_from(socket) == (b"data", PEER)
    rig.udp.send(socket, b"x", None, rig.now)
    rig.udp.send(socket, b"x", Endpoint(OTHER, 5), rig.now)
    assert [each.next_hop for each in rig.drain()] == [HOST, OTHER]


def test_dissolving_gives_back_what_the_user_chose() -> None:
    rig = Rig()
    chosen = bound(rig, port=1234)
    rig.udp.connect(chosen, PEER)
    assert (chosen.local, chosen.remote) == (Endpoint(US, 1234), PEER)
    rig.udp.connect(chosen, None)
    assert (chosen.local, chosen.remote) == (Endpoint(0, 1234), ANY_ENDPOINT)
    drawn = connected(rig)
    rig.udp.connect(drawn, None)
    assert drawn.local == ANY_ENDPOINT
    assert list(rig.udp.sockets()) == [chosen]


def test_connecting_again_changes_the_peer() -> None:
    rig = Rig()
    socket = connected(rig)
    local = socket.local
    rig.udp.connect(socket, Endpoint(OTHER, 5))
    assert (socket.local, socket.remote) == (local, Endpoint(OTHER, 5))
    assert len(rig.receive(ipv4(udp(port=local.port)))) == 1
    rig.receive(ipv4(udp(port=local.port, source_port=5), source=OTHER))
    assert rig.udp.receive_from(socket) == (b"data", Endpoint(OTHER, 5))


def test_a_failed_connect_changes_nothing() -> None:
    rig = Rig()
    socket = rig.udp.open()
    for remote, number in (
        (Endpoint(FAR, 9), errno.ENETUNREACH),
        (Endpoint(BROADCAST, 9), errno.EACCES),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            rig.udp.connect(socket, remote)
        assert caught.value.errno == number
        assert (socket.local, socket.remote) == (ANY_ENDPOINT, ANY_ENDPOINT)


def test_closing_gives_the_port_back() -> None:
    rig = Rig()
    socket = bound(rig)
    rig.receive(ipv4(udp()))
    rig.udp.close(socket)
    rig.udp.close(socket)
    assert rig.events[-1] == (socket, CLOSED)
    assert len(rig.receive(ipv4(udp()))) == 1
    bound(rig)


# --- receiving ------------------------------------------------------------------------------------


def test_a_datagram_is_reported_and_can_be_peeked_at() -> None:
    rig = Rig()
    socket = bound(rig)
    assert not rig.udp.is_readable(socket)
    rig.receive(ipv4(udp()))
    assert rig.events == [(socket, READABLE)]
    assert rig.udp.is_readable(socket)
    assert rig.udp.receive_from(socket, peek=True) == rig.udp.receive_from(socket)
    assert rig.udp.receive_from(socket) is None


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_the_buffer_is_bounded_whatever_the_size(size: int) -> None:
    rig = Rig()
    socket = bound(rig)
    socket.queue.limit = 20_000
    for _ in range(1000):
        rig.receive(ipv4(udp(bytes(size))))
    taken = rig.counters["UdpInDatagrams"]
    assert taken == 20_000 // (size + 512)
    assert rig.counters.drops == {Drop.UDP_BUFFER_FULL: 1000 - taken}
    rig.udp.receive_from(socket)
    rig.receive(ipv4(udp(bytes(size))))
    assert rig.counters["UdpInDatagrams"] == taken + 1


def test_one_datagram_always_fits() -> None:
    rig = Rig()
    socket = bound(rig)
    socket.queue.limit = 0
    rig.receive(ipv4(udp(bytes(1400))))
    assert rig.udp.receive_from(socket) is not None


def test_a_datagram_is_counted_where_it_ended() -> None:
    rig = Rig()
    bound(rig)
    rig.receive(ipv4(udp()))
    rig.receive(ipv4(udp(port=10)))
    rig.receive(ipv4(udp(check=1)))
    rig.receive(ipv4(udp(length=3)))
    counters = {name: n for name, n in rig.counters.items() if n and name.startswith("Udp")}
    assert counters == {
        "UdpInDatagrams": 1,
        "UdpNoPorts": 1,
        "UdpInCsumErrors": 1,
        "UdpInErrors": 2,
    }


def test_what_passes_can_be_watched() -> None:
    rig = Rig()
    lines: list[str] = []
    rig.tracer.watch(frozenset(("udp",)), lambda topic, line: lines.append(line))
    socket = bound(rig)
    rig.receive(ipv4(udp()))
    rig.udp.send(socket, b"x", PEER, rig.now)
    assert lines == [
        "10.0.0.2:4000 > 10.0.0.1:9: length 4",
        "10.0.0.1:9 > 10.0.0.2:4000: length 1",
    ]


# --- errors of the network ------------------------------------------------------------------------


def error_about(rig: Rig, type_: int, code: int, rest: int = 0) -> None:
    """Answer what was sent last with an ICMP error."""
    quote = rig.drain()[-1].octets[:28]
    message = icmp_wire.build(Message(type_, code, rest, quote))
    rig.receive(ipv4(message, protocol=ICMP))


@pytest.mark.parametrize(
    ("type_", "code", "number"),
    [
        (3, 0, 0),
        (3, 1, 0),
        (3, 2, errno.ENOPROTOOPT),
        (3, 3, errno.ECONNREFUSED),
        (3, 4, errno.EMSGSIZE),
        (3, 13, errno.EHOSTUNREACH),
        (11, 0, 0),
        (12, 0, errno.EPROTO),
    ],
)
def test_a_hard_error_reaches_the_connected_socket(type_: int, code: int, number: int) -> None:
    rig = Rig()
    socket = connected(rig)
    rig.udp.send(socket, b"x", None, rig.now)
    error_about(rig, type_, code)
    assert rig.events == ([(socket, ERROR | READABLE | WRITABLE)] if number else [])
    assert rig.udp.has_error(socket) == bool(number)
    assert rig.udp.take_error(socket) == number
    assert rig.udp.take_error(socket) == 0


def test_an_error_is_told_once_by_whichever_call_comes_first() -> None:
    rig = Rig()
    socket = connected(rig)
    for call in (
        lambda: rig.udp.receive_from(socket),
        lambda: rig.udp.send(socket, b"x", None, rig.now),
    ):
        rig.udp.send(socket, b"x", None, rig.now)
        error_about(rig, 3, 3)
        with pytest.raises(ConnectionRefusedError):
            call()
        call()


def test_an_unconnected_socket_hears_of_no_error() -> None:
    rig = Rig()
    socket = bound(rig)
    rig.udp.send(socket, b"x", PEER, rig.now)
    error_about(rig, 3, 3)
    assert rig.udp.take_error(socket) == 0


def test_an_error_about_another_conversation_changes_nothing() -> None:
    rig = Rig()
    socket = connected(rig)
    rig.udp.send(socket, b"x", Endpoint(OTHER, 5), rig.now)
    error_about(rig, 3, 3)
    assert rig.udp.take_error(socket) == 0


def test_too_big_lowers_the_mtu_of_a_path_that_is_in_use() -> None:
    rig = Rig()
    socket = bound(rig)
    rig.udp.send(socket, bytes(1400), PEER, rig.now)
    error_about(rig, 3, 4, rest=1000)
    assert rig.ip.path_to(HOST).mtu == 1000
    rig.udp.send(socket, bytes(1400), PEER, rig.now)
    assert [each.header.flags for each in rig.drain()] == [MF, 0]


def test_too_big_about_nobody_is_forged() -> None:
    rig = Rig()
    socket = bound(rig)
    rig.udp.send(socket, bytes(1400), PEER, rig.now)
    rig.udp.close(socket)
    error_about(rig, 3, 4, rest=1000)
    assert rig.ip.path_to(HOST).mtu == 1500
