"""`ip`: routes, addresses, links, neighbours and metrics of the simulated stack.

What it is asked of IPv6 is taken without effect, as scripts set up both versions.

Not done here: each of its objects (`ip_route.py`, `ip_link.py`, `ip_neighbours.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.drill.surroundings.programs import ip_link, ip_neighbours, ip_route
from tapstack.drill.surroundings.programs.words import Command, Words, not_simulated, pick

_OBJECTS: dict[str, Command | None] = {
    # in the order in which iproute2 completes them; None: not simulated
    "address": ip_link.address,
    "addrlabel": None,
    "maddress": None,
    "route": ip_route.route,
    "rule": None,
    "neighbor": ip_neighbours.neighbour,
    "neighbour": ip_neighbours.neighbour,
    "link": ip_link.link,
    "tunnel": None,
    "tuntap": None,
    "tcpmetrics": ip_neighbours.tcp_metrics,
    "tcp_metrics": ip_neighbours.tcp_metrics,
    "monitor": None,
    "xfrm": None,
    "netns": None,
    "netconf": None,
    "nexthop": None,
    "mptcp": None,
}
_IDLE_OPTIONS = frozenset("-4 -0 -o -oneline -s -stats -statistics -d -details -N -r -c".split())
"""Options that change how something is shown, if at all."""
_VERSION = "ip utility, of tapstack\n"


def ip(machine: Machine, given: Sequence[str], _: Path) -> Answer:
    """Show or change something. Raises: WrongUse."""
    words = Words(given)
    version = _take_options(words)
    if version is None:
        return Answer(out=_VERSION)
    if not words:
        raise WrongUse("Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }", 255)
    name = pick(words.take(), _OBJECTS, "ip", "Object", 1)
    run = _OBJECTS[name]
    if run is None:
        raise not_simulated(f"ip {name}")
    if version == 6:
        line = " ".join(["ip -6", *given[given.index("-6") + 1 :]])
        machine.inert_used[line] = "IPv6 is not spoken"
        return Answer()
    return Answer(out=run(machine, words))


def _take_options(words: Words) -> int | None:
    """Take the options in front; give the version of IP, None where the program's is asked."""
    version = 4
    while words.is_option():
        word = words.take()
        if word in ("-V", "-Version"):
            return None
        if word in ("-6", "-f", "-family"):
            version = 6 if word == "-6" or words.take() == "inet6" else 4
        elif word not in _IDLE_OPTIONS:
            raise not_simulated(f"ip {word}")
    return version
