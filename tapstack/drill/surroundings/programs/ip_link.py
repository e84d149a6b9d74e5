"""`ip link` and `ip address`: the interfaces of the simulated stack.

Not done here: making and removing interfaces; taking them down; taking addresses away.
"""

from __future__ import annotations

from collections.abc import Iterator

from tapstack.base.address import Network, format_ipv4, format_mac
from tapstack.drill.surroundings.machine import Machine, WrongUse
from tapstack.drill.surroundings.programs.words import (
    Command,
    Words,
    not_simulated,
    read_network,
    refusal_of,
    run_command,
)
from tapstack.interface import NetworkInterface

_LEAST_MTU, _LARGEST_MTU = 68, 65535
"""Of Linux's tun devices."""
_IDLE = "the interface is up, and stays as it is"


def link(machine: Machine, words: Words) -> str:
    """Show or change interfaces; give what is printed. Raises: WrongUse."""
    return run_command(machine, words, _LINK_COMMANDS, "ip link")


def address(machine: Machine, words: Words) -> str:
    """Show or add addresses; give what is printed. Raises: WrongUse."""
    return run_command(machine, words, _ADDRESS_COMMANDS, "ip address")


# --- links --------------------------------------------------------------------------------------


def _set(machine: Machine, words: Words) -> str:
    words.take_if("dev")
    interface = find(machine, words.take())
    while words:
        word = words.take()
        if word == "mtu":
            _set_mtu(machine, interface, words.number("mtu"))
        elif word in ("up", "arp", "multicast", "txqueuelen", "txqlen", "qlen"):
            if word != "up":
                words.take()
            machine.inert_used[f"ip link set {word}"] = _IDLE
        elif word == "down":
            raise not_simulated("ip link set down")
        else:
            raise WrongUse(f'Error: either "dev" is duplicate, or "{word}" is a garbage.', 255)
    return ""


def _set_mtu(machine: Machine, interface: NetworkInterface, mtu: int) -> None:
    if mtu < _LEAST_MTU:
        raise WrongUse("Error: mtu less than device minimum.", 2)
    if mtu > _LARGEST_MTU:
        raise WrongUse("Error: mtu greater than device maximum.", 2)
    interface.mtu = interface.device.mtu = mtu
    machine.host.stack.ip.on_mtu_changed()


def _show_links(machine: Machine, words: Words) -> str:
    return "".join(
        f"{line}\n"
        for number, interface in _selected(machine, words)
        for line in _link_lines(number, interface, " mode DEFAULT")
    )


def _link_lines(number: int, interface: NetworkInterface, mode: str) -> list[str]:
    if interface.is_loopback():
        flags, queue, kind = "LOOPBACK,UP,LOWER_UP", "noqueue", "loopback"
    else:
        flags, queue, kind = "BROADCAST,MULTICAST,UP,LOWER_UP", "pfifo_fast", "ether"
    return [
        f"{number}: {interface.name}: <{flags}> mtu {interface.mtu} qdisc {queue} "
        f"state UNKNOWN{mode} group default qlen 1000",
        f"    link/{kind} {format_mac(interface.mac)}",
    ]


def find(machine: Machine, name: str) -> NetworkInterface:
    """Find an interface. Raises: WrongUse."""
    try:
        return machine.host.stack.interfaces[name]
    except KeyError:
        raise WrongUse(f'Cannot find device "{name}"') from None


def _selected(machine: Machine, words: Words) -> Iterator[tuple[int, NetworkInterface]]:
    words.take_if("dev")
    words.take_if("up")
    name = words.take() if words else ""
    interfaces = machine.host.stack.interfaces
    if name and name not in interfaces:
        raise WrongUse(f'Device "{name}" does not exist.')
    for number, interface in enumerate(interfaces.values(), 1):
        if name in ("", interface.name):
            yield number, interface


# --- addresses ----------------------------------------------------------------------------------


def _show_addresses(machine: Machine, words: Words) -> str:
    return "".join(
        f"{line}\n"
        for number, interface in _selected(machine, words)
        for line in (*_link_lines(number, interface, ""), *_address_lines(interface))
    )


def _address_lines(interface: NetworkInterface) -> Iterator[str]:
    scope = "host" if interface.is_loopback() else "global"
    for network in interface.networks:
        yield f"    inet {network} scope {scope} {interface.name}"
        yield "       valid_lft forever preferred_lft forever"


def _add(machine: Machine, words: Words) -> str:
    network, interface = None, None
    while words:
        word = words.take()
        if word == "dev":
            interface = find(machine, words.take())
        elif word in ("broadcast", "brd", "scope", "label", "metric"):
            words.take()
        elif word != "local" and network is None:
            network = read_network(word)
    if network is None or interface is None:
        raise WrongUse("Not enough information: an address and dev DEVICE are what this takes", 255)
    _take_address(machine, interface, network)
    return ""


def _take_address(machine: Machine, interface: NetworkInterface, network: Network) -> None:
    stack = machine.host.stack
    if network in interface.networks:
        raise WrongUse("Error: ipv4: Address already assigned.", 2)
    try:
        stack.ip.add_address(interface, network)
    except OSError:
        taken = format_ipv4(network.address)
        raise not_simulated(f"ip address add: {taken} on two interfaces") from None
    machine.host.call(_announce, interface, network)


def _announce(interface: NetworkInterface, network: Network, *, now: int) -> None:
    interface.add_address(network, now)


# --- the commands -------------------------------------------------------------------------------

_LINK_COMMANDS: dict[str, Command] = {
    # as iproute2 completes them, here and below
    "add": refusal_of("ip link add, del"),
    "set": _set,
    "show": _show_links,
    "list": _show_links,
    "delete": refusal_of("ip link add, del"),
}
_ADDRESS_COMMANDS: dict[str, Command] = {
    "add": _add,
    "replace": _add,
    "show": _show_addresses,
    "list": _show_addresses,
    "delete": refusal_of("ip address del, flush"),
    "flush": refusal_of("ip address del, flush"),
}
