"""The states of a connection and the transitions between them (RFC 9293 §3.3.2, figure 5).

`become` refuses what the figure does not have. No other writes a connection's state, but for the
short ways of the most usual transitions.

Not done here: why a transition happens.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


class State(Enum):
    """A connection's state; the value is what `ss` calls it."""

    CLOSED = "UNCONN"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECV"
    ESTABLISHED = "ESTAB"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"

    @property
    def title(self) -> str:
        """The state as `ss` writes it."""
        return self.value

    # A state is a key on every segment's way: Enum's own hash runs Python code.
    __hash__ = object.__hash__


class Shut(NamedTuple):
    """The directions that a user has shut before there was a connection."""

    reading: bool = False
    writing: bool = False


NOT_SHUT = Shut()

TRANSITIONS: dict[State, frozenset[State]] = {
    State.CLOSED: frozenset({State.SYN_SENT, State.SYN_RECEIVED}),
    State.LISTEN: frozenset({State.CLOSED}),
    State.SYN_SENT: frozenset({State.SYN_RECEIVED, State.ESTABLISHED, State.CLOSED}),
    State.SYN_RECEIVED: frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.CLOSED}),
    State.ESTABLISHED: frozenset({State.FIN_WAIT_1, State.CLOSE_WAIT, State.CLOSED}),
    State.FIN_WAIT_1: frozenset({State.FIN_WAIT_2, State.CLOSING, State.TIME_WAIT, State.CLOSED}),
    State.FIN_WAIT_2: frozenset({State.TIME_WAIT, State.CLOSED}),
    State.CLOSE_WAIT: frozenset({State.LAST_ACK, State.CLOSED}),
    State.CLOSING: frozenset({State.TIME_WAIT, State.CLOSED}),
    State.LAST_ACK: frozenset({State.CLOSED}),
    State.TIME_WAIT: frozenset({State.CLOSED}),
}
"""Figure 5, plus: any state may end in CLOSED, by a reset, a timeout or an abort.

A connection is made in CLOSED: a listener's leaves it for SYN-RECEIVED, or is made there, while
the Listener itself stays in LISTEN. SYN-RECEIVED is never left for LISTEN for the same reason: the
connection ends.
"""

CAN_SEND = frozenset({State.ESTABLISHED, State.CLOSE_WAIT})
"""States in which the user may queue text (§3.10.2), beside the ones before ESTABLISHED."""

HAS_SENT_FIN = frozenset(
    {State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSING, State.LAST_ACK, State.TIME_WAIT}
)
"""States that are entered by queueing our FIN, or after it."""

BEFORE_FIN = frozenset({State.SYN_SENT, State.SYN_RECEIVED}) | CAN_SEND
"""States of a connection that are left before our FIN is sent."""

FIN_UNACKNOWLEDGED = frozenset({State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK})
"""States in which text of ours, or our FIN behind it, may still be on its way."""

HAS_RECEIVED_FIN = frozenset({State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK, State.TIME_WAIT})
"""States that are entered by the peer's FIN, or after it."""

_COUNTED = frozenset({State.ESTABLISHED, State.CLOSE_WAIT})
"""What tcpCurrEstab counts (RFC 4022)."""


def become(ctx: Context, tcb: Tcb, state: State) -> None:
    """Move a connection to another state."""
    old = tcb.state
    assert state in TRANSITIONS[old], f"{old.name} -> {state.name}"
    if "tcpstate" in ctx.tracer.on:
        ctx.tracer.emit("tcpstate", f"{tcb.local} > {tcb.remote}: {old.name} -> {state.name}")
    tcb.state = state
    if (state in _COUNTED) is not (old in _COUNTED):
        ctx.counters["TcpCurrEstab"] += 1 if state in _COUNTED else -1
        if state is State.CLOSED:
            ctx.counters["TcpEstabResets"] += 1  # whoever ends it, and why
