"""What becomes of a stack when one of its devices goes away while it runs.

Not done here: noticing it (`driving.py`).
"""

from __future__ import annotations

from errno import ENETDOWN

from tapstack.base.contracts import READABLE, WRITABLE
from tapstack.interface import NetworkInterface
from tapstack.stack import Stack


def give_up_interface(stack: Stack, interface: NetworkInterface) -> None:
    """Forget the ways over an interface, and tell ENETDOWN to the sockets that depend on it.

    Those are the sockets with one of its addresses. What we say to ourselves goes over the
    loopback, whatever the address, and stays; so do sockets that hear every address.
    """
    for route in [each for each in stack.ip.routes if each.interface is interface]:
        stack.ip.routes.remove(route)
    addresses = {network.address for network in interface.networks}
    for tcb in list(stack.tcp.connections):
        if tcb.local.address in addresses and not stack.ip.is_local(tcb.remote.address):
            stack.tcp.abort(tcb, ENETDOWN)
    for socket in stack.udp.sockets():
        if socket.local.address in addresses and not stack.ip.is_local(socket.remote.address):
            socket.error = ENETDOWN
            stack.report(socket, READABLE | WRITABLE)
