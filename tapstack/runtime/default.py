"""Bringing a stack up from settings: devices, addresses, routes, and the runtime that drives it.

The default stack, which a program gets by importing `tapstack.socket`, comes up on first use from
`tapstack.configure(...)` or the environment.

Not done here: making rights (`namespace.py`), and the devices themselves (`device/`).
"""

from __future__ import annotations

import atexit
import errno
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from tapstack.base.address import (
    LOOPBACK_NETWORK,
    Network,
    format_ipv4,
    is_loopback,
    parse_network,
)
from tapstack.base.contracts import NetDevice
from tapstack.capture.pcap import create_capture
from tapstack.device.capture import CaptureDevice
from tapstack.device.impairment import ImpairedDevice, parse_impairments
from tapstack.device.loopback import LoopbackDevice
from tapstack.device.name import check_device_name
from tapstack.device.open import open_link
from tapstack.device.tap import TunUnavailableError
from tapstack.ip.config import LEAST_MTU, IpConfig
from tapstack.ip.routing import DEFAULT, Route
from tapstack.runtime.clock import epoch_offset, monotonic
from tapstack.runtime.entropy import SystemEntropy
from tapstack.runtime.memory import keep_freed_memory
from tapstack.runtime.runtime import Runtime
from tapstack.stack import Stack

