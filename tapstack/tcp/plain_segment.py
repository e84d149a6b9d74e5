"""The plain segment: a short way to build and send what has timestamps and no other option.

Most segments that leave are such. What `transmission.py` and the layers below come to for those is
done here and by the connection's lane in one pass. The layers are the truth: a property test holds
both together, octet by octet.

Whatever is not so plain is declined before anything has changed.

Not done here: the headers (`tapstack/express_out.py`), and deciding what to send (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tapstack.base.sharing import shared
from tapstack.tcp.receive_space import MAX_UNSCALED
from tapstack.tcp.receive_window import select_window
from tapstack.tcp.segment import ACK, FIN, PSH
from tapstack.tcp.sent_segment import packets_of
from tapstack.tcp.seq import sub
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.tcp.connections import SocketPair
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb
    from tapstack.tcp.user_options import UserOptions

_PLAIN = ACK | PSH | FIN

Unit = tuple[int, "Sequence[Buffer]"]
"""SEG.SEQ and the text: all that the units of a train differ in."""


class Lane(Protocol):
    """The way of a connection's plain segments to the device, with all headers prepared."""

    @property
    def interface(self) -> object:
        """Give the interface that it goes by, both ways."""

    @property
    def heard(self) -> bytes:
        """Give the two link addresses that what comes this way has."""

    def is_clear(self, pair: SocketPair, options: UserOptions, length: int, size: int) -> bool:
        """Tell whether a segment with `length` octets of text can be sent this way now.

        With a `size` it is to be cut into segments of so many octets; 0: it is one.
        """

    def send(
        self,
        tcb: Tcb,
        flags: int,
        seq: int,
        window: int,
        text: Sequence[Buffer],
        length: int,
        size: int,
        now: Instant,
    ) -> bool:
        """Send a segment, if `is_clear` would allow for it; False: decline.

        `window` is the field as it is to leave.
        """

    def send_syn_ack(
        self,
        pair: SocketPair,
        options: UserOptions,
        seq: int,
        ack: int,
        window: int,
        mss: int,
        stamp: int,
        echo: int,
        shift: int,
        now: Instant,
    ) -> bool:
        """Send a SYN-ACK that has every option of Linux's, if it can be sent so; False: decline."""

    def send_train(
        self,
        tcb: Tcb,
        window: int,
        units: Sequence[Unit],
        length: int,
        size: int,
        now: Instant,
        last: Unit | None = None,
        last_length: int = 0,
    ) -> None:
        """Send units of `length` octets, and a last one, right after `is_clear` for one."""


def send_plain(
    ctx: Context, tcb: Tcb, lane: Lane, seq: int, flags: int, length: int, now: Instant
) -> bool:
    """Send `length` octets of text, with timestamps and no other option; False: decline."""
    mss = tcb.effective_mss
    size = mss if length > mss else 0
    if flags | _PLAIN != _PLAIN or (not tcb.undisturbed and has_more_to_say(tcb)):
        return False
    text: Sequence[Buffer] = ()
    packets, is_sent = 1, True
    if length:
        text = tcb.send_buffer.views(sub(seq, tcb.snd_una), length)
        if size:
            packets, flags = packets_of(length, mss), flags | PSH
    window = select_window(tcb)
    field = window >> tcb.rcv_wind_shift
    if field > MAX_UNSCALED:
        field = MAX_UNSCALED
    try:
        is_sent = lane.send(tcb, flags, seq, field, text, length, size, now)
    finally:  # if a signal handler raises amid the write, the peer may have it all the same
        if is_sent:
            if window != tcb.rcv_wnd:
                tcb.rcv_wnd = shared(window)
            tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
            tcb.transmitted_at = now
            if length:
                tcb.last_sent_at = now
            tcb.acks.on_ack_sent()
            tcb.delayed_ack_timer.deadline = None
            ctx.counters["TcpOutSegs"] += packets
            tcb.statistics.on_transmitted(packets, length)
    return is_sent


def send_ack(ctx: Context, tcb: Tcb, lane: Lane, now: Instant) -> bool:
    """Send an ACK alone, of a connection that is undisturbed; False: decline."""
    window, is_sent = select_window(tcb), True
    field = window >> tcb.rcv_wind_shift
    if field > MAX_UNSCALED:
        field = MAX_UNSCALED
    try:
        is_sent = lane.send(tcb, ACK, tcb.snd_nxt, field, (), 0, 0, now)
    finally:  # as in `send_plain`
        if is_sent:
            if window != tcb.rcv_wnd:
                tcb.rcv_wnd = shared(window)
            tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
            tcb.transmitted_at = now
            tcb.acks.on_ack_sent()
            tcb.delayed_ack_timer.deadline = None
            ctx.counters["TcpOutSegs"] += 1
            tcb.statistics.segs_out += 1
    return is_sent


def has_more_to_say(tcb: Tcb) -> bool:
    """Tell whether what is sent now is more than text, timestamps and an ACK.

    Of a connection that is `undisturbed` that is known: `is_disturbed` asks for all of this but
    TIME-WAIT, which takes the flag back (`lifetime.enter_time_wait`).
    """
    return bool(
        not tcb.timestamps
        or tcb.ecn
        or tcb.duplicate_text
        or tcb.no_memory
        or tcb.sacks
        or tcb.snd_up != tcb.snd_una
        or tcb.compressed_acks
        or tcb.text_followers
        or tcb.state is State.TIME_WAIT
    )
