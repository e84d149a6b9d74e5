"""ICMP: when an error is sent, how often, and what becomes of one that arrives."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.base.contracts import Datagram, IcmpError
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.ip import icmp_wire
from tapstack.ip.config import IpConfig
from tapstack.ip.icmp_limit import MAX_DESTINATIONS, IcmpLimit
from tapstack.ip.icmp_wire import CODEC, ICMP_HEADER, Message
from tests.ip.rig import BROADCAST, FAR, HOST, ICMP, MF, OTHER, TCP, US, Rig, echo, ipv4, udp

ROUTER = parse_ipv4("10.0.0.254")


class Listening:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.errors: list[IcmpError] = []

    def receive(self, datagram: Datagram, now: int) -> None:
        raise AssertionError("no datagram is expected")

    def on_icmp_error(self, error: IcmpError, now: int) -> None:
        self.errors.append(error)


def icmp(type_: int, code: int, body: bytes, rest: int = 0, source: int = ROUTER) -> bytes:
    message = icmp_wire.build(Message(type_, code, rest, body))
    return ipv4(message, protocol=ICMP, source=source)


# --- the wire -------------------------------------------------------------------------------------


@given(st.binary(min_size=8, max_size=8))
def test_codec_and_declaration_agree(octets: bytes) -> None:
    fields = CODEC.parse(octets)
    assert fields == {name: ICMP_HEADER.parse(octets)[name] for name in fields}
    assert CODEC.build(**fields) == octets == ICMP_HEADER.build(fields)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=99))
def test_a_message_that_is_built_reads_back(type_: int, code: int, rest: int, body: bytes) -> None:
    message = Message(type_, code, rest, body)
    assert icmp_wire.parse(icmp_wire.build(message)) == message


def test_an_echo_has_its_fields_in_their_places() -> None:
    octets = icmp_wire.build_echo(icmp_wire.ECHO_REQUEST, 0x1234, 0x5678, b"x")
    assert octets[4:] == b"\x12\x34\x56\x78x"
    assert icmp_wire.ECHO.parse(octets[4:8]) == {"identifier": 0x1234, "sequence": 0x5678}


# --- when none is sent ----------------------------------------------------------------------------

WRONG = {"protocol": 142}  # answered with 3/2, were it not for what each case adds


@pytest.mark.parametrize(
    "probe",
    [
        pytest.param(ipv4(b"x" * 8, destination=BROADCAST, **WRONG), id="broadcast"),
        pytest.param(ipv4(b"x" * 8, destination=0xFFFFFFFF, **WRONG), id="limited broadcast"),
        pytest.param(ipv4(b"x" * 8, destination=parse_ipv4("224.0.0.1"), **WRONG), id="all hosts"),
        pytest.param(ipv4(b"x" * 8, source=parse_ipv4("240.0.0.1"), **WRONG), id="class E source"),
        pytest.param(
            ipv4(b"x" * 8, source=0, destination=0xFFFFFFFF, **WRONG), id="source 0 to all"
        ),
        pytest.param(ipv4(b"x" * 8, source=FAR, **WRONG), id="no way back"),
        pytest.param(
            ipv4(udp(), options=b"\x99\0\0\0", offset=8), id="later fragment, malformed option"
        ),
    ],
)
def test_no_error_is_sent(probe: bytes) -> None:
    rig = Rig()
    assert rig.receive(probe) == []
    assert rig.counters["IcmpOutMsgs"] == 0


def test_no_error_is_sent_about_what_the_link_sent_to_all() -> None:
    assert Rig().receive(ipv4(udp()), to_us=False) == []
    assert len(Rig().receive(ipv4(udp()))) == 1


@pytest.mark.parametrize("type_", [*sorted(icmp_wire.ERRORS), 19, 255])
def test_no_error_is_sent_about_an_error(type_: int) -> None:
    # A malformed option is answered with a parameter problem, unless its datagram is an error.
    message = icmp_wire.build(Message(type_, 0, 0, b"x" * 28))
    assert Rig().receive(ipv4(message, protocol=ICMP, options=b"\x99\0\0\0")) == []


def test_no_error_is_sent_about_icmp_that_cannot_be_read() -> None:
    assert Rig().receive(ipv4(b"", protocol=ICMP, options=b"\x99\0\0\0")) == []


def test_pings_to_all_are_answered_if_asked_for() -> None:
    rig = Rig(IpConfig(icmp_echo_ignore_broadcasts=False))
    (answer,) = rig.receive(ipv4(echo(), protocol=ICMP, destination=BROADCAST))
    assert answer.header.source == US


def test_pings_are_ignored_if_asked_for() -> None:
    assert Rig(IpConfig(icmp_echo_ignore_all=True)).receive(ipv4(echo(), protocol=ICMP)) == []


# --- how often ------------------------------------------------------------------------------------


def test_one_destination_gets_six_errors_then_one_a_second() -> None:
    rig = Rig()
    assert sum(len(rig.receive(ipv4(udp()))) for _ in range(20)) == 6
    assert rig.counters["IcmpOutRateLimitHost"] == 14
    assert len(rig.receive(ipv4(udp(), source=OTHER))) == 1
    rig.wait(SECOND)
    assert sum(len(rig.receive(ipv4(udp()))) for _ in range(20)) == 1
    rig.wait(999 * MILLISECOND)
    assert rig.receive(ipv4(udp())) == []
    rig.wait(3600 * SECOND)
    assert sum(len(rig.receive(ipv4(udp()))) for _ in range(20)) == 6


def test_all_destinations_together_get_fifty_then_one_a_millisecond() -> None:
    rig = Rig()
    sources = range(HOST + 1, HOST + 200)
    assert sum(len(rig.receive(ipv4(udp(), source=source))) for source in sources) == 50
    assert rig.counters["IcmpOutRateLimitGlobal"] == 149
    rig.wait(10 * MILLISECOND)
    assert sum(len(rig.receive(ipv4(udp(), source=source))) for source in sources) == 10


def test_echoes_are_not_limited() -> None:
    rig = Rig()
    assert sum(len(rig.receive(ipv4(echo(), protocol=ICMP))) for _ in range(100)) == 100


def test_the_oldest_destination_makes_room() -> None:
    config = IpConfig(icmp_msgs_per_sec=10**6, icmp_msgs_burst=10**6)
    limit = IcmpLimit(counters=Counters(), config=config)
    assert sum(limit.allow(3, 3, HOST, 0) for _ in range(10)) == 6
    for number in range(MAX_DESTINATIONS):
        assert limit.allow(3, 3, FAR + number, 0)
    assert limit.allow(3, 3, HOST, 0)


# --- errors that arrive ---------------------------------------------------------------------------


def quoted(**fields: int) -> bytes:
    """A datagram of ours, as it met its error."""
    segment = b"\x30\x39\x00\x50seq!rest"
    return ipv4(segment, **{"source": US, "destination": FAR, "protocol": TCP, **fields})


@pytest.mark.parametrize(
    ("type_", "code", "rest", "mtu"),
    [(3, 0, 0, 0), (3, 1, 0, 0), (3, 3, 7, 0), (3, 4, 1400, 1400), (3, 15, 0, 0), (11, 0, 0, 0),
     (11, 1, 0, 0), (12, 0, 20 << 24, 0)],
)  # fmt: skip
def test_an_error_reaches_the_transport_it_quotes(
    type_: int, code: int, rest: int, mtu: int
) -> None:
    rig = Rig()
    tcp = Listening()
    rig.ip.register(TCP, tcp)
    assert rig.receive(icmp(type_, code, quoted()[:28], rest)) == []
    (error,) = tcp.errors
    assert bytes(error.quote) == b"\x30\x39\x00\x50seq!"
    assert error[:7] == (type_, code, mtu, ROUTER, US, FAR, TCP)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        pytest.param(icmp(3, 1, quoted()[:27]), Drop.ICMP_BAD_QUOTE, id="7 octets quoted"),
        pytest.param(icmp(3, 1, quoted()[:19]), Drop.ICMP_BAD_QUOTE, id="half a header"),
        pytest.param(icmp(3, 1, b""), Drop.ICMP_BAD_QUOTE, id="nothing quoted"),
        pytest.param(icmp(3, 1, quoted(version=6)), Drop.ICMP_BAD_QUOTE, id="not IPv4"),
        pytest.param(icmp(3, 1, quoted(header_words=3)), Drop.ICMP_BAD_QUOTE, id="IHL 3"),
        pytest.param(icmp(3, 1, quoted(source=OTHER)), Drop.ICMP_BAD_QUOTE, id="not ours"),
        pytest.param(icmp(3, 1, quoted(offset=8)), Drop.ICMP_BAD_QUOTE, id="a later fragment"),
        pytest.param(icmp(3, 16, quoted()), Drop.ICMP_BAD_QUOTE, id="unknown code"),
        pytest.param(
            icmp(3, 3, quoted(destination=BROADCAST)), Drop.ICMP_BAD_QUOTE, id="about a broadcast"
        ),
        pytest.param(icmp(4, 0, quoted()), None, id="source quench"),
        pytest.param(icmp(5, 1, quoted(), rest=OTHER), None, id="redirect"),
        pytest.param(
            ipv4(
                icmp_wire.build(Message(3, 3, 0, quoted())),
                protocol=ICMP,
                source=ROUTER,
                destination=BROADCAST,
            ),
            Drop.ICMP_BROADCAST_ECHO,
            id="sent to all",
        ),
    ],
)
def test_an_error_that_is_not_believed(octets: bytes, reason: Drop | None) -> None:
    rig = Rig()
    tcp = Listening()
    rig.ip.register(TCP, tcp)
    assert rig.receive(octets) == []
    assert tcp.errors == []
    assert rig.counters.drops == ({reason: 1} if reason else {})


def test_an_error_about_a_protocol_that_nobody_speaks_does_nothing() -> None:
    rig = Rig()
    assert rig.receive(icmp(3, 2, quoted(protocol=199))) == []
    assert not rig.counters.drops


def test_messages_are_counted_by_type() -> None:
    rig = Rig()
    rig.receive(ipv4(echo(), protocol=ICMP))
    rig.receive(ipv4(udp()))
    rig.receive(icmp(11, 0, quoted()))
    counters = {name: n for name, n in rig.counters.items() if n and name.startswith("Icmp")}
    assert counters == {
        "IcmpInMsgs": 2,
        "IcmpInEchos": 1,
        "IcmpInTimeExcds": 1,
        "IcmpOutMsgs": 2,
        "IcmpOutEchoReps": 1,
        "IcmpOutDestUnreachs": 1,
    }


# --- ourselves ------------------------------------------------------------------------------------


def test_a_neighbour_that_does_not_answer_is_told_to_our_own_raw_socket() -> None:
    rig = Rig()
    ping = rig.ip.raw.open(ICMP)
    rig.ip.raw.send(ping, echo(), HOST, rig.now)
    (sent,) = rig.drain()
    rig.ip.on_link_unreachable([sent.octets[:20], sent.octets[20:]], rig.now)
    assert rig.drain() == []
    received = rig.ip.raw.receive_from(ping)
    assert received is not None
    octets, source = received
    message = icmp_wire.parse(octets[20:])
    assert (source, message.type, message.code) == (US, 3, 1)
    assert message.body == sent.octets


@pytest.mark.parametrize("destination", ["10.0.0.1", "127.0.0.1", "127.1.2.3"])
def test_the_loopback_answers(destination: str) -> None:
    rig = Rig()
    ping = rig.ip.raw.open(ICMP)
    rig.ip.raw.send(ping, echo(bytes(60000)), parse_ipv4(destination), rig.now)
    assert rig.drain() == []
    kinds = []
    while (received := rig.ip.raw.receive_from(ping)) is not None:
        kinds.append((received[0][20], received[1]))
    assert kinds == [
        (8, rig.ip.path_to(parse_ipv4(destination)).source),
        (0, parse_ipv4(destination)),
    ]


def test_errors_to_ourselves_are_not_limited() -> None:
    rig = Rig()
    socket = rig.udp.open()
    rig.udp.connect(socket, Endpoint(US, 9))
    for _ in range(100):
        rig.udp.send(socket, b"x", None, rig.now)
        rig.drain()
        with pytest.raises(ConnectionRefusedError):
            rig.udp.receive_from(socket)


def test_what_happens_can_be_watched() -> None:
    rig = Rig()
    lines: list[tuple[str, str]] = []
    rig.tracer.watch(frozenset(("ip", "icmp")), lambda topic, line: lines.append((topic, line)))
    rig.receive(ipv4(echo(), protocol=ICMP))
    assert lines == [
        ("ip", "< 10.0.0.2: protocol 1, length 32"),
        ("icmp", "< 10.0.0.2: type 8 code 0, length 4"),
        ("ip", "> 10.0.0.2: protocol 1, length 32"),
        ("icmp", "> 10.0.0.2: type 0 code 0, length 4"),
    ]


def test_a_first_fragment_is_fit_for_an_error() -> None:
    # RFC 1122 §3.2.2 excludes only "a non-initial fragment".
    rig = Rig()
    (error,) = rig.receive(ipv4(b"x" * 8, flags=MF, options=b"\x99\0\0\0"))
    assert (error.icmp.type, error.icmp.code) == (12, 0)
