"""The link to the host, by the best means there is, with the host's side set up.

Not done here: making rights (`runtime/namespace.py`).
"""

from typing import NamedTuple

from tapstack.base.address import MacAddress, Network
from tapstack.base.contracts import NetDevice
from tapstack.device import host
from tapstack.device.coalescing import Coalescing
from tapstack.device.packet import PacketDevice
from tapstack.device.segmentation import SoftwareOffload
from tapstack.device.tap import TapDevice, TunUnavailableError


class Link(NamedTuple):
    """An open link."""

    device: NetDevice
    """Takes units whole and gives them, cutting and joining where the kernel is not to."""
    means: str
    """A sentence about what it is, for whoever wants to know."""


def open_link(
    name: str,
    host_network: Network,
    *,
    mac: MacAddress | None = None,
    mtu: int | None = None,
    offload: bool = True,
) -> Link:
    """Open a TAP device, or a veth pair if there are none, and give the host its address on it.

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
    try:
        host.silence_ipv6(name)
        host.set_address(name, host_network)
        host.bring_up(name)
    except OSError:
        device.close()
        raise
    if not offload:
        device = Coalescing(device)
    if not device.capabilities.udp_segmentation:
        device = SoftwareOffload(device)
    return Link(device, means)
