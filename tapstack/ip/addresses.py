"""Our own addresses, and what they make of others': local, broadcast, martian (RFC 1122 §3.2.1.3).

Not done here: groups beyond all-hosts; nobody here joins one.
"""

from tapstack.base.address import (
    IPV4_ALL_HOSTS,
    IPV4_ANY,
    IPV4_LIMITED_BROADCAST,
    Ipv4Address,
    Network,
    is_loopback,
    is_multicast,
    is_reserved,
)
from tapstack.base.contracts import Interface


class Addresses:
    """The addresses of all interfaces of one host, which is a weak one (RFC 1122 §3.3.4.2)."""

    def __init__(self) -> None:
        self.loopback: Interface | None = None
        """Where datagrams to ourselves go."""
        self.own: dict[Ipv4Address, Interface] = {}
        """Every address of ours, with its interface."""
        self._networks: list[tuple[Interface, Network]] = []
        self._broadcasts: dict[Ipv4Address, Interface] = {}
        self._never_a_source: set[Ipv4Address] = {IPV4_ANY, IPV4_LIMITED_BROADCAST}

    def add(self, interface: Interface, network: Network) -> None:
        """Take an address as ours."""
        self.own[network.address] = interface
        self._networks.append((interface, network))
        self._never_a_source.add(network.address)
        # RFC 3021 §2.1: a point-to-point network of two addresses has no broadcast.
        if network.prefix_length < 31 and not interface.is_loopback():
            self._broadcasts[network.broadcast] = interface
            self._never_a_source.add(network.broadcast)

    def is_local(self, address: Ipv4Address) -> bool:
        """Tell whether datagrams to this address are for us: ours, or in 127.0.0.0/8."""
        return address in self.own or is_loopback(address)

    def is_broadcast(self, address: Ipv4Address) -> bool:
        """Tell whether an address is a broadcast address, limited or directed."""
        return address in self._broadcasts or address == IPV4_LIMITED_BROADCAST

    def is_group(self, address: Ipv4Address) -> bool:
        """Tell whether an address stands for more than one host."""
        return self.is_broadcast(address) or is_multicast(address)

    def may_be_gateway(self, address: Ipv4Address) -> bool:
        """Tell whether an address can be a neighbour's: not ours, nor a group's, nor nobody's."""
        nobody = address == IPV4_ANY or is_reserved(address)
        return not (nobody or self.is_local(address) or self.is_group(address))

    def listens_to(self, destination: Ipv4Address) -> bool:
        """Tell whether a datagram to this address, which came over a link, is for us."""
        return (
            self.is_local(destination)
            or self.is_broadcast(destination)
            or destination == IPV4_ALL_HOSTS
        )

    def is_martian(
        self, source: Ipv4Address, destination: Ipv4Address, interface: Interface
    ) -> bool:
        """Tell whether no true datagram from this link can have these addresses.

        RFC 1122 §3.2.1.3: 127.0.0.0/8 "MUST NOT appear outside a host", and a source is never a
        broadcast or multicast address. Our own as the source is a forgery (LAND) or a loop.
        """
        if interface is self.loopback:
            return False
        if source >> 24 == 127 or destination >> 24 == 127 or source >> 28 == 0xE:
            return True
        if source not in self._never_a_source:
            return False
        # A host that does not know its address yet says "this host on this network".
        return source != IPV4_ANY or destination != IPV4_LIMITED_BROADCAST

    def select_source(self, interface: Interface, next_hop: Ipv4Address) -> Ipv4Address:
        """Choose our address towards a neighbour (RFC 1122 §3.3.4.3); 0 if we have none.

        As Linux: the interface's first address on the neighbour's network, else its first.
        """
        candidates = [network for owner, network in self._networks if owner is interface]
        for network in candidates:
            if next_hop in network:
                return network.address
        return candidates[0].address if candidates else IPV4_ANY
