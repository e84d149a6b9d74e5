"""What becomes of a stack when one of its devices goes away, and of its devices in a fork.

Not done here: noticing it (`driving.py`, `runtime.py`).
"""

from __future__ import annotations

import os
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


def let_go_of_devices(stack: Stack) -> None:
    """Let go of the devices, in a child of fork(2), that they end as the parent is done.

    Their numbers stay taken: what closes them closes nothing else's. Raises: OSError.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for interface in stack.interfaces.values():
        if interface.device.fileno() >= 0:
            os.dup2(nothing, interface.device.fileno(), inheritable=False)
    os.close(nothing)
