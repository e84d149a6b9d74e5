"""The rows of `ss`, read from a stack: connections, listeners, UDP sockets, and their insides.

Not done here: laying them out (`ss_table.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tapstack.base.address import ANY_ENDPOINT
from tapstack.base.timers import NeverArmed, Timer
from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.shell.ss_insides import insides
from tapstack.shell.ss_table import Row
from tapstack.stack import Stack
from tapstack.tcp.receive_space import held
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.udp.sockets import UdpSocket

_HIDDEN = frozenset({State.CLOSED, State.LISTEN, State.SYN_RECEIVED, State.TIME_WAIT})
"""States that are shown only with `-a`."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sockets to show, and how much of each."""

    tcp: bool = True
    udp: bool = True
    connected: bool = True
    listening: bool = False
    everything: bool = False
    """States that are over soon are shown too."""
    timers: bool = False
    insides: bool = False
    memory: bool = False
    sequence: bool = False


def rows(stack: Stack, selection: Selection, *, now: Instant) -> list[Row]:
    """Give the sockets that were asked for: UDP first, then listeners, then connections."""
    found: list[Row] = []
    if selection.udp:
        found += _udp_rows(stack, selection)
    if selection.tcp and selection.listening:
        found += (
            Row("tcp", "LISTEN", len(each.accept_queue), each.backlog, each.local, ANY_ENDPOINT)
            for each in stack.tcp.listeners
        )
    if selection.tcp and selection.connected:
        found += (
            _tcp_row(stack, tcb, selection, now)
            for tcb in stack.tcp.connections
            if selection.everything or tcb.state not in _HIDDEN
        )
    return found


def _udp_rows(stack: Stack, selection: Selection) -> Iterator[Row]:
    for socket in stack.udp.sockets():
        if selection.connected if socket.is_connected else selection.listening:
            yield Row(
                "udp",
                "ESTAB" if socket.is_connected else "UNCONN",
                socket.queue.octets,
                0,
                socket.local,
                socket.remote,
                details=_udp_memory(socket) if selection.memory else "",
            )


def _udp_memory(socket: UdpSocket) -> str:
    return f"skmem:(r{socket.queue.octets},rb{socket.queue.limit})"


def _tcp_row(stack: Stack, tcb: Tcb, selection: Selection, now: Instant) -> Row:
    details = []
    if selection.sequence:
        details.append(_sequence(tcb))
    if selection.memory:
        details.append(
            f"skmem:(r{held(tcb)},rb{tcb.receive_space.buffer},w{tcb.send_buffer.octets})"
        )
    if selection.insides:
        details.append(insides(stack.tcp.info(tcb, now), tcb.congestion.name))
    return Row(
        "tcp",
        tcb.state.title,
        len(tcb.receive_queue),
        tcb.send_buffer.octets,
        tcb.local,
        tcb.remote,
        timer=_timer(tcb, now) if selection.timers else "",
        details=" ".join(details),
    )


def _sequence(tcb: Tcb) -> str:
    """Give the sequence variables under RFC 9293's names (§3.3.1)."""
    names = "snd_una snd_nxt snd_wnd snd_wl1 snd_wl2 iss rcv_nxt rcv_wnd irs".split()
    return " ".join(f"{name.upper().replace('_', '.')}:{getattr(tcb, name)}" for name in names)


def _timer(tcb: Tcb, now: Instant) -> str:
    """Give what `ss -o` gives: the timer that runs, its time left, and how often it expired."""
    kinds: tuple[tuple[str, Timer | NeverArmed, int], ...] = (
        ("on", tcb.retransmission_timer, tcb.retransmits),
        ("persist", tcb.persist_timer, tcb.probes_out),
        ("timewait", tcb.wait_timer, 0),
        ("keepalive", tcb.keepalive_timer, tcb.probes_out),
    )
    for name, timer, expirations in kinds:
        if timer.deadline is not None:
            left = format_time_left(max(0, timer.deadline - now))
            return f" timer:({name},{left},{expirations})"
    return ""


def format_time_left(time: Duration) -> str:
    """Render as `ss -o` does: `119min`, `1min5sec`, `57sec`, `1.204ms`, `204ms`.

    `1.204ms` are seconds: the unit belongs to the digits behind the point.
    """
    total, milliseconds = divmod(time // MILLISECOND, 1000)
    minutes, seconds = divmod(total, 60)
    if minutes:
        return f"{minutes}min" + (f"{seconds}sec" if seconds and minutes <= 9 else "")
    if seconds > 9 or (seconds and not milliseconds):
        return f"{seconds}sec"
    if seconds:
        return f"{seconds}.{milliseconds:03}ms"
    return f"{milliseconds:03}ms"
