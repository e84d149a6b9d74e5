"""Stacks driven by real threads and time: over a link of two, and down to the end."""

import logging
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tapstack.base.address import LOOPBACK_NETWORK, parse_network
from tapstack.base.contracts import Frame, NetDevice, make_frame
from tapstack.base.units import SECOND, Instant
from tapstack.capture.pcap import PcapReader
from tapstack.device.descriptor import DescriptorDevice, derive_mac
from tapstack.device.impairment import ImpairedDevice, parse_impairments
from tapstack.device.loopback import LoopbackDevice
from tapstack.runtime.clock import epoch_offset, monotonic
from tapstack.runtime.default import Settings, bring_up
from tapstack.runtime.entropy import SystemEntropy
from tapstack.runtime.runtime import Runtime
from tapstack.socket.facade import Socket
from tapstack.stack import Stack
from tests.socket.nets import LOOPBACK, PATIENCE, Background, Net, stuck_listener, until

HERE, THERE = "10.9.0.1", "10.9.0.2"


def start(device: NetDevice | None, address: str) -> Runtime:
    stack = Stack(SystemEntropy())
    stack.attach(LoopbackDevice(), LOOPBACK_NETWORK, monotonic())
    if device is not None:
        stack.attach(device, parse_network(f"{address}/24"), monotonic())
    runtime = Runtime(stack)
    runtime.start()
    return runtime


def link(impair: str = "") -> tuple[NetDevice, NetDevice]:
    """Give both ends of a link that is a pair of sockets; what impairs it is on the first."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    devices: list[NetDevice] = []
    for end, name in zip(ends, ("here", "there"), strict=True):
        end.setblocking(False)
        fd = end.detach()
        devices.append(DescriptorDevice(fd, name, 1500, derive_mac(name), offload=True))
    if impair:
        devices[0] = ImpairedDevice(devices[0], parse_impairments(impair))
    return devices[0], devices[1]


@pytest.fixture
def hosts(request: pytest.FixtureRequest) -> Iterator[tuple[Net, Net]]:
    devices = link(getattr(request, "param", ""))
    with ExitStack() as stack:
        nets = []
        for device, address in zip(devices, (HERE, THERE), strict=True):
            runtime = start(device, address)
            stack.callback(runtime.close)
            nets.append(Net(runtime))
        yield nets[0], nets[1]
        for net in nets:
            net.close()


def listen(net: Net, address: str) -> Any:
    listener = net.socket()
    listener.bind((address, 0))
    listener.listen()
    return listener


@pytest.mark.parametrize("hosts", ["", "delay=5ms", "loss=3%,seed=3"], indirect=True)
def test_two_stacks_over_a_link(hosts: tuple[Net, Net]) -> None:
    here, there = hosts
    listener, client = listen(there, THERE), here.socket()
    client.connect(listener.getsockname())
    server = there.accept(listener)
    assert server.getpeername()[0] == HERE
    octets = os.urandom(300_000)
    sender = Background(client.sendall, octets)
    received = b""
    while len(received) < len(octets):
        received += server.recv(65536)
    sender.result()
    assert received == octets


@pytest.mark.parametrize("hosts", ["delay=30ms,direction=out"], indirect=True)
def test_a_frame_that_a_device_delays_leaves_in_time(hosts: tuple[Net, Net]) -> None:
    """UDP sets no timer: once ARP is at rest, only the device's own deadline wakes the reader."""
    here, there = hosts
    receiver, sender = there.socket(socket.SOCK_DGRAM), here.socket(socket.SOCK_DGRAM)
    receiver.bind((THERE, 0))
    receiver.settimeout(PATIENCE)
    for _ in range(15):
        begun = monotonic()
        sender.sendto(b"x", receiver.getsockname())
        assert receiver.recv(9) == b"x"
        assert 30_000 <= monotonic() - begun < 5 * SECOND