NO_DEVICE = "none"
"""As the device's name: loopback only, which takes no privileges."""
_MAX_MTU = 65521
"""The kernel's limit for a TAP."""
_VARIABLES = {"dev": "TAPSTACK_DEV", "addr": "TAPSTACK_ADDR", "host_addr": "TAPSTACK_HOST_ADDR"}
"""The environment's names of settings."""
_WITHOUT_RIGHTS = (
    "without rights, start the program by `unshare -Urn`, in a network of its own, "
    "or with TAPSTACK_DEV=none, for the loopback alone"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a stack is brought up with. Texts are as the user writes them."""

    dev: str = "tap0"
    """The TAP device's name; `none` for loopback only."""
    addr: str = "10.0.0.1/24"
    """The stack's own address, with its prefix length."""
    host_addr: str = "10.0.0.2/24"
    """The host's address on the other end."""
    mtu: int | None = None
    """Octets of the largest IP datagram; None: as the device has it."""
    pcap: str | None = None
    """A file to write every frame to."""
    impair: str | None = None
    """What the link does to frames: `loss=5%,delay=20ms,seed=7`."""
    offload: bool = True
    """Whether checksums and segmentation are left to the device."""
    ip_forward: bool = False
    """Whether datagrams for others are passed on."""

    from_outside: frozenset[str] = frozenset()
    """Which of these the environment has set: who reads of a mistake there is told so."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **chosen: Any) -> Settings:
        """Read TAPSTACK_DEV, TAPSTACK_ADDR and TAPSTACK_HOST_ADDR for what was not chosen."""
        read: dict[str, Any] = {
            name: environment[variable]
            for name, variable in _VARIABLES.items()
            if name not in chosen and variable in environment
        }
        return cls(**read, **chosen, from_outside=frozenset(read))

    def check(self) -> None:
        """See that the settings make sense together.

        Raises: ValueError or TypeError, with one sentence.
        """
        self._check_types()
        with self._telling_variables("dev"):
            check_device_name(self.dev)
        with self._telling_variables("addr"):
            ours = _parse_host_address(self.addr)
        with self._telling_variables("host_addr"):
            host = _parse_host_address(self.host_addr)
        with self._telling_variables("addr", "host_addr"):
            _check_neighbours(ours, host)
        if self.mtu is not None and not LEAST_MTU <= self.mtu <= _MAX_MTU:
            raise ValueError(f"an MTU of {self.mtu} is not between {LEAST_MTU} and {_MAX_MTU}")
        if self.impair is not None:
            parse_impairments(self.impair)
            if self.dev == NO_DEVICE:
                raise ValueError("there is no link to impair without a device")

    @contextmanager
    def _telling_variables(self, *names: str) -> Iterator[None]:
        """Have a mistake in these settings begin with the environment's names of them."""
        try:
            yield
        except ValueError as mistake:
            variables = [_VARIABLES[name] for name in names if name in self.from_outside]
            if not variables:
                raise
            raise ValueError(f"{' and '.join(variables)}: {mistake}") from None

    def _check_types(self) -> None:
        for name, kinds, what in _TYPES:
            value = getattr(self, name)
            if not isinstance(value, kinds):
                raise TypeError(f"{name} is {what}, not {value!r}")


_TYPES = (
    ("dev", str, "a text"),
    ("addr", str, "a text"),
    ("host_addr", str, "a text"),
    ("mtu", int | None, "a whole number of octets"),
    ("impair", str | None, "a text"),
)


def _parse_host_address(text: str) -> Network:
    """Read an address that a host can have (RFC 1122 §3.2.1.3). Raises: ValueError."""
    network = parse_network(text)
    if network.prefix_length == 0:
        raise ValueError(f"{network} has all addresses for neighbours: give a length of 1 to 31")
    address = network.address
    special = address >> 24 == 0 or is_loopback(address) or address >> 28 >= 0xE
    # RFC 3021 §2.1: in a network of two addresses both are hosts'.
    outermost = network.prefix_length < 31 and address in (network.prefix, network.broadcast)
    if special or outermost:
        raise ValueError(f"{network} is not an address that a host can have")
    return network


def _check_neighbours(ours: Network, host: Network) -> None:
    """See that two hosts can be at the two ends of one link. Raises: ValueError."""
    if ours.address == host.address:
        raise ValueError(f"the stack and the host cannot both be {format_ipv4(host.address)}")
    if ours.prefix_length != host.prefix_length or host.address not in ours:
        raise ValueError(
            f"the stack's {ours} and the host's {host} are not of one network: give both the "
            "same prefix, and the same length of it"
        )


class BroughtUp(NamedTuple):
    """A running stack, and what was done to get there."""

    runtime: Runtime
    settings: Settings
    means: str
    """A sentence about the link to the host; empty without one."""


def bring_up(settings: Settings) -> BroughtUp:
    """Build a stack and start it. Whatever fails, everything is given back.

    Raises: ValueError or OSError, each with one clear sentence.
    """
    settings.check()
    with ExitStack() as undo:
        stack = Stack(SystemEntropy(), ip_config=IpConfig(ip_forward=settings.ip_forward))
        now = monotonic()
        loopback: NetDevice = LoopbackDevice()
        means = ""
        if settings.dev == NO_DEVICE:
            loopback = _record(loopback, settings, undo)
        stack.attach(loopback, LOOPBACK_NETWORK, now)
        if settings.dev != NO_DEVICE:
            device, means = _open_device(settings, undo)
            interface = stack.attach(device, parse_network(settings.addr), now)
            gateway = parse_network(settings.host_addr).address
            stack.ip.routes.add(Route(DEFAULT, interface, gateway))
        keep_freed_memory()
        runtime = Runtime(stack)
        undo.callback(runtime.close)
        runtime.start()
        undo.pop_all()
    return BroughtUp(runtime, settings, means)


def _open_device(settings: Settings, undo: ExitStack) -> tuple[NetDevice, str]:
    """Open the link, and wrap it in what the settings ask for, the capture nearest to the wire."""
    link = open_link(
        settings.dev,
        parse_network(settings.addr),
        parse_network(settings.host_addr),
        mtu=settings.mtu,
        offload=settings.offload,
    )
    undo.callback(link.device.close)
    device = _record(link.device, settings, undo)
    if settings.impair is not None:
        device = ImpairedDevice(device, parse_impairments(settings.impair))
    return device, link.means


def _record(device: NetDevice, settings: Settings, undo: ExitStack) -> NetDevice:
    """Wrap a device in a capture, if one is wanted."""
    if settings.pcap is None:
        return device
    writer = create_capture(settings.pcap)
    undo.callback(writer.close)
    return CaptureDevice(device, writer, epoch_offset())


def is_for_want_of_rights(error: OSError) -> bool:
    """Tell whether a stack may come up where there are more rights: not for those over a file."""
    # Without a /dev/net/tun a veth pair does, but that takes rights as well.
    lacks_rights = error.errno in (errno.EPERM, errno.EACCES) and error.filename is None
    return lacks_rights or isinstance(error, TunUnavailableError)


def _bring_up_for_program(settings: Settings) -> Runtime:
    """Bring a stack up, or say what else can be done for want of rights. Raises: as `bring_up`."""
    try:
        return bring_up(settings).runtime
    except OSError as refused:
        if not is_for_want_of_rights(refused):
            raise
        raise OSError(refused.errno, f"{refused.strerror}; {_WITHOUT_RIGHTS}") from None


class DefaultStack:
    """The stack of this process, made when it is first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._runtime: Runtime | None = None

    def configure(self, settings: Settings) -> None:
        """Set what it will be brought up with. Raises: ValueError; RuntimeError once it is up."""
        settings.check()
        with self._lock:
            if self._runtime is not None:
                raise RuntimeError("the default stack is up already: configure it before first use")
            self._settings = settings

    def runtime(self) -> Runtime:
        """Give the running stack. Raises: ValueError or OSError when it cannot come up."""
        with self._lock:
            if self._runtime is None:
                settings = self._settings or Settings.from_environment(os.environ)
                self._runtime = _bring_up_for_program(settings)
                atexit.register(self._close_at_exit)
            return self._runtime

    def use(self, runtime: Runtime) -> None:
        """Make a stack that is up already the default one; its maker closes it."""
        with self._lock:
            self._runtime = runtime

    def close(self) -> None:
        """Take the default stack down, if it is up; the next use brings up a new one."""
        with self._lock:
            runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.close()

    def _close_at_exit(self) -> None:
        """Take it down for good: a thread that asks for it now is not to bring up a new one."""
        with self._lock:
            runtime = self._runtime
        if runtime is not None:
            runtime.close_at_exit()


default_stack = DefaultStack()
"""This process's own: the one object that a plain `socket.socket()` can mean."""
