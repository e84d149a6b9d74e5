"""Raw sockets: what they hear, what they send, and their errors."""

from __future__ import annotations

import errno

import pytest

from tapstack.base.address import parse_ipv4
from tapstack.base.contracts import CLOSED, ERROR, READABLE, WRITABLE
from tapstack.base.errors import Drop
from tapstack.ip import icmp_wire
from tapstack.ip.icmp_wire import Message
from tapstack.ip.wire import PROTOCOL_RAW, parse
from tests.ip.rig import BROADCAST, DF, FAR, HOST, ICMP, OTHER, UDP, US, Rig, echo, ipv4, udp

ECHOES = "IcmpOutEchos"


def test_it_gets_a_copy_header_included_before_the_transport() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(ICMP)
    probe = ipv4(echo(), protocol=ICMP)
    assert len(rig.receive(probe)) == 1
    assert rig.ip.raw.receive_from(socket, peek=True) == (probe, HOST)
    assert rig.ip.raw.receive_from(socket) == (probe, HOST)
    assert rig.ip.raw.receive_from(socket) is None
    assert rig.events == [(socket, READABLE)]


def test_it_hears_echo_replies_and_what_icmp_itself_would_refuse() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(ICMP)
    rig.receive(ipv4(echo(type_=0), protocol=ICMP))
    rig.receive(ipv4(b"\0", protocol=ICMP))
    assert [rig.ip.raw.receive_from(socket) is not None for _ in "123"] == [True, True, False]


def test_who_listens_keeps_a_protocol_from_being_unreachable() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(142)
    assert rig.receive(ipv4(b"x", protocol=142)) == []
    assert len(rig.receive(ipv4(b"x", protocol=143))) == 1
    rig.ip.raw.bind(socket, parse_ipv4("127.0.0.1"))
    assert len(rig.receive(ipv4(b"x", protocol=142))) == 1
    rig.ip.raw.close(socket)
    rig.ip.raw.close(socket)
    assert rig.events[-1] == (socket, CLOSED)
    assert not rig.ip.raw.by_protocol


@pytest.mark.parametrize(
    ("local", "remote", "heard"),
    [(0, 0, True), (US, 0, True), (OTHER, 0, False), (US, HOST, True), (US, OTHER, False)],
)
def test_addresses_narrow_what_it_hears(local: int, remote: int, heard: bool) -> None:
    rig = Rig()
    socket = rig.ip.raw.open(UDP)
    socket.local = local
    if remote:
        rig.ip.raw.connect(socket, remote)
    rig.receive(ipv4(udp()))
    assert (rig.ip.raw.receive_from(socket) is not None) == heard


def test_connecting_chooses_the_source_and_can_be_dissolved() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(142)
    rig.ip.raw.connect(socket, HOST)
    assert (socket.local, socket.remote) == (US, HOST)
    assert rig.ip.raw.send(socket, b"data", None, rig.now) == 4
    (sent,) = rig.drain()
    assert (sent.header.source, sent.header.destination, sent.payload) == (US, HOST, b"data")
    assert (sent.header.protocol, sent.header.ttl, sent.header.flags) == (142, 64, DF)
    rig.ip.raw.connect(socket, None)
    with pytest.raises(OSError, match="Destination address required"):
        rig.ip.raw.send(socket, b"data", None, rig.now)


def test_the_users_choices_are_in_the_header() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(142)
    socket.ttl, socket.tos, socket.dont_fragment = 3, 0x10, False
    rig.ip.raw.send(socket, b"", HOST, rig.now)
    header = rig.drain()[0].header
    assert (header.ttl, header.tos, header.flags) == (3, 0x10, 0)


@pytest.mark.parametrize(
    ("to", "number"),
    [(FAR, errno.ENETUNREACH), (BROADCAST, errno.EACCES), (None, errno.EDESTADDRREQ)],
)
def test_errors_of_the_caller(to: int | None, number: int) -> None:
    rig = Rig()
    for socket in (rig.ip.raw.open(142), rig.ip.raw.open(PROTOCOL_RAW)):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            rig.ip.raw.send(socket, ipv4(source=0), to, rig.now)
        assert caught.value.errno == number


def test_broadcasting_is_allowed_if_asked_for() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(142)
    socket.broadcast = True
    rig.ip.raw.send(socket, b"x", BROADCAST, rig.now)
    assert rig.drain()[0].next_hop == BROADCAST


def test_binding_takes_an_address_of_ours() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(142)
    for address in (US, BROADCAST, parse_ipv4("224.0.0.1"), 0):
        rig.ip.raw.bind(socket, address)
    with pytest.raises(OSError, match="assign requested address"):
        rig.ip.raw.bind(socket, OTHER)


def test_pings_are_counted() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(ICMP)
    rig.ip.raw.send(socket, echo(), HOST, rig.now)
    assert (rig.counters[ECHOES], rig.counters["IcmpOutMsgs"]) == (1, 1)