def test_close_wakes_everybody(runtime: Runtime) -> None:
    net = Net(runtime)
    client, _ = net.pair()
    stuck = stuck_listener(net).getsockname()
    waiting: list[Background[Any]] = [
        Background(client.recv, 1),
        Background(net.listener().accept),
        Background(net.datagram().recv, 1),
        Background(net.socket().connect, stuck),
    ]
    for each in waiting:
        each.until_blocked()
    Background(runtime.close).result()
    for each in waiting:
        with pytest.raises(OSError, match=r"."):
            each.result()
    net.close()


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = bring_up(Settings(dev="none")).runtime
    yield runtime
    runtime.close()


def test_a_closed_stack_gives_no_datagram(runtime: Runtime) -> None:
    net = Net(runtime)
    udp = net.datagram()
    udp.sendto(b"too late", udp.getsockname())
    runtime.close()
    with pytest.raises(OSError, match="Network is down"):
        udp.recvfrom(100)
    net.close()


def test_close_amid_calls(runtime: Runtime) -> None:
    """Threads that go in and out of the stack meet its end wherever they are."""
    net = Net(runtime)
    pairs = [net.pair() for _ in range(4)]

    def chatter(client: Any, server: Any) -> None:
        while True:
            client.send(b"x" * 100)
            server.recv(100)

    busy = [Background(chatter, *pair) for pair in pairs]
    Background(runtime.close).result()
    for each in busy:
        with pytest.raises(OSError, match=r"."):
            each.result()
    net.close()


def test_closing_delivers_what_was_sent(hosts: tuple[Net, Net]) -> None:
    here, there = hosts
    listener, client = listen(there, THERE), here.socket()
    client.connect(listener.getsockname())
    server = there.accept(listener)
    client.sendall(b"last words" * 1000)
    assert here.runtime
    here.runtime.close()
    assert server.recv(20_000, socket.MSG_WAITALL) == b"last words" * 1000


@pytest.mark.parametrize("hosts", ["delay=20ms"], indirect=True)
def test_who_lingers_hears_of_a_simultaneous_close(hosts: tuple[Net, Net]) -> None:
    here, there = hosts
    listener, client = listen(there, THERE), here.socket()
    client.connect(listener.getsockname())
    server = there.accept(listener)
    for each in (client, server):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    for closing in [Background(each.close) for each in (client, server)]:
        closing.result()


def test_nothing_is_left(tmp_path: Path) -> None:
    threads, fds = threading.enumerate(), os.listdir("/proc/self/fd")
    for _ in range(3):
        runtime = bring_up(Settings(dev="none", pcap=str(tmp_path / "lo.pcap"))).runtime
        assert runtime.now() <= monotonic()
        runtime.close()
        runtime.close()
    assert threading.enumerate() == threads
    assert os.listdir("/proc/self/fd") == fds


def test_a_loopback_is_recorded(tmp_path: Path) -> None:
    file = tmp_path / "lo.pcap"
    before = monotonic() + epoch_offset()
    runtime = bring_up(Settings(dev="none", pcap=str(file))).runtime
    with Socket(runtime, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"recorded", (LOOPBACK, 9))
    runtime.close()
    with file.open("rb") as stream:
        frames = list(PcapReader(stream))
    assert [b"recorded" in frame.octets for frame in frames] == [True, True]  # and the ICMP error
    assert frames[0].time >= before - SECOND


def test_what_cannot_come_up_leaves_nothing(tmp_path: Path) -> None:
    threads, fds = threading.enumerate(), os.listdir("/proc/self/fd")
    for path in (tmp_path / "nowhere" / "file", tmp_path):
        with pytest.raises(OSError, match=r"No such file|Is a directory"):
            bring_up(Settings(dev="none", pcap=str(path)))
    with pytest.raises(ValueError, match="no link to impair"):
        bring_up(Settings(dev="none", impair="loss=1%"))
    assert threading.enumerate() == threads
    assert os.listdir("/proc/self/fd") == fds


