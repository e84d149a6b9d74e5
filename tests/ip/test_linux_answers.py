"""What a host on the link hears of us, probe by probe, as Linux 6.18 was measured to answer."""

from __future__ import annotations

import pytest

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.base.checksum import checksum
from tapstack.base.contracts import VERIFIED
from tapstack.base.errors import Drop
from tests.ip.rig import (
    BROADCAST,
    DF,
    HOST,
    ICMP,
    MF,
    UDP,
    US,
    Rig,
    Sent,
    echo,
    ipv4,
    udp,
)

LIMITED = 0xFFFFFFFF
LOOPBACK = parse_ipv4("127.0.0.1")


def ping(**fields: object) -> bytes:
    return ipv4(echo(), protocol=ICMP, **fields)  # type: ignore[arg-type]


def answers(sent: list[Sent]) -> list[tuple[int, int]]:
    """Type and code of each answer, all of which go from us to the host."""
    assert all((each.header.source, each.header.destination) == (US, HOST) for each in sent)
    return [(each.icmp.type, each.icmp.code) for each in sent]


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        pytest.param(ping(check=0x1234), Drop.IP_BAD_CHECKSUM, id="bad IP checksum"),
        pytest.param(ping(version=5), Drop.IP_BAD_VERSION, id="version 5"),
        pytest.param(ping(header_words=4), Drop.IP_BAD_HEADER_LENGTH, id="IHL 4"),
        pytest.param(ping(total_length=100), Drop.IP_BAD_TOTAL_LENGTH, id="longer than frame"),
        pytest.param(ping(total_length=16), Drop.IP_BAD_TOTAL_LENGTH, id="less than header"),
        pytest.param(
            ping(source=parse_ipv4("224.0.0.5")), Drop.IP_MARTIAN_SOURCE, id="multicast source"
        ),
        pytest.param(ping(source=BROADCAST), Drop.IP_MARTIAN_SOURCE, id="broadcast source"),
        pytest.param(ping(source=LIMITED), Drop.IP_MARTIAN_SOURCE, id="limited broadcast source"),
        pytest.param(ping(source=LOOPBACK), Drop.IP_MARTIAN_SOURCE, id="127/8 source"),
        pytest.param(ping(source=0), Drop.IP_MARTIAN_SOURCE, id="source 0"),
        pytest.param(ping(source=US), Drop.IP_MARTIAN_SOURCE, id="our own source (LAND)"),
        pytest.param(ping(destination=LOOPBACK), Drop.IP_MARTIAN_SOURCE, id="127/8 destination"),
        pytest.param(ping(destination=BROADCAST), Drop.ICMP_BROADCAST_ECHO, id="broadcast ping"),
        pytest.param(ping(destination=LIMITED), Drop.ICMP_BROADCAST_ECHO, id="limited broadcast"),
        pytest.param(ping(destination=US + 9), Drop.IP_NOT_FOR_US, id="for another"),
        pytest.param(
            ping(options=b"\x83\7\4\xc0\0\2\1\0"), Drop.IP_SOURCE_ROUTE, id="loose source route"
        ),
        pytest.param(
            ping(options=b"\x89\7\4\xc0\0\2\1\0"), Drop.IP_SOURCE_ROUTE, id="strict source route"
        ),
        pytest.param(
            ipv4(echo()[:-1] + b"x", protocol=ICMP), Drop.ICMP_BAD_CHECKSUM, id="ICMP checksum"
        ),
        pytest.param(ipv4(echo()[:7], protocol=ICMP), Drop.ICMP_TRUNCATED, id="ICMP truncated"),
        pytest.param(
            ipv4(echo(type_=42), protocol=ICMP), Drop.ICMP_UNKNOWN_TYPE, id="ICMP type 42"
        ),
        pytest.param(ipv4(udp(check=1)), Drop.UDP_BAD_CHECKSUM, id="UDP checksum"),
        pytest.param(ipv4(udp(length=7)), Drop.UDP_BAD_LENGTH, id="UDP length 7"),
        pytest.param(ipv4(udp(length=0)), Drop.UDP_BAD_LENGTH, id="UDP length 0"),
        pytest.param(ipv4(udp(length=13)), Drop.UDP_BAD_LENGTH, id="UDP length past the end"),
        pytest.param(ipv4(udp()[:7]), Drop.UDP_TRUNCATED, id="UDP truncated"),
        pytest.param(ipv4(udp(), destination=BROADCAST), None, id="UDP broadcast, nobody there"),
    ],
)
def test_silence(probe: bytes, reason: Drop | None) -> None:
    rig = Rig()
    assert rig.receive(probe) == []
    assert rig.counters.drops == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    "probe",
    [
        pytest.param(ping(), id="plain"),
        pytest.param(ping(ttl=1), id="TTL 1"),
        pytest.param(ping(ttl=0), id="TTL 0"),
        pytest.param(ping(padding=bytes(14)), id="trailing padding"),
        pytest.param(ping(flags=0x8000), id="reserved flag"),
        pytest.param(ping(flags=DF), id="DF"),
        pytest.param(ping(options=b"\x99\4\0\0"), id="unknown well-formed option"),
        pytest.param(ping(options=b"\1\1\1\0"), id="no operation"),
        pytest.param(ipv4(echo(b""), protocol=ICMP), id="no data"),
    ],
)
def test_a_ping_is_answered(probe: bytes) -> None:
    (answer,) = Rig().receive(probe)
    assert answers([answer]) == [(0, 0)]
    request = probe[20:] if probe[0] == 0x45 else probe[24:]
    assert answer.octets[24:28] == request[4:8]
    assert answer.icmp.body == (b"" if len(request) == 8 else b"ping")
    assert answer.header.ttl == 64
    assert answer.header.flags == 0
    assert answer.next_hop == HOST


