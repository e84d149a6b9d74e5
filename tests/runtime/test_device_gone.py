"""A device that goes away ends with it what depended on it, and nothing else.

Two stacks share a link: a socket pair that keeps message boundaries stands for it.
"""

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import pytest

from tapstack.base.address import LOOPBACK_NETWORK, parse_ipv4, parse_network
from tapstack.base.contracts import Frame, NetDevice
from tapstack.base.units import Instant
from tapstack.device.descriptor import DescriptorDevice, derive_mac
from tapstack.device.loopback import LoopbackDevice
from tapstack.runtime.clock import monotonic
from tapstack.runtime.entropy import SystemEntropy
from tapstack.runtime.runtime import Runtime
from tapstack.socket.facade import Socket
from tapstack.stack import Stack

PATIENCE = 20.0
OURS, THEIRS = "10.9.0.1", "10.9.0.2"


class UnpluggableDevice(DescriptorDevice):
    """A device that is gone from one moment on, as a TAP is that somebody deletes."""

    unplugged = False

    def read(self, now: Instant) -> Frame | None:
        if self.unplugged:
            raise OSError(errno.ENODEV, f"the device {self.name} is gone")
        return super().read(now)

    read_run = NetDevice.read_run


def start_host(end: socket.socket, name: str, address: str) -> Runtime:
    end.setblocking(False)
    device = UnpluggableDevice(end.detach(), name, 1500, derive_mac(name), offload=True)
    stack = Stack(SystemEntropy())
    stack.attach(LoopbackDevice(), LOOPBACK_NETWORK, monotonic())
    stack.attach(device, parse_network(f"{address}/24"), monotonic())
    runtime = Runtime(stack)
    runtime.start()
    return runtime


@pytest.fixture
def hosts() -> Iterator[tuple[Runtime, Runtime]]:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pair = start_host(ends[0], "ours", OURS), start_host(ends[1], "theirs", THEIRS)
    yield pair
    for each in pair:
        each.close()


def test_a_child_of_fork_does_not_keep_a_device_beyond_its_end() -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    runtime = start_host(here, "ours", OURS)
    begin, end = os.pipe()
    child = os.fork()
    if not child:
        os.close(end)
        os.read(begin, 1)
        os._exit(0)
    runtime.close()
    there.settimeout(PATIENCE)
    while there.recv(2048):  # what it had sent before its end
        pass
    os.close(end)
    assert os.waitpid(child, 0)[1] == 0
    os.close(begin)
    there.close()


def unplug(hosts: tuple[Runtime, Runtime]) -> None:
    """Take our device away; one more frame from the other end lets its reader see that."""
    device = hosts[0].stack.interfaces["ours"].device
    assert isinstance(device, UnpluggableDevice)
    device.unplugged = True
    with Socket(hosts[1], socket.SOCK_DGRAM) as sender, suppress(OSError):  # or it has seen it
        sender.sendto(b"anything", (OURS, 9))


def aside(call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call(*arguments))
        except OSError as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def connect(hosts: tuple[Runtime, Runtime]) -> tuple[Socket, Socket]:
    with Socket(hosts[1]) as listener:
        listener.bind((THEIRS, 0))
        listener.listen()
        client = Socket(hosts[0])
        client.connect(listener.getsockname())
        return client, listener.accept()[0]


def test_who_waits_on_a_connection_is_told(hosts) -> None:
    client, server = connect(hosts)
    with client, server:
        waiting = aside(client.recv, 1)
        unplug(hosts)
        assert waiting.exception(PATIENCE).errno == errno.ENETDOWN


def test_who_waits_for_datagrams_at_its_address_is_told(hosts) -> None:
    with Socket(hosts[0], socket.SOCK_DGRAM) as receiver:
        receiver.bind((OURS, 0))
        waiting = aside(receiver.recv, 1)
        unplug(hosts)
        assert waiting.exception(PATIENCE).errno == errno.ENETDOWN


def test_there_is_no_way_out_any_more(hosts) -> None:
    client, server = connect(hosts)
    with client, server, Socket(hosts[0]) as late:
        waiting = aside(client.recv, 1)
        unplug(hosts)
        waiting.exception(PATIENCE)
        assert late.connect_ex((THEIRS, 80)) == errno.ENETUNREACH


def test_what_is_still_sent_that_way_is_lost_without_a_word(hosts, caplog) -> None:
    """ARP's timers go on: they know nothing of devices."""
    client, server = connect(hosts)
    interface = hosts[0].stack.interfaces["ours"]
    with client, server, caplog.at_level(logging.WARNING, "tapstack"):
        waiting = aside(client.recv, 1)
        unplug(hosts)
        waiting.exception(PATIENCE)
        before = interface.device.frames_lost

        def defend(*, now: Instant) -> None:
            interface._arp.own.defend(parse_ipv4(OURS), now)

        hosts[0].call(defend)
        assert interface.device.frames_lost == before + 1
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_what_never_left_the_host_goes_on(hosts) -> None:
    client, server = connect(hosts)
    with client, server, Socket(hosts[0]) as listener, Socket(hosts[0]) as inner:
        listener.bind((OURS, 0))
        listener.listen()
        inner.connect(listener.getsockname())
        accepted, _ = listener.accept()
        waiting = aside(client.recv, 1)
        unplug(hosts)
        waiting.exception(PATIENCE)
        with accepted:
            inner.sendall(b"still here")
            assert accepted.recv(99) == b"still here"


def test_a_stack_without_its_device_closes_at_once(hosts) -> None:
    client, server = connect(hosts)
    with client, server:
        waiting = aside(client.recv, 1)
        unplug(hosts)
        waiting.exception(PATIENCE)
        hosts[0].close()
        assert not hosts[0]._leadership.thread.is_alive()
