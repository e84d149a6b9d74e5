"""A run of frames does what one long unit would: the express lane's, as the layers take it.

Each random world is run twice, on hosts that come late to read what has arrived, and then find
several frames. In one they are handed over as they are. In the other the layers get, for each run
that the lane took in the first, one frame with all its text and its last acknowledgment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings

from tapstack.base.checksum import checksum, is_checksum_right
from tapstack.base.contracts import VERIFIED, Frame, Offload
from tapstack.base.units import Duration, Instant
from tapstack.express import ExpressLane
from tapstack.express_runs import read_run
from tapstack.interface import NetworkInterface
from tapstack.sim import Host, World
from tapstack.sim.port import Port
from tapstack.stack import Stack
from tapstack.tcp.segment import Timestamps
from tapstack.tcp.sent_segment import packets_of
from tests.properties.scenario_run import Run
from tests.properties.scenarios import End, Meeting, Road, Scenario, Side, Write
from tests.properties.test_express_lane import History
from tests.properties.test_random_worlds import WORLDS

pytestmark = pytest.mark.slow

LATE: Duration = 900
"""µs that pass until a host reads what has arrived."""
MOST = 8
"""Frames that it reads at once, and octets of those that one datagram can say."""
LONGEST = 60_000
HEADERS = 66
OF_FRAMES = ("IfInPkts", "IpInReceives", "IpInDelivers", "IpExtInNoECTPkts", "TcpInSegs")


Deliver = Callable[[Stack, NetworkInterface, list[Frame], Instant], None]


class LateReader:
    """How a host reads one of its devices."""

    def __init__(self, host: Host, port: Port, world: World, deliver: Deliver) -> None:
        self.host = host
        self.interface = host.stack.interfaces[port.name]
        self.deliver = deliver
        self.waiting: deque[Frame] = deque()
        self.timer = world._clock.timers.timer(None, self.read)
        port.receive = self.receive

    def receive(self, frame: Frame, now: Instant) -> None:
        if not self.waiting:
            self.timer.arm(now + LATE)
        self.waiting.append(trusted(frame))

    def read(self, _: object, now: Instant) -> None:
        while self.waiting:
            frames: list[Frame] = []
            room = LONGEST
            while (
                self.waiting
                and len(frames) < MOST
                and (not frames or len(self.waiting[0].parts[0]) <= room)
            ):
                frames.append(self.waiting.popleft())
                room -= len(frames[-1].parts[0])
            self.deliver(self.host.stack, self.interface, frames, now)
            self.host._leave()


def trusted(frame: Frame) -> Frame:
    """Take a checksum that is right as a device with offload would."""
    octets = frame.parts[0]
    source, destination = (int.from_bytes(octets[at : at + 4], "big") for at in (26, 30))
    if octets[12:15] != b"\x08\0\x45" or octets[23] != 6:
        return frame
    right = is_checksum_right(source, destination, 6, memoryview(octets)[34:])
    return frame._replace(offload=VERIFIED) if right else frame


def united(stack: Stack, frames: Sequence[Frame]) -> Frame:
    """Make one frame of a run, and count what it hides."""
    octets = [bytes(frame.parts[0]) for frame in frames]
    text = b"".join(each[HEADERS:] for each in octets)
    size = len(octets[0]) - HEADERS
    header = bytearray(octets[0][:HEADERS])
    header[16:18] = (HEADERS - 14 + len(text)).to_bytes(2, "big")
    header[24:26] = bytes(2)
    header[24:26] = checksum(bytes(header[14:34])).to_bytes(2, "big")
    for part in (slice(42, 46), slice(48, 50), slice(58, 66)):
        header[part] = octets[-1][part]
    for each in octets:
        header[47] |= each[47]
    for name in OF_FRAMES:
        stack.counters[name] += len(frames) - 1
    stack.counters["IfInOctets"] += HEADERS * (len(frames) - 1)
    key = [int.from_bytes(header[a:b], "big") for a, b in ((30, 34), (36, 38), (26, 30), (34, 36))]
    tcb = stack.tcp.context.connections.tcbs[key[0], key[1], key[2], key[3]]
    packets = sum(packets_of(len(each) - HEADERS, size or 1) for each in octets)
    hidden = packets - packets_of(len(text), size or 1)
    tcb.statistics.on_received(hidden, bool(text))
    return Frame((memoryview(bytes(header) + text),), Offload(34, 16, size) if text else VERIFIED)


def play(scenario: Scenario, taken: list[int], *, express: bool) -> History:
    """Run a world; with `express`, note how many frames the lane took at each call."""
    history = History()
    with pytest.MonkeyPatch.context() as patch, World(scenario.seed) as world:
        take, flush, before = ExpressLane.receive, Stack.flush, iter(list(taken))
        served: Stack | None = None  # whose frames the lane takes, as is noted

        def receive(lane: ExpressLane, *arguments: object) -> int:
            frames = take(lane, *arguments) if express else 0  # type: ignore[arg-type]
            if served is not None:
                taken.append(frames)
                if not served.tcp.context.is_due:
                    history.look_at_connections(served)  # as no flush follows
            return frames

        def deliver(
            stack: Stack, interface: NetworkInterface, frames: list[Frame], now: Instant
        ) -> None:
            nonlocal served
            served = stack if express else None
            if express:
                stack.receive_all(interface, frames, now)
                frames = []
            while frames:
                length = max(next(before), 1)
                run, frames = frames[:length], frames[length:]
                stack.receive(interface, united(stack, run) if length > 1 else run[0], now)
            served = None

        def flush_and_look(stack: Stack, now: Instant) -> None:
            flush(stack, now)
            history.look_at_connections(stack)

        patch.setattr(ExpressLane, "receive", receive)
        patch.setattr(Stack, "flush", flush_and_look)
        run = Run(scenario, world)
        hosts = {host.name: host for host in (run.client, run.server)}
        for link in world.links:
            for port in link.ports:
                if port.host in hosts:
                    LateReader(hosts[port.host], port, world, deliver)
        with history.watching(world, (run.client, run.server)):
            run.run()
        history.counters = [dict(host.stack.counters) for host in hosts.values()]
    return history


def check(scenario: Scenario) -> list[int]:
    """Compare; give how many frames the lane took at each call."""
    taken: list[int] = []
    fast = play(scenario, taken, express=True)
    true = play(scenario, taken, express=False)
    fast.check_is_as(true)
    return taken


def bulk(side: Side) -> Scenario:
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(0, 0, False, side, side)]
    return Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings)


def test_bulk_both_ways_comes_in_runs() -> None:
    taken = check(bulk(Side([Write(300_000)], 0, End.HALF_CLOSE, [100_000], 0, None, {})))
    assert taken.count(MOST) > 10


@pytest.mark.parametrize("seed", range(6))
def test_an_ack_that_is_owed_is_thought_of_again_when_one_comes(seed: int) -> None:
    """That of a FIN which has just come: text that left before it has arrived a little later."""
    road = Road(None, 20_000, 500, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    client = Side([Write(10), Write(10)], 1, End.WAIT, [100], 0, None, {"TCP_NODELAY": 1})
    server = Side([], 0, End.HALF_CLOSE, [100], 0, None, {})
    meetings = [Meeting(0, 0, False, client, server)]
    check(Scenario(seed, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))


@settings(max_examples=25)
@given(WORLDS)
def test_a_run_does_as_one_long_unit_would(scenario: Scenario) -> None:
    check(scenario)


# --- what ends a run ---

FIRST = bytes.fromhex(
    "020000000001 020000000002 0800"
    "4500 0068 0007 4000 4006 0000 0a000002 0a000001"
    "03e8 1b58 00001000 00002000 8010 0200 0000 0000 0101080a 00000009 00000008"
)


def frame_behind(seq: int, ack: int, text: bytes, *, flags: int = 0x10) -> bytearray:
    """Make a frame that says what `FIRST` does, and how it goes on."""
    octets = bytearray(FIRST + text)
    octets[38:42], octets[42:46] = seq.to_bytes(4, "big"), ack.to_bytes(4, "big")
    octets[47] = flags
    octets[16:18] = (len(octets) - 14).to_bytes(2, "big")
    octets[18:20] = b"\0\x08"
    octets[24:26] = bytes(2)
    octets[24:26] = checksum(bytes(octets[14:34])).to_bytes(2, "big")
    return octets


@pytest.mark.parametrize("at", range(HEADERS))
def test_a_run_ends_in_front_of_what_says_something_else(at: int) -> None:
    first = memoryview(bytes(frame_behind(0x1000, 0x2000, b"text")))
    for bit in range(8):
        second = frame_behind(0x1004, 0x2000, b"more")
        second[at] ^= 1 << bit
        goes_on = at in range(48, 54) or (at, bit) == (47, 3)  # from the window on; PSH
        if at in range(42, 46):
            goes_on = 0 <= int.from_bytes(second[42:46], "big") - 0x2000 < 2**31
        run = read_run(first, 4, [Frame((bytes(second),), VERIFIED)])
        assert run.frames == 1 + goes_on


def test_of_a_run_the_last_window_counts_and_any_push() -> None:
    frames = [frame_behind(0x1000 + at, 0x2000 + at, b"text", flags=0x10) for at in (0, 4, 8)]
    frames[1][47] |= 8
    frames[2][48:50] = b"\x01\x23"
    first, *rest = (memoryview(bytes(each)) for each in frames)
    run = read_run(first, 4, [Frame((each,), VERIFIED) for each in rest])
    assert b"".join(run.texts) == b"text" * 3
    assert (run.frames, run.octets, run.length, run.packets) == (3, 210, 12, 3)
    assert (run.ack, run.wnd, run.word & 8) == (0x2008, 0x123, 8)


@pytest.mark.parametrize(
    ("acks", "length"),
    [((0x2000, 0x2001, 0x2005), 3), ((0x2000, 0x2000), 1), ((0x2005, 0x2006, 0x2006), 2)],
)
def test_each_of_several_duplicate_acknowledgments_is_heard(
    acks: Sequence[int], length: int
) -> None:
    first, *rest = (memoryview(bytes(frame_behind(0x1000, ack, b""))) for ack in acks)
    run = read_run(first, 0, [Frame((each,), VERIFIED) for each in rest])
    assert (run.frames, run.packets, run.length) == (length, length, 0)


@pytest.mark.parametrize(
    ("text", "value", "length"),
    [
        (b"", 9, 2),
        (b"", 10, 2),
        (b"", 8, 1),
        (b"", 8 + 2**31, 2),
        (b"text", 9, 2),
        (b"text", 10, 1),
    ],
)
def test_of_acknowledgments_the_last_timestamps_count(text: bytes, value: int, length: int) -> None:
    first = memoryview(bytes(frame_behind(0x1000, 0x2000, text)))
    second = frame_behind(0x1000 + len(text), 0x2001, text)
    second[58:62] = value.to_bytes(4, "big")
    run = read_run(first, len(text), [Frame((bytes(second),), VERIFIED)])
    assert (run.frames, run.stamps) == (length, Timestamps(value if length > 1 else 9, 8))


@pytest.mark.parametrize(
    ("following", "offload"),
    [
        (frame_behind(0x1004, 0x2000, b"more"), None),  # a checksum that nobody has verified
        (frame_behind(0x1004, 0x2000, b"m" * 9), Offload(34, 16, 3)),  # segments of another size
        (frame_behind(0x1004, 0x2001, b""), VERIFIED),  # no text
        (frame_behind(0x1003, 0x2000, b"text"), VERIFIED),  # text that came before
        (frame_behind(0x1005, 0x2000, b"text"), VERIFIED),  # beyond a gap
    ],
)
def test_a_run_ends_in_front_of_another_kind(following: bytearray, offload: Offload) -> None:
    first = memoryview(bytes(frame_behind(0x1000, 0x2000, b"text")))
    assert read_run(first, 4, [Frame((bytes(following),), offload)]).frames == 1