def test_pings_can_be_watched_both_ways_and_with_a_header_of_their_own() -> None:
    rig = Rig()
    lines: list[str] = []
    rig.tracer.watch(frozenset({"icmp"}), lambda _, line: lines.append(line))
    socket, writer = rig.ip.raw.open(ICMP), rig.ip.raw.open(PROTOCOL_RAW)
    rig.ip.raw.send(socket, echo(), HOST, rig.now)
    rig.ip.raw.send(writer, ipv4(echo(), destination=OTHER, protocol=ICMP), OTHER, rig.now)
    rig.ip.raw.send(socket, b"\x08", HOST, rig.now)  # cut short
    rig.receive(ipv4(echo(type_=0), protocol=ICMP))
    assert lines == [
        "> 10.0.0.2: type 8 code 0, length 4",
        "> 10.0.0.3: type 8 code 0, length 4",
        "> 10.0.0.2: type 8 code 0, length 0",
        "< 10.0.0.2: type 0 code 0, length 4",
    ]
    assert rig.counters[ECHOES] == 3


def test_the_queue_is_bounded() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(UDP)
    for _ in range(1000):
        rig.receive(ipv4(udp(bytes(1000))))
    dropped = rig.counters.drops[Drop.RAW_BUFFER_FULL]
    assert len(socket.queue) + dropped == 1000
    assert socket.queue.octets <= 212992


# --- the header included --------------------------------------------------------------------------


def test_an_included_header_is_completed() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(PROTOCOL_RAW)
    written = ipv4(b"data", source=0, destination=HOST, identification=0, total_length=0, check=1)
    assert rig.ip.raw.send(socket, written, HOST, rig.now) == 24
    (sent,) = rig.drain()
    assert (sent.header.source, sent.header.total_length) == (US, 24)
    assert sent.header.identification
    assert sent.payload == b"data"


def test_an_included_header_may_say_anything_else() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(ICMP)
    socket.header_included = True
    written = ipv4(b"x" * 8, source=OTHER, destination=FAR, ttl=1, tos=4, options=b"\7\7\4abcd\0")
    rig.ip.raw.send(socket, written, HOST, rig.now)
    (sent,) = rig.drain()
    assert sent.octets == written
    assert sent.next_hop == HOST


@pytest.mark.parametrize("octets", [b"", ipv4()[:19], ipv4(version=6), ipv4(header_words=15)])
def test_an_included_header_that_is_none(octets: bytes) -> None:
    rig = Rig()
    with pytest.raises(OSError, match="Invalid argument"):
        rig.ip.raw.send(rig.ip.raw.open(PROTOCOL_RAW), octets, HOST, rig.now)


def test_an_included_header_is_not_fragmented() -> None:
    rig = Rig()
    with pytest.raises(OSError, match="Message too long"):
        rig.ip.raw.send(rig.ip.raw.open(PROTOCOL_RAW), ipv4(bytes(1481)), HOST, rig.now)


# --- errors of the network ------------------------------------------------------------------------


def unreachable(code: int, quote: bytes, rest: int = 0) -> bytes:
    return ipv4(icmp_wire.build(Message(3, code, rest, quote)), protocol=ICMP)


def test_a_hard_error_reaches_connected_sockets_once() -> None:
    rig = Rig()
    connected, other = rig.ip.raw.open(142), rig.ip.raw.open(142)
    rig.ip.raw.connect(connected, HOST)
    rig.ip.raw.send(connected, b"x" * 8, None, rig.now)
    rig.receive(unreachable(2, rig.drain()[0].octets))
    assert rig.events == [(connected, ERROR | READABLE | WRITABLE)]
    assert rig.ip.raw.has_error(connected)
    assert not rig.ip.raw.is_readable(other)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        rig.ip.raw.receive_from(connected)
    assert caught.value.errno == errno.ENOPROTOOPT
    assert rig.ip.raw.receive_from(connected) is None


def test_sending_too_reports_a_pending_error() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(142)
    rig.ip.raw.connect(socket, HOST)
    rig.ip.raw.send(socket, b"x" * 8, None, rig.now)
    rig.receive(unreachable(2, rig.drain()[0].octets))
    with pytest.raises(OSError, match="Protocol not available"):
        rig.ip.raw.send(socket, b"x", None, rig.now)
    assert rig.ip.raw.send(socket, b"x", None, rig.now) == 1


def test_a_soft_error_reaches_nobody() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(142)
    rig.ip.raw.connect(socket, HOST)
    rig.ip.raw.send(socket, b"x" * 8, None, rig.now)
    rig.receive(unreachable(1, rig.drain()[0].octets))
    assert rig.ip.raw.take_error(socket) == 0


def test_too_big_lowers_the_paths_mtu() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(ICMP)
    rig.ip.raw.send(socket, echo(bytes(1400)), HOST, rig.now)
    quote = rig.drain()[0].octets[:28]
    rig.receive(unreachable(4, quote, rest=1300))
    assert rig.ip.path_to(HOST).mtu == 1300
    assert rig.ip.path_to(OTHER).mtu == 1500
    rig.ip.raw.connect(socket, HOST)
    rig.receive(unreachable(4, quote, rest=1200))
    assert rig.ip.raw.take_error(socket) == errno.EMSGSIZE


def test_an_octet_that_the_user_changes_later_is_not_sent() -> None:
    rig = Rig()
    data = bytearray(b"before")
    rig.ip.raw.send(rig.ip.raw.open(142), data, US, rig.now)
    data[:] = b"after!"
    assert parse(rig.lo.queue[0].octets).protocol == 142
    assert rig.lo.queue[0].payload == b"before"
