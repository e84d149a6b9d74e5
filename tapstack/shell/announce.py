"""What `tapstack up` says it did: links, addresses, tables, threads.

Everything is read from what is there now, not from what was asked for.

Not done here: doing it (`start.py`).
"""

import os
import threading
from collections.abc import Iterator, Sequence

from tapstack.base.address import Network, format_ipv4, format_mac
from tapstack.base.units import Instant
from tapstack.device import host
from tapstack.device.host_addresses import addresses_of
from tapstack.interface import NetworkInterface
from tapstack.runtime.default import Settings
from tapstack.shell.start import Started
from tapstack.stack import Stack


def announce(started: Started) -> list[str]:
    """Give a line for each thing that was set up."""
    brought_up = started.brought_up
    runtime, settings, means = brought_up.runtime, brought_up.settings, brought_up.means
    lines = list(describe_namespace()) if started.private else []
    lines += runtime.call(_describe, settings, means, runtime.stack)
    threads = ", ".join(sorted(thread.name for thread in threading.enumerate()))
    return [*lines, f"threads: {threads}"]


def describe_namespace() -> Sequence[str]:
    """Say that there is a namespace of our own, and how another program joins it."""
    return (
        "no right to set up a device here: made a user and network namespace of our own",
        f"another program joins it by: nsenter --preserve-credentials -U -n -t {os.getpid()}",
    )


def _describe(settings: Settings, means: str, stack: Stack, *, now: Instant) -> list[str]:  # noqa: ARG001
    lines = []
    for interface in stack.interfaces.values():
        if interface.is_loopback():
            lines.append(f"{interface.name}: {_addresses(interface)}, mtu {interface.mtu}")
        else:
            lines += _describe_link(settings, means, interface)
    lines += [f"route: {route}" for route in stack.ip.routes]
    if stack.ip.config.ip_forward:
        lines.append("forwarding: datagrams for others are passed on")
    return [*lines, *_tables(stack)]


def _describe_link(settings: Settings, means: str, interface: NetworkInterface) -> Iterator[str]:
    name = interface.name
    work = "left to the device" if settings.offload else "done here"
    yield f"{means}, mtu {interface.mtu}; checksums and segmentation are {work}"
    host_addresses = ", ".join(map(_describe_network, addresses_of(name))) or "no address"
    yield f"host:  {format_mac(host.mac_of(name))}, {host_addresses} (set on {name})"
    yield f"stack: {format_mac(interface.mac)}, {_addresses(interface)} (taken)"
    if settings.pcap:
        yield f"every frame is written to {settings.pcap}"
    if settings.impair:
        yield f"the link is impaired: {settings.impair}"


def _addresses(interface: NetworkInterface) -> str:
    return ", ".join(map(_describe_network, interface.networks))


def _describe_network(network: Network) -> str:
    return f"{format_ipv4(network.address)} mask {format_ipv4(network.mask)}"


def _tables(stack: Stack) -> Iterator[str]:
    for interface in stack.interfaces.values():
        if interface.neighbours is not None:
            most = interface.neighbours.config.gc_thresh3
            yield f"neighbour cache of {interface.name}: {most} entries at most"
    fragments = stack.ip.config.ipfrag_high_thresh
    yield f"tables: reassembly ({fragments} octets at most), TCP, UDP and raw sockets, timers"
