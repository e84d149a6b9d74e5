"""The lane for datagrams and the layers are one stack: both do the same with whatever comes."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Endpoint, Network, parse_ipv4
from tapstack.base.checksum import complete_checksum, pseudo_header_sum
from tapstack.base.contracts import (
    VERIFIED,
    Capabilities,
    Frame,
    NetDevice,
    Offload,
    SocketEvent,
)
from tapstack.device.loopback import LoopbackDevice
from tapstack.eth.wire import EthernetHeader, build as build_eth
from tapstack.express_datagrams import DatagramLane
from tapstack.ip import wire as ip
from tapstack.sim.entropy import SeededEntropy
from tapstack.stack import Stack
from tapstack.udp.sockets import UdpSocket

US, HOST, BROADCAST = (parse_ipv4(f"10.0.0.{last}") for last in (1, 2, 255))
OUR_MAC, THEIR_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
PORT, NOW = 9, 10**6
FIELDS = st.sampled_from([0, 1, 2, 4, 5, 6, 11, 12, 14, 15, 16, 17, 20, 22, 23, 26, 30, 36, 38, 40])
"""Octets of the headers, a few of each."""


class Wire(NetDevice):
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


Change = Callable[[Stack, list[UdpSocket]], object]


def share_port(stack: Stack, sockets: list[UdpSocket]) -> None:
    """Open one more socket at the first one's port, of which some senders are its."""
    sockets[0].reuse_port = True
    sockets.append(stack.udp.open())
    sockets[-1].reuse_port = True
    with suppress(OSError):
        stack.udp.bind(sockets[-1], Endpoint(0, PORT))


def give_up_sharing(_: Stack, sockets: list[UdpSocket]) -> None:
    sockets[-1].reuse_port = False


def close(stack: Stack, sockets: list[UdpSocket]) -> None:
    stack.udp.close(sockets[0])


def connect(stack: Stack, sockets: list[UdpSocket]) -> None:
    stack.udp.connect(sockets[1], Endpoint(HOST, 4000))


def dissolve(stack: Stack, sockets: list[UdpSocket]) -> None:
    stack.udp.connect(sockets[1], None)


def become_sender(stack: Stack, _: list[UdpSocket]) -> None:
    stack.ip.add_address(stack.interfaces["tap0"], Network(HOST, 32))


def listen_raw(stack: Stack, _: list[UdpSocket]) -> None:
    stack.ip.raw.open(17)


def take_less(_: Stack, sockets: list[UdpSocket]) -> None:
    sockets[0].queue.limit = 1100


CHANGES: list[Change] = [
    share_port,
    give_up_sharing,
    close,
    connect,
    dissolve,
    become_sender,
    listen_raw,
    take_less,
]
Step = Change | list[Frame]
"""Something that changes what datagrams are for whom, or frames that come at once."""


def name_of(sockets: list[UdpSocket]) -> Callable[[SocketEvent], object]:
    """Have events of different stacks compare."""
    return lambda event: (isinstance(event[0], UdpSocket) and sockets.index(event[0]), event[1])


def play(steps: Sequence[Step], *, express: bool) -> list[object]:
    """Give all that a stack has to show for some frames; the last is how many the lane took."""
    stack, wire = Stack(SeededEntropy("lane")), Wire()
    stack.attach(LoopbackDevice(), Network(parse_ipv4("127.0.0.1"), 8), NOW)
    interface = stack.attach(wire, Network(US, 24), NOW)
    sockets = [stack.udp.open() for _ in range(3)]
    stack.udp.bind(sockets[0], Endpoint(0, PORT))
    stack.udp.bind(sockets[1], Endpoint(US, PORT + 1))
    stack.udp.bind(sockets[2], Endpoint(0, PORT + 2))
    stack.udp.connect(sockets[2], Endpoint(HOST, 4000))
    events, taken, lane = [], 0, DatagramLane(stack)
    for step in steps:
        if callable(step):
            step(stack, sockets)
            continue
        rest = step
        while rest:
            by_lane = lane.receive(interface, rest, NOW) if express else 0
            if not by_lane:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(DatagramLane, "receive", lambda *_: 0)
                    stack.receive(interface, rest[0], NOW)
            taken += by_lane
            rest = rest[by_lane or 1 :]
        events.append([what for what, _ in groupby(stack.take_events(), key=name_of(sockets))])
    got = [list(iter(lambda: stack.udp.receive_next(each), None)) for each in sockets]  # noqa: B023
    drops = stack.counters.drops
    return [events, got, dict(stack.counters), drops, list(wire.sent), taken]


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