def test_a_reply_carries_the_requests_type_of_service() -> None:
    (answer,) = Rig().receive(ping(tos=0x48))
    assert answer.header.tos == 0x48


@pytest.mark.parametrize(
    ("probe", "answer"),
    [
        pytest.param(ipv4(b"12345678", protocol=142), (3, 2), id="unknown protocol"),
        pytest.param(ipv4(ipv4(udp()), protocol=4), (3, 2), id="IP in IP"),
        pytest.param(ipv4(udp()), (3, 3), id="closed UDP port"),
        pytest.param(ping(options=b"\x99\0\0\0"), (12, 0), id="option length 0"),
        pytest.param(ping(options=b"\x99\1\0\0"), (12, 0), id="option length 1"),
        pytest.param(ping(options=b"\x99\x09\0\0"), (12, 0), id="option past the end"),
    ],
)
def test_an_icmp_error(probe: bytes, answer: tuple[int, int]) -> None:
    (error,) = Rig().receive(probe)
    assert answers([error]) == [answer]
    assert error.header.tos == 0xC0
    assert error.icmp.body == probe
    assert error.icmp.rest == (20 << 24 if answer[0] == 12 else 0)


def test_an_error_quotes_what_fits_576_octets() -> None:
    probe = ipv4(udp(bytes(range(256)) * 5), options=b"\1\1\1\0")
    (error,) = Rig().receive(probe)
    assert error.header.total_length == 576
    assert error.icmp.body == probe[:548]


def test_the_precedence_of_an_error_is_internetwork_control() -> None:
    (error,) = Rig().receive(ipv4(udp(), tos=0x38))
    assert error.header.tos == 0xD8


def test_a_timestamp_is_answered_with_a_time_that_is_not_universal() -> None:
    # RFC 792: the high bit says that it is not milliseconds since midnight UT.
    request = bytes((13, 0, 0, 0, 0, 1, 0, 2)) + (77).to_bytes(4, "big") + bytes(8)
    request = request[:2] + checksum(request).to_bytes(2, "big") + request[4:]
    rig = Rig()
    rig.now = 3_500_000
    (answer,) = rig.receive(ipv4(request, protocol=ICMP))
    assert answers([answer]) == [(14, 0)]
    assert answer.icmp.rest == 0x00010002
    assert answer.icmp.body == (77).to_bytes(4, "big") + (0x80000000 + 3500).to_bytes(4, "big") * 2


@pytest.mark.parametrize("type_", [0, 1, 2, 4, 5, 7, 9, 10, 14, 15, 16, 17, 18])
def test_other_icmp_types_are_not_answered(type_: int) -> None:
    # 17 is the address mask request.
    assert Rig().receive(ipv4(echo(bytes(40), type_=type_), protocol=ICMP)) == []


def test_a_timestamp_too_short_is_counted() -> None:
    rig = Rig()
    assert rig.receive(ipv4(echo(bytes(11), type_=13), protocol=ICMP)) == []
    assert rig.counters["IcmpInErrors"] == 1


UDP_DELIVERED: dict[str, tuple[bytes, tuple[bytes, Endpoint]]] = {
    "checksum 0": (udp(), (b"data", Endpoint(HOST, 4000))),
    "source port 0": (udp(source_port=0), (b"data", Endpoint(HOST, 0))),
    "empty": (udp(b""), (b"", Endpoint(HOST, 4000))),
    "octets after its length": (udp(length=10), (b"da", Endpoint(HOST, 4000))),
}


