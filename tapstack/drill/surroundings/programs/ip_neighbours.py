"""`ip neighbour` and `ip tcp_metrics`: what the simulated stack knows of others.

Not done here: forgetting neighbours: whom the script plays answers no questions.
"""

from __future__ import annotations

from errno import ESRCH
from os import strerror

from tapstack.base.address import MacAddress, format_ipv4, format_mac
from tapstack.drill.surroundings.machine import Machine, WrongUse
from tapstack.drill.surroundings.programs.ip_link import find
from tapstack.drill.surroundings.programs.words import Command, Words, run_command
from tapstack.tcp.fast_open_peers import Peer


def neighbour(machine: Machine, words: Words) -> str:
    """Show neighbours, or make them known; give what is printed. Raises: WrongUse."""
    return run_command(machine, words, _NEIGHBOUR_COMMANDS, "ip neigh")


def _add(machine: Machine, words: Words) -> str:
    words.take_if("to")
    address = words.address()
    mac, device = None, ""
    while words:
        word = words.take()
        if word == "lladdr":
            mac = _read_mac(words.take())
        elif word == "dev":
            device = find(machine, words.take()).name
        elif word == "nud":
            words.take()
        elif word != "router":
            raise WrongUse(f'Error: either "to" is duplicate, or "{word}" is a garbage.', 255)
    if mac is None or not device:
        raise WrongUse("Device and destination are required arguments.", 255)
    machine.host.know_neighbour(device, address, mac)
    return ""


def _read_mac(word: str) -> MacAddress:
    try:
        octets = bytes.fromhex(word.replace(":", ""))
    except ValueError:
        octets = b""
    if len(octets) != 6 or word.count(":") != 5:
        raise WrongUse(f'"{word}" is invalid lladdr.', 255)
    return MacAddress(octets)


def _keep(machine: Machine, _: Words) -> str:
    machine.inert_used["ip neigh del, flush"] = "neighbours are known for good"
    return ""


def _show(machine: Machine, _: Words) -> str:
    return "".join(
        f"{format_ipv4(each.address)} dev {interface.name} "
        f"{f'lladdr {format_mac(each.mac)} ' if each.mac else ''}{each.state.name} \n"
        for interface in machine.host.stack.interfaces.values()
        for each in interface.neighbours or ()
    )


# --- what TCP remembers of peers ------------------------------------------------------------------


def tcp_metrics(machine: Machine, words: Words) -> str:
    """Show or forget peers; give what is printed. Raises: WrongUse."""
    return run_command(machine, words, _PEER_COMMANDS, "ip tcp_metrics")


def _show_peers(machine: Machine, words: Words) -> str:
    wanted = _selected(words)
    lines = [
        _describe(format_ipv4(address), peer)
        for address, peer in machine.host.stack.tcp.fast_open_peers
        if wanted in (None, address)
    ]
    if wanted is not None and not lines:
        raise _no_such()
    return "".join(lines)


def _describe(address: str, peer: Peer) -> str:
    cookie = f"fo_cookie {peer.cookie.cookie.hex()} " if peer.cookie else ""
    return f"{address} fo_mss {peer.mss} {cookie}\n"


def _forget(machine: Machine, words: Words) -> str:
    wanted = _selected(words)
    peers = machine.host.stack.tcp.fast_open_peers
    if wanted is None:
        peers.clear()
    elif not peers.forget(wanted):
        raise _no_such()
    return ""


def _flush(machine: Machine, words: Words) -> str:
    wanted = _selected(words)
    peers = machine.host.stack.tcp.fast_open_peers
    if wanted is None:
        peers.clear()
    else:
        peers.forget(wanted)
    return ""


def _selected(words: Words) -> int | None:
    words.take_if("address", "to", "exact")
    if not words or words.take_if("all", "any"):
        return None
    return words.address()


def _no_such() -> WrongUse:
    return WrongUse(f"RTNETLINK answers: {strerror(ESRCH)}", 2)


# --- the commands -------------------------------------------------------------------------------

_NEIGHBOUR_COMMANDS: dict[str, Command] = {
    # as iproute2 completes them, here and below
    "add": _add,
    "change": _add,
    "replace": _add,
    "delete": _keep,
    "flush": _keep,
    "show": _show,
    "list": _show,
}
_PEER_COMMANDS: dict[str, Command] = {
    "list": _show_peers,
    "show": _show_peers,
    "delete": _forget,
    "flush": _flush,
}
