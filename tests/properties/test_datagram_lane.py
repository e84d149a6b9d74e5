"""The lane for datagrams and the layers are one stack: both do the same with whatever comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Endpoint, Network, parse_ipv4
from tapstack.base.checksum import complete_checksum, pseudo_header_sum
from tapstack.base.contracts import VERIFIED, Capabilities, Frame, Offload
from tapstack.device.loopback import LoopbackDevice
from tapstack.eth.wire import EthernetHeader, build as build_eth
from tapstack.express_datagrams import DatagramLane
from tapstack.ip import wire as ip
from tapstack.sim.entropy import SeededEntropy
from tapstack.stack import Stack

US, HOST, BROADCAST = (parse_ipv4(f"10.0.0.{last}") for last in (1, 2, 255))
OUR_MAC, THEIR_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
PORT, NOW = 9, 10**6
FIELDS = st.sampled_from([0, 1, 2, 4, 5, 6, 11, 12, 14, 15, 16, 17, 20, 22, 23, 26, 30, 36, 38, 40])
"""Octets of the headers, a few of each."""


class Wire:
    """A device that keeps what is sent."""

    name, mtu, mac, capabilities = "tap0", 1500, OUR_MAC, Capabilities(True, True, True)

    def __init__(self) -> None:
        self.sent: deque[bytes] = deque()

    def fileno(self) -> int:
        return -1

    def read(self, now: int) -> Frame | None:
        return None

    def write(self, frame: Frame, now: int) -> None:
        self.sent.append(b"".join(frame.parts))

    def next_deadline(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def datagram(
    data: bytes,
    port: int = PORT,
    *,
    source: int = HOST,
    destination: int = US,
    tos: int = 0,
    padding: int = 0,
) -> bytes:
    """Make a frame with its checksums."""
    length = 8 + len(data)
    link = build_eth(EthernetHeader(OUR_MAC, THEIR_MAC, 0x0800))
    network = ip.build_header(tos, 20 + length, 7, ip.DONT_FRAGMENT, 64, 17, source, destination)
    words = (4000, port, length, pseudo_header_sum(source, destination, 17, length))
    transport = b"".join(word.to_bytes(2, "big") for word in words)
    whole = complete_checksum([link, network, transport, data], Offload(34, 6, 0))
    return whole + bytes(padding)


def play(frames: Sequence[Frame], *, express: bool) -> list[object]:
    """Give all that a stack has to show for some frames; the last is how many the lane took."""
    taken = 0
    with pytest.MonkeyPatch.context() as patch:
        take = DatagramLane.receive

        def receive(lane: DatagramLane, *arguments: object) -> bool:
            nonlocal taken
            done = express and take(lane, *arguments)  # type: ignore[arg-type]
            taken += done
            return done

        patch.setattr(DatagramLane, "receive", receive)
        stack, wire = Stack(SeededEntropy("lane")), Wire()
        stack.attach(LoopbackDevice(), Network(parse_ipv4("127.0.0.1"), 8), NOW)
        interface = stack.attach(wire, Network(US, 24), NOW)
        sockets = [stack.udp.open() for _ in range(3)]
        stack.udp.bind(sockets[0], Endpoint(0, PORT))
        stack.udp.bind(sockets[1], Endpoint(US, PORT + 1))
        stack.udp.bind(sockets[2], Endpoint(0, PORT + 2))
        stack.udp.connect(sockets[2], Endpoint(HOST, 4000))
        events = []
        for frame in frames:
            stack.receive(interface, frame, NOW)
            events.append([(sockets.index(e.endpoint), e.events) for e in stack.take_events()])  # type: ignore[arg-type]
        got = [list(iter(lambda: stack.udp.receive_next(each), None)) for each in sockets]  # noqa: B023
    return [events, got, dict(stack.counters), list(wire.sent), taken]


@st.composite
def any_frames(draw: st.DrawFn) -> Frame:
    octets = bytearray(
        datagram(
            draw(st.binary(max_size=40)),
            draw(st.integers(PORT, PORT + 3)),
            source=draw(st.sampled_from([HOST, HOST + 1, US, BROADCAST, 0, 0x7F000001])),
            destination=draw(st.sampled_from([US, US, US, BROADCAST, 0xE0000001, HOST])),
            tos=draw(st.integers(0, 3)),
            padding=draw(st.sampled_from([0, 0, 4])),
        )
    )
    for place in draw(st.lists(FIELDS, max_size=2)):
        octets[place] = draw(st.integers(0, 255))
    offload = draw(st.sampled_from([None, None, VERIFIED, Offload(34, 6, 0), Offload(34, 6, 9)]))
    return Frame((memoryview(octets[: draw(st.integers(0, 90))]),), offload)


@given(st.lists(any_frames(), max_size=4))
def test_the_lane_does_as_the_layers_do(frames: list[Frame]) -> None:
    assert play(frames, express=True)[:-1] == play(frames, express=False)[:-1]


@pytest.mark.parametrize("port", [PORT, PORT + 1, PORT + 2])
@pytest.mark.parametrize("offload", [None, VERIFIED])
def test_plain_datagrams_take_the_lane(port: int, offload: Offload | None) -> None:
    frames = [Frame((memoryview(datagram(data, port)),), offload) for data in (b"one", b"", b"3")]
    *fast, taken = play(frames, express=True)
    assert (fast, taken) == (play(frames, express=False)[:-1], 3)