@given(st.lists(st.one_of(st.lists(any_frames(), max_size=4), st.sampled_from(CHANGES))))
def test_the_lane_does_as_the_layers_do(steps: list[Step]) -> None:
    assert play(steps, express=True)[:-1] == play(steps, express=False)[:-1]


PLAIN = st.builds(
    lambda data, port, source, tos: Frame(
        (memoryview(datagram(data, port, source=source, tos=tos)),), VERIFIED
    ),
    st.binary(max_size=40),
    st.integers(PORT, PORT + 2),
    st.sampled_from([HOST, HOST, HOST + 1]),
    st.sampled_from([0, 0, 0, 4]),
)


@given(st.lists(st.one_of(st.lists(PLAIN, max_size=6), st.sampled_from(CHANGES))))
def test_the_lane_forgets_what_has_changed(steps: list[Step]) -> None:
    assert play(steps, express=True)[:-1] == play(steps, express=False)[:-1]


@pytest.mark.parametrize("port", [PORT, PORT + 1, PORT + 2])
@pytest.mark.parametrize("offload", [None, VERIFIED])
def test_plain_datagrams_take_the_lane(port: int, offload: Offload | None) -> None:
    frames = [Frame((memoryview(datagram(data, port)),), offload) for data in (b"one", b"", b"3")]
    *fast, taken = play([frames], express=True)
    assert (fast, taken) == (play([frames], express=False)[:-1], 3)


@pytest.mark.parametrize(
    "other",
    [
        {5: 9},  # the link address of somebody else
        {11: 9},  # another neighbour's
        {15: 4, 19: 3},  # type of service, and an identification that leaves the sum as it is
        {22: 63, 18: 1},  # TTL, likewise
        {15: 4},  # alone, that makes the checksum wrong
        {22: 63},
        {20: 0x20},  # a fragment, or not
    ],
)
def test_a_header_that_was_another_before(other: dict[int, int]) -> None:
    octets = bytearray(datagram(b"x"))
    frames = [Frame((memoryview(bytes(octets)),), VERIFIED)]
    for place, value in other.items():
        octets[place] = value
    steps: list[Step] = [[*frames, Frame((memoryview(octets),), VERIFIED), *frames]]
    assert play(steps, express=True)[:-1] == play(steps, express=False)[:-1]


def test_who_gives_up_sharing_a_port_gets_nothing_more() -> None:
    steps: list[Step] = [share_port]
    for change in (share_port, give_up_sharing, share_port):
        senders = (datagram(b"x", source=HOST + number) for number in range(8))
        steps += [[Frame((memoryview(octets),), VERIFIED) for octets in senders], change]
    assert play(steps, express=True)[:-1] == play(steps, express=False)[:-1]


def test_it_tells_by_what_interface_a_datagram_came() -> None:
    stack = Stack(SeededEntropy("lane"))
    interfaces = []
    for number, name in enumerate(("tap0", "tap1")):
        wire = Wire()
        wire.name = name
        interfaces.append(stack.attach(wire, Network(US + 256 * number, 24), NOW))
    socket, frame = stack.udp.open(), Frame((memoryview(datagram(b"x")),), VERIFIED)
    stack.udp.bind(socket, Endpoint(0, PORT))
    lane = DatagramLane(stack)
    for interface in (*interfaces, *interfaces):
        assert lane.receive(interface, [frame], NOW) == 1
        arrival = stack.udp.receive_next(socket)
        assert arrival is not None
        assert arrival.origin.interface == interface.name


def test_senders_that_nobody_hears_of_again_cost_no_memory() -> None:
    stack, wire = Stack(SeededEntropy("lane")), Wire()
    interface = stack.attach(wire, Network(US, 24), NOW)
    stack.udp.bind(stack.udp.open(), Endpoint(0, PORT))
    lane = DatagramLane(stack)
    frames = [
        Frame((memoryview(datagram(b"", source=HOST + 256 * number)),), VERIFIED)
        for number in range(2000)
    ]
    gc.collect()
    before = len(gc.get_objects())
    assert lane.receive(interface, frames, NOW) == 2000
    stack.take_events()
    gc.collect()
    assert len(gc.get_objects()) - before < 2500
