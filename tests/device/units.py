"""What the device tests share: units to send, a device that is a list, and a naive checksum."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from tapstack.base.checksum import pseudo_header_sum
from tapstack.base.contracts import Buffer, Capabilities, Frame, NetDevice, Offload
from tapstack.eth.wire import EthernetHeader, build as build_eth
from tapstack.ip import wire as ip

HERE, THERE = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
SOURCE, DESTINATION = 0x0A000001, 0x0A000002


def naive_sum(octets: bytes) -> int:
    """Add up as RFC 1071 §4.1 does, one word after the other; 0xFFFF says that all is well."""
    total = 0
    for index in range(0, len(octets), 2):
        total += int.from_bytes(octets[index : index + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Wire(NamedTuple):
    """A TCP frame as a receiver reads it, by offsets alone."""

    identification: int
    seq: int
    flags: int
    headers: bytes
    text: bytes


def read_wire(octets: bytes) -> Wire:
    """Read a TCP frame, and hold both of its checksums and its length against the octets."""
    datagram = octets[14:]
    ip_length = (datagram[0] & 15) * 4
    assert int.from_bytes(datagram[2:4], "big") == len(datagram)
    assert naive_sum(datagram[:ip_length]) == 0xFFFF
    segment = datagram[ip_length:]
    pseudo = datagram[12:20] + b"\0\x06" + len(segment).to_bytes(2, "big")
    assert naive_sum(pseudo + segment) == 0xFFFF
    tcp_length = (segment[12] >> 4) * 4
    return Wire(
        int.from_bytes(datagram[4:6], "big"),
        int.from_bytes(segment[4:8], "big"),
        segment[13],
        octets[: 14 + ip_length + tcp_length],
        segment[tcp_length:],
    )


def tcp_unit(
    text: bytes,
    segment_size: int,
    *,
    identification: int = 7,
    seq: int = 1000,
    flags: int = 0x10,
    up: int = 0,
    options: bytes = b"",
    ip_options: bytes = b"",
) -> Frame:
    """Make a unit as the stack hands it down: one part a layer, the checksum left to the device."""
    length = 20 + len(options) + len(text)
    network = ip.build_header(
        0,
        20 + len(ip_options) + length,
        identification,
        ip.DONT_FRAGMENT,
        64,
        6,
        SOURCE,
        DESTINATION,
        ip_options,
    )
    partial = pseudo_header_sum(SOURCE, DESTINATION, 6, length)
    transport = b"".join(
        (
            bytes.fromhex("1f90d431"),
            seq.to_bytes(4, "big"),
            bytes.fromhex("00000001"),
            bytes((80 + len(options) * 4, flags)),
            bytes.fromhex("fff0"),
            partial.to_bytes(2, "big"),
            up.to_bytes(2, "big"),
            options,
        )
    )
    parts = (build_eth(EthernetHeader(THERE, HERE, 0x0800)), network, transport, text)
    return Frame(parts, Offload(14 + len(network), 16, segment_size))


def joined(frame: Frame) -> bytes:
    return b"".join(frame.parts)


def split(octets: bytes, places: Sequence[int]) -> list[Buffer]:
    """Cut octets into parts at some places."""
    edges = sorted({0, len(octets), *(place % (len(octets) + 1) for place in places)})
    return [octets[a:b] for a, b in pairwise(edges)]


words = st.integers(0, 2**32 - 1)
padded_options = st.integers(0, 10).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))


@st.composite
def units(draw: st.DrawFn) -> Frame:
    """Draw units of every kind: long and short, with options, split anywhere."""
    block = draw(st.binary(min_size=1, max_size=40))
    length = draw(st.one_of(st.integers(0, 300), st.integers(0, 60_000)))
    unit = tcp_unit(
        (block * (length // len(block) + 1))[:length],
        draw(st.sampled_from([0, 1, 48, 536, 1447, 1448, 65_483])) if length < 300 else 536,
        identification=draw(st.sampled_from([0, 1, 65_530, 65_535])),
        seq=draw(words),
        flags=draw(st.integers(0, 255)) & ~0x20,
        options=draw(padded_options),
        ip_options=draw(padded_options),
    )
    return Frame(split(joined(unit), draw(st.lists(words, max_size=5))), unit.offload)


class ListDevice(NetDevice):
    """A device whose wire is two lists."""

    def __init__(self, *, checksum: bool = False, segmentation: bool = False) -> None:
        self.name = "list0"
        self.mtu = 1500
        self.mac = HERE
        self.capabilities = Capabilities(checksum, segmentation)
        self.arriving: deque[Frame] = deque()
        self.sent: list[Frame] = []
        self.closed = False

    def fileno(self) -> int:
        return 77

    def read(self, now: int) -> Frame | None:
        return self.arriving.popleft() if self.arriving else None

    def write(self, frame: Frame, now: int) -> None:
        self.sent.append(frame)

    def next_deadline(self) -> int | None:
        return None

    def close(self) -> None:
        self.closed = True


def udp_unit(data: bytes, segment_size: int, *, identification: int = 7) -> Frame:
    """Make a unit of UDP as the stack hands it down."""
    length = 8 + len(data)
    header = (0, 20 + length, identification, ip.DONT_FRAGMENT, 64, 17, SOURCE, DESTINATION)
    partial = pseudo_header_sum(SOURCE, DESTINATION, 17, length)
    transport = bytes.fromhex("1f90d431") + length.to_bytes(2, "big") + partial.to_bytes(2, "big")
    link = build_eth(EthernetHeader(THERE, HERE, 0x0800))
    return Frame((link, ip.build_header(*header), transport, data), Offload(34, 6, segment_size))