@pytest.mark.parametrize("case", UDP_DELIVERED)
def test_udp_is_delivered(case: str) -> None:
    probe, expected = UDP_DELIVERED[case]
    rig = Rig()
    socket = rig.udp.open()
    rig.udp.bind(socket, Endpoint(0, 9))
    assert rig.receive(ipv4(probe)) == []
    assert rig.udp.receive_from(socket) == expected


# --- fragments ------------------------------------------------------------------------------------

DATA = bytes(range(256)) * 3
WHOLE = udp(DATA)  # 776 octets


def piece(start: int, end: int | None = None, *, more: bool = True, flags: int = 0) -> bytes:
    flags |= MF if more else 0
    return ipv4(WHOLE[start:end], offset=start, flags=flags, protocol=UDP)


A, B, C = piece(0, 256), piece(256, 512), piece(512, more=False)


def deliver(fragments: list[bytes]) -> tuple[Rig, bytes | None]:
    rig = Rig()
    socket = rig.udp.open()
    rig.udp.bind(socket, Endpoint(0, 9))
    for fragment in fragments:
        assert rig.receive(fragment) == []
    received = rig.udp.receive_from(socket)
    assert rig.udp.receive_from(socket) is None
    return rig, received[0] if received else None


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param([A, B, C], id="in order"),
        pytest.param([C, B, A], id="reversed"),
        pytest.param([B, A, C], id="mixed"),
        pytest.param([A, A, B, B, C], id="duplicated"),
        pytest.param([A, C, C, B], id="last duplicated"),
        pytest.param([A, piece(8, 16), B, piece(264, 512), C], id="contained"),
        pytest.param([A, B, piece(8, 504), C], id="contained in two"),
        pytest.param(
            [*(piece(i, i + 16) for i in range(0, 768, 16)), piece(768, more=False)],
            id="pieces of 16",
        ),
        pytest.param(
            [piece(0, 256, flags=DF), piece(256, 512, flags=DF), piece(512, more=False, flags=DF)],
            id="DF and MF",
        ),
    ],
)
def test_fragments_are_delivered(fragments: list[bytes]) -> None:
    rig, data = deliver(fragments)
    assert data == DATA
    assert rig.counters["IpReasmOKs"] == 1
    assert len(rig.ip.reassembler) == rig.ip.reassembler.octets == 0


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param([A, piece(248, 512), C], id="overlap at the front"),
        pytest.param([A, piece(512, 768), piece(256, 520), C], id="overlap at the back"),
        pytest.param([A, piece(512, 520), piece(256, 768), C], id="covers another"),
        pytest.param([A, piece(512, 768, more=False), C, B], id="two different ends"),
        pytest.param([A, C, piece(512, 768, more=False), B], id="two ends, shorter later"),
        pytest.param([A, piece(512, 520, more=False), piece(520, 528), B], id="data past the end"),
        pytest.param(
            [A, piece(520, 528), piece(512, 520, more=False), B], id="data was past the end"
        ),
        pytest.param([piece(0, 251), B, C], id="MF, not a multiple of 8"),
        pytest.param([A, piece(512, 512), B, C], id="empty MF"),
        pytest.param([A, B, ipv4(WHOLE[512:], offset=65520)], id="past 65535"),
    ],
)
def test_fragments_are_dropped(fragments: list[bytes]) -> None:
    rig, data = deliver(fragments)
    assert data is None
    assert rig.counters["IpReasmFails"] == 1


def test_of_a_reassembled_datagram_the_error_quotes_the_whole_header() -> None:
    rig = Rig()
    for fragment in (A, B):
        assert rig.receive(fragment) == []
    (error,) = rig.receive(C)
    assert answers([error]) == [(3, 3)]
    assert error.icmp.body == ipv4(WHOLE)[:548]


def test_checksums_that_a_device_vouches_for_are_not_looked_at() -> None:
    rig = Rig()
    socket = rig.udp.open()
    rig.udp.bind(socket, Endpoint(US, 9))
    rig.receive(ipv4(udp(check=0xBAD)), offload=VERIFIED)
    assert rig.udp.receive_from(socket) == (b"data", Endpoint(HOST, 4000))


@pytest.mark.parametrize(("codepoint", "name"), [(0, "NoECT"), (1, "ECT1"), (2, "ECT0"), (3, "CE")])
def test_each_codepoint_of_the_ecn_field_is_counted(codepoint: int, name: str) -> None:
    rig = Rig()
    rig.receive(ping(tos=0xB8 | codepoint))
    assert {n: v for n, v in rig.counters.items() if n.startswith("IpExtIn") and v} == {
        f"IpExtIn{name}Pkts": 1
    }
