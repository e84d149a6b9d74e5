"""`ip route`: the routing table, with what routes say of the way (ip-route(8)).

Not done here: reading what a line says of a route (`route_words.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EEXIST, EINVAL, ENETUNREACH, ENOENT, ESRCH
from os import strerror

from tapstack.base.address import format_ipv4, is_loopback
from tapstack.drill.surroundings.machine import Machine, WrongUse
from tapstack.drill.surroundings.programs.route_words import (
    RouteWish,
    read_selector,
    read_wish,
    to_route,
)
from tapstack.drill.surroundings.programs.words import (
    Command,
    Words,
    not_simulated,
    refusal_of,
    run_command,
)
from tapstack.ip.routing import Route, RoutingTable, describe_metrics
from tapstack.stack import Stack

_EFFECTLESS = "Linux heeds it with peers that it has learnt metrics of, and nothing is learnt here"


def route(machine: Machine, words: Words) -> str:
    """Show or change routes; give what is printed. Raises: WrongUse."""
    return run_command(machine, words, _COMMANDS, "ip route")


def _add(machine: Machine, words: Words) -> str:
    wish, table = _read(machine, words), machine.host.stack.ip.routes
    if _find(table, wish) is not None:
        raise _refused(EEXIST)
    _put(table, wish, None)
    return ""


def _change(machine: Machine, words: Words) -> str:
    wish, table = _read(machine, words), machine.host.stack.ip.routes
    old = _find(table, wish)
    if old is None:
        raise _refused(ENOENT)
    _put(table, wish, old)
    return ""


def _replace(machine: Machine, words: Words) -> str:
    wish, table = _read(machine, words), machine.host.stack.ip.routes
    _put(table, wish, _find(table, wish))
    return ""


def _read(machine: Machine, words: Words) -> RouteWish:
    wish = read_wish(words)
    for name in ("rtt", "rttvar", "ssthresh", "cwnd", "reordering"):
        if getattr(wish.metrics, name):
            machine.inert_used[f"ip route {name}"] = _EFFECTLESS
    wish.complete(machine.host.stack)
    return wish


def _find(table: RoutingTable, wish: RouteWish) -> Route | None:
    """Find the route that a new one would take the place of."""
    for each in table:
        if each.network == wish.network and each.metric == (wish.metric or 0):
            return each
    return None


def _put(table: RoutingTable, wish: RouteWish, old: Route | None) -> None:
    """Add a route, in the place of an old one if there is one. Raises: WrongUse."""
    if old is not None:
        table.remove(old)
    try:
        table.add(to_route(wish))
    except OSError as error:
        if old is not None:
            table.add(old)
        if error.errno in (EINVAL, ENETUNREACH) and wish.gateway:
            raise WrongUse("Error: Nexthop has invalid gateway.", 2) from None
        raise _refused(error.errno or 0) from None


def _delete(machine: Machine, words: Words) -> str:
    wish, table = read_wish(words), machine.host.stack.ip.routes
    for each in table:
        if each.network == wish.network and wish.matches(each):
            table.remove(each)
            return ""
    raise _refused(ESRCH)


def _show(machine: Machine, words: Words) -> str:
    return "".join(f"{each} \n" for each in _selected(machine.host.stack, words))


def _flush(machine: Machine, words: Words) -> str:
    if not words:
        raise WrongUse('"ip route flush" requires arguments.', 255)
    stack = machine.host.stack
    if words.take_if("cache"):
        stack.ip.forget_path_mtus()
        return ""
    for each in list(_selected(stack, words)):
        stack.ip.routes.remove(each)
    return ""


def _selected(stack: Stack, words: Words) -> Iterator[Route]:
    selector = read_selector(words)
    for each in stack.ip.routes:
        if selector.network in (None, each.network) and selector.matches(each):
            yield each


def _get(machine: Machine, words: Words) -> str:
    words.take_if("to")
    destination, ip = words.address(), machine.host.stack.ip
    while words:
        if words.take_if("from", "oif", "dev", "mark", "tos", "uid"):
            words.take()
        else:
            raise not_simulated(f"ip route get {words.take()}")
    address = format_ipv4(destination)
    try:
        path = ip.path_to(destination)
    except OSError as error:
        raise _refused(error.errno or 0) from None
    source = format_ipv4(path.source)
    if ip.is_local(destination):
        source = address if is_loopback(destination) else source
        return f"local {address} dev lo src {source} uid 0 \n    cache <local> \n"
    way = ip.routes.lookup(destination)
    assert way is not None
    via = f"via {format_ipv4(way.gateway)} " if way.gateway else ""
    metrics = path.metrics
    if path.mtu < min(way.interface.mtu, metrics.mtu or way.interface.mtu):
        metrics = metrics._replace(mtu=path.mtu)  # learnt
    said = "".join(f"{each} " for each in describe_metrics(metrics))
    return f"{address} {via}dev {way.interface.name} src {source} uid 0 \n    cache {said}\n"


_COMMANDS: dict[str, Command] = {
    "list": _show,
    "show": _show,
    "lst": _show,
    "get": _get,
    "add": _add,
    "append": refusal_of("ip route append"),
    "prepend": refusal_of("ip route prepend"),
    "change": _change,
    "chg": _change,
    "replace": _replace,
    "delete": _delete,
    "flush": _flush,
    "save": refusal_of("ip route save"),
    "restore": refusal_of("ip route restore"),
}


def _refused(number: int) -> WrongUse:
    return WrongUse(f"RTNETLINK answers: {strerror(number)}", 2)