class BrokenDevice(DescriptorDevice):
    """A device whose descriptor hangs up, and says nothing of it when it is read."""

    waiting = 0
    """How many frames can still be read, of which no layer makes anything."""

    def read(self, now: Instant) -> Frame | None:
        if not self.waiting:
            return None
        self.waiting -= 1
        return make_frame(((memoryview(bytes(60)),), None))

    read_run = NetDevice.read_run

    def write(self, frame: Frame, now: Instant) -> None:
        """Lose it."""


def test_a_descriptor_that_hangs_up_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    with caplog.at_level(logging.WARNING, "tapstack"):
        runtime = start(
            BrokenDevice(readable, "broken", 1500, derive_mac("x"), offload=False), HERE
        )
        udp = Socket(runtime, socket.SOCK_DGRAM)
        udp.bind((HERE, 0))
        waiting = Background(udp.recv, 1)
        os.close(writable)
        with pytest.raises(OSError, match="Network is down"):
            waiting.result()
        udp.close()
        runtime.close()
    assert [record.message for record in caplog.records] == [
        "broken is gone: its descriptor hung up"
    ]


@pytest.mark.parametrize("waiting", [0, 1, 100])
def test_a_descriptor_that_hangs_up_is_given_up_once_it_is_read(waiting: int) -> None:
    """Though nobody waits but the stack's own thread, which is told of it but once."""
    readable, writable = os.pipe()
    device = BrokenDevice(readable, "broken", 1500, derive_mac("x"), offload=False)
    runtime = start(device, HERE)
    device.waiting = waiting
    os.close(writable)
    until(lambda: device.fileno() < 0)
    assert device.waiting == 0
    runtime.close()


def test_what_an_attempt_raises_is_its_callers(runtime: Runtime) -> None:
    def attempt(*, now: Instant) -> None:
        raise KeyError(now > 0)

    with pytest.raises(KeyError) as caught:
        runtime.call(attempt)
    assert caught.value.args == (True,)
    assert runtime.call(lambda value, *, now: value + 1, 41) == 42  # and the lock is free


def test_a_defect_within_the_core_ends_nobodys_thread(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    def on_expiry(_: object, __: Instant) -> None:
        raise ZeroDivisionError

    def arm(*, now: Instant) -> None:
        runtime.stack.timers.timer(None, on_expiry).arm(now)

    with caplog.at_level(logging.ERROR, "tapstack"):
        runtime.call(arm)
        net = Net(runtime)
        accepting = Background(net.listener().accept)
        until(lambda: "defect" in caplog.text)  # whoever drives has met the timer
        client, server = net.pair()
        client.send(b"alive")
        assert server.recv(9) == b"alive"
        assert accepting.is_alive()
        net.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        accepting.result()


def test_a_deadline_in_the_far_future_is_slept_towards(runtime: Runtime) -> None:
    """Farther than poll(2) can be told: 2³¹ ms are 25 days."""
    reached = threading.Event()

    def arm(deadline: Instant, *, now: Instant) -> None:
        runtime.stack.timers.timer(None, lambda _, __: reached.set()).arm(now + deadline)

    runtime.call(arm, 10**9 * SECOND)
    assert not reached.wait(0.05)  # the reader goes to sleep meanwhile
    runtime.call(arm, 0)
    assert reached.wait(PATIENCE)


def test_the_reader_sleeps_while_nothing_happens(runtime: Runtime) -> None:
    reader = next(each for each in threading.enumerate() if each.name == "tapstack-reader")
    stat = Path(f"/proc/self/task/{reader.native_id}/stat")

    def processor_time() -> int:
        fields = stat.read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = processor_time()
    with Socket(runtime) as idle:
        select.select([], [], [idle.fileno()], 0.3)
    assert processor_time() - before < 10  # hundredths of a second
