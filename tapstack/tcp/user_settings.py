"""What an option set on a connection that stands does at once (tcp(7), socket(7)).

Most options are merely looked at when their time comes. These have to do something.

Not done here: the options themselves (`user_options.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tapstack.base.contracts import READABLE
from tapstack.base.units import Instant
from tapstack.tcp import receive_space, send_space
from tapstack.tcp.acknowledging import ack_after_taking_is_due
from tapstack.tcp.state import CAN_SEND
from tapstack.tcp.tcb_factory import make_congestion_control, rto_bounds
from tapstack.tcp.timeouts import arm_keepalive, rearm_keepalive

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_Action = Callable[["Context", "Tcb", Instant], None]


def option_changed(ctx: Context, tcb: Tcb, name: str, now: Instant) -> None:
    """Heed an attribute of `UserOptions` that the user has just set on a connection."""
    tcb.undisturbed = False
    action = _ACTIONS.get(name)
    if action is not None:
        action(ctx, tcb, now)


def _set_nodelay(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    """Send what waits, though it be small: TCP_NODELAY overrides even TCP_CORK once (tcp(7))."""
    if tcb.options.nodelay:
        tcb.push_pending = True
        ctx.mark_dirty(tcb)


def _set_cork(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    """Let go of what was held back; like Linux, also of what MSG_MORE held back."""
    if not tcb.options.cork:
        tcb.more_coming = False
        tcb.push_pending |= tcb.options.nodelay
        ctx.mark_dirty(tcb)


def _set_quick(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    """Leave or enter the mode of delayed ACKs; the connection may change it again by itself.

    An ACK that is delayed leaves at once only where nothing waits for the user.
    """
    tcb.acks.interactive = not tcb.options.quickack
    if tcb.options.quickack and tcb.state in CAN_SEND and tcb.acks.owed:
        tcb.acks.pushed = True
        if ack_after_taking_is_due(tcb):
            tcb.acks.due = True
            ctx.mark_dirty(tcb)


def _set_receive_buffer(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    if tcb.options.receive_buffer is not None:
        tcb.receive_space.buffer = tcb.options.receive_buffer


def _set_send_buffer(ctx: Context, tcb: Tcb, now: Instant) -> None:
    tcb.send_space = send_space.size_at_first(ctx.config, tcb.options.send_buffer)
    send_space.offer_room(ctx, tcb, now)


def _set_clamp(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    receive_space.set_clamp(tcb, tcb.options.window_clamp)


def _set_low_water(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    receive_space.make_room_for(tcb, tcb.options.rcvlowat)
    ctx.report(tcb, READABLE)


def _set_congestion(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    """Hand the window over to another algorithm, as it is."""
    if tcb.options.congestion not in ("", tcb.congestion.name):
        tcb.congestion = make_congestion_control(ctx, tcb.window, tcb.options.congestion)


def _set_rto_bounds(ctx: Context, tcb: Tcb, now: Instant) -> None:  # noqa: ARG001
    """Heed other bounds from here on; as in Linux, an RTO that is backed off stays as it is."""
    tcb.rtt.rto, tcb.rto_backoff = tcb.rto(), 0
    tcb.rtt.rto_min, tcb.rtt.rto_max = rto_bounds(ctx.config, tcb.route, tcb.options)


_ACTIONS: dict[str, _Action] = {
    "nodelay": _set_nodelay,
    "cork": _set_cork,
    "quickack": _set_quick,
    "keepalive": arm_keepalive,
    "keepidle": rearm_keepalive,
    "receive_buffer": _set_receive_buffer,
    "send_buffer": _set_send_buffer,
    "window_clamp": _set_clamp,
    "rcvlowat": _set_low_water,
    "notsent_lowat": send_space.offer_room,
    "congestion": _set_congestion,
    "rto_min": _set_rto_bounds,
    "rto_max": _set_rto_bounds,
}
