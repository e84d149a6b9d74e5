"""The link to the host, by the best means there is, with the host's side set up.

A host that has the link's network elsewhere, too, is told of: what it sends would go astray.

Not done here: making rights (`runtime/namespace.py`).
"""

import logging
from typing import NamedTuple

from tapstack.base.address import MacAddress, Network, format_ipv4
from tapstack.base.contracts import NetDevice
from tapstack.device import host
from tapstack.device.coalescing import Coalescing
from tapstack.device.host_addresses import HostRoute, add_address, route_to
from tapstack.device.packet import PacketDevice
from tapstack.device.segmentation import SoftwareOffload
from tapstack.device.tap import TapDevice, TunUnavailableError

_log = logging.getLogger("tapstack")

_CHOOSE = (
    "choose other addresses for both (--addr and --host-addr, "
    "or TAPSTACK_ADDR and TAPSTACK_HOST_ADDR)"
)


class Link(NamedTuple):
    """An open link."""

    device: NetDevice
    """Takes units whole and gives them, cutting and joining where the kernel is not to."""
    means: str
    """A sentence about what it is, for whoever wants to know."""


def open_link(
    name: str,
    network: Network,
    host_network: Network,
    *,
    mac: MacAddress | None = None,
    mtu: int | None = None,
    offload: bool = True,
) -> Link:
    """Open a TAP device, or a veth pair if there are none, and give the host its address on it.

    `network` has our own address, which the host is to reach by this link: a warning is logged
    where it does not, or did so by another until now.

    Raises: OSError with one clear sentence; ValueError for a name that cannot be one.
    """
    device: NetDevice
    try:
        device = TapDevice(name, mac=mac, mtu=mtu, offload=offload)
        means = f"{name} is a TAP device"
    except TunUnavailableError as refused:
        try:
            device = PacketDevice(name, mac=mac, mtu=mtu, offload=offload)
        except OSError:
            raise refused from None
        means = f"{name} is a veth pair with a packet socket ({refused.strerror})"
    before = route_to(network.address)
    try:
        host.silence_ipv6(name)
        add_address(name, host_network)
        host.bring_up(name)
    except OSError:
        device.close()
        raise
    _warn_of_other_ways(name, network, before, route_to(network.address))
    if not offload:
        device = Coalescing(device)
    if not device.capabilities.udp_segmentation:
        device = SoftwareOffload(device)
    return Link(device, means)


def _warn_of_other_ways(
    name: str, network: Network, before: HostRoute | None, now: HostRoute | None
) -> None:
    """Warn where the host reaches us by another link, or cannot reach others for our sake."""
    ours = format_ipv4(network.address)
    if now is not None and now.is_own:
        _log.warning("%s is the host's own, which keeps what it sends there: %s", ours, _CHOOSE)
    elif now is not None and now.device != name:
        way = f"{_device_of(now)}, where it has {now.network}"
        _log.warning("the host sends to %s by %s, and not by %s: %s", ours, way, name, _CHOOSE)
    elif before is not None and before.device != name and before.network.prefix_length:
        hidden = Network(network.prefix, network.prefix_length)
        there = f"{before.network} on {_device_of(before)}, too, but while {name} is up"
        _log.warning("the host has %s it reaches none of %s there: %s", there, hidden, _CHOOSE)


def _device_of(route: HostRoute) -> str:
    return route.device or "several devices"
