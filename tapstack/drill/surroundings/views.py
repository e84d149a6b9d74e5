"""What /proc/net says of the simulated stack: counters and sockets, in Linux's columns (proc(5)).

A counter that the stack does not keep is left out of its row, rather than told as zero.

Not done here: files of which there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from tapstack.base.address import ANY_ENDPOINT, Endpoint
from tapstack.base.timers import NeverArmed, Timer
from tapstack.base.units import MILLISECOND, Instant
from tapstack.drill.surroundings.linux_counters import SECTIONS
from tapstack.stack import Stack
from tapstack.tcp.info import STATE_NUMBERS
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb

_CLOCK_TICK = 10 * MILLISECOND
"""What user space is told times in: USER_HZ is 100."""
_HEADER = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
    "timeout inode"
)
_STATES = {**STATE_NUMBERS, State.TIME_WAIT: 6}  # TCP_INFO has no TIME-WAIT


def net_files(stack: Stack, now: Instant) -> dict[str, str]:
    """Give what each file says, less the last line's end."""
    return {
        "snmp": _rows(stack, ("Ip", "Icmp", "Tcp", "Udp")),
        "netstat": _rows(stack, ("TcpExt", "IpExt")),
        "sockstat": _sockstat(stack),
        "tcp": "\n".join([_HEADER.ljust(149), *_tcp(stack, now)]),
        "udp": "\n".join([f" {_HEADER} ref pointer drops", *_udp(stack)]),
        "tcp6": _HEADER,
        "udp6": _HEADER,
    }


def _rows(stack: Stack, sections: tuple[str, ...]) -> str:
    """Give two rows for each section: names, and numbers."""
    lines = []
    for section in sections:
        names = [n for n in SECTIONS[section].split() if f"{section}{n}" in stack.counters]
        lines.append(f"{section}: {' '.join(names)}")
        numbers = (str(stack.counters[f"{section}{name}"]) for name in names)
        lines.append(f"{section}: {' '.join(numbers)}")
    return "\n".join(lines)


def _sockstat(stack: Stack) -> str:
    tcbs = list(stack.tcp.connections)
    waiting = sum(tcb.state is State.TIME_WAIT for tcb in tcbs)
    orphans = sum(tcb.orphaned and tcb.state is not State.TIME_WAIT for tcb in tcbs)
    tcp = len(tcbs) - waiting + len(list(stack.tcp.listeners))
    udp, raw = len(list(stack.udp.sockets())), sum(map(len, stack.ip.raw.by_protocol.values()))
    return (
        f"sockets: used {tcp + udp + raw}\n"
        f"TCP: inuse {tcp - orphans} orphan {orphans} tw {waiting} alloc {tcp} mem 0\n"
        f"UDP: inuse {udp} mem 0\nUDPLITE: inuse 0\nRAW: inuse {raw}\n"
        f"FRAG: inuse {len(stack.ip.reassembler)} memory {stack.ip.reassembler.octets}"
    )


def _tcp(stack: Stack, now: Instant) -> Iterator[str]:
    numbers = count()
    for listener in stack.tcp.listeners:
        backlog = len(listener.accept_queue)
        yield _row(next(numbers), listener.local, ANY_ENDPOINT, State.LISTEN, 0, backlog)
    for tcb in stack.tcp.connections:
        kind, timer = _timer(tcb)
        left = max(0, (timer.deadline or now) - now) // _CLOCK_TICK if timer else 0
        yield _row(
            next(numbers),
            *(tcb.local, tcb.remote, tcb.state, stack.tcp.unacknowledged(tcb)),
            *(stack.tcp.unread(tcb), f"{kind:02X}:{left:08X}", tcb.retransmits, tcb.probes_out),
        )


def _timer(tcb: Tcb) -> tuple[int, Timer | NeverArmed | None]:
    """Give the timer that runs, and Linux's number of it."""
    kinds = (
        (1, tcb.retransmission_timer),
        (4, tcb.persist_timer),
        (3, tcb.wait_timer),
        (2, tcb.keepalive_timer),
    )
    return next((each for each in kinds if each[1].deadline is not None), (0, None))


def _row(
    number: int,
    local: Endpoint,
    remote: Endpoint,
    state: State,
    sent: int,
    received: int,
    timer: str = "00:00000000",
    retransmits: int = 0,
    probes: int = 0,
) -> str:
    line = (
        f"{number:4}: {_endpoint(local)} {_endpoint(remote)} {_STATES[state]:02X} "
        f"{sent:08X}:{received:08X} {timer} {retransmits:08X} {0:5} {probes:8} 0 1 {0:016x}"
    )
    return line.ljust(149)


def _udp(stack: Stack) -> Iterator[str]:
    for number, socket in enumerate(stack.udp.sockets()):
        state = State.ESTABLISHED if socket.is_connected else State.CLOSED
        row = _row(number, socket.local, socket.remote, state, 0, socket.queue.octets)
        yield f" {row.rstrip()} 0"


def _endpoint(endpoint: Endpoint) -> str:
    """Render an address as the kernel's machine has it in memory: the least octet first."""
    address = int.from_bytes(endpoint.address.to_bytes(4, "big"), "little")
    return f"{address:08X}:{endpoint.port:04X}"
