"""The user calls (RFC 9293 §3.10.1 to 6): OPEN, SEND, RECEIVE, CLOSE, ABORT, STATUS.

Each is one attempt that never blocks, changes nothing when it raises, and leaves sending to the
flush.

Not done here: RECEIVE (`reading.py`), waiting, and the BSD names (`tapstack/socket/`).
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, ECONNRESET, ENETUNREACH, ENOTCONN, EPIPE

from tapstack.base.address import Endpoint, is_multicast
from tapstack.base.contracts import ENDED, READABLE, WRITABLE, Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.tcp import (
    delivery_rate,
    ecn,
    fast_open_client,
    fast_open_server,
    receive_space,
    send_space,
    urgent,
)
from tapstack.tcp.connections import PortBinding
from tapstack.tcp.context import Context
from tapstack.tcp.fin_wait_2 import wait_for_fin
from tapstack.tcp.lifetime import destroy, leave_orphaned
from tapstack.tcp.listener import Listener, limit_backlog
from tapstack.tcp.mss import guess_effective_mss
from tapstack.tcp.queueing import queue_text
from tapstack.tcp.reading import raise_error
from tapstack.tcp.records import end_record
from tapstack.tcp.replies import reset_peer
from tapstack.tcp.seq import sub
from tapstack.tcp.state import BEFORE_FIN, CAN_SEND, HAS_SENT_FIN, Shut, State, become
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.tcb_factory import make_tcb
from tapstack.tcp.time_wait import may_be_succeeded, succeed, take_over
from tapstack.tcp.user_options import UserOptions

_BEFORE_ESTABLISHED = frozenset({State.SYN_SENT, State.SYN_RECEIVED})

_ENDING = frozenset({State.CLOSING, State.LAST_ACK})
"""States in which all is said, unless the windows hold something back."""
_RESET_BY_ABORT = frozenset(State) - _ENDING - {State.CLOSED, State.SYN_SENT, State.TIME_WAIT}
"""States in which ABORT sends a reset (§3.10.5)."""


# --- OPEN (§3.10.1) -----------------------------------------------------------------------------


def bind(ctx: Context, local: Endpoint, reuse_address: bool, reuse_port: bool) -> PortBinding:
    """Take hold of a port. Raises: OSError with EADDRINUSE or EADDRNOTAVAIL."""
    if local.address and not ctx.ip.is_local(local.address):
        raise os_error(EADDRNOTAVAIL)
    return ctx.connections.bind(PortBinding(local, reuse_address, reuse_port))


def open_passive(
    ctx: Context, binding: PortBinding, backlog: int, options: UserOptions
) -> Listener:
    """Listen on a bound port. Raises: OSError with EADDRINUSE."""
    ctx.connections.listen(binding)
    listener = Listener(binding, limit_backlog(ctx.config, backlog), options)
    fast_open_server.tune(ctx, listener)
    ctx.connections.add_listener(listener)
    return listener


def open_active(
    ctx: Context,
    remote: Endpoint,
    options: UserOptions,
    now: Instant,
    binding: PortBinding | None,
    *,
    with_text: bool,
) -> Tcb:
    """Begin a connection: the SYN leaves with the flush, or `with_text`.

    A binding that is given passes to the connection only if this succeeds.

    Raises: OSError with ENETUNREACH, EADDRNOTAVAIL.
    """
    if ctx.ip.is_broadcast(remote.address) or is_multicast(remote.address):
        raise os_error(ENETUNREACH)
    bound = binding.local.address if binding else 0
    source = ctx.ip.path_to(remote.address, bound).source
    hold = _bind_for(ctx, source, remote, binding, now)
    local = Endpoint(source, hold.local.port)
    if local == remote and binding is None:  # who binds both ends to one means it: it works
        _undo(ctx, hold, binding)
        raise os_error(EADDRNOTAVAIL)
    legacy = take_over(ctx, local, remote, now, bound=binding is not None)
    try:
        tcb = make_tcb(ctx, local, remote, options, hold, now)
    except OSError:
        _undo(ctx, hold, binding)
        raise
    tcb.snd_una = tcb.snd_nxt = tcb.snd_up = tcb.small_sent_end = tcb.iss
    ecn.begin(ctx.config, tcb)
    if legacy is not None:
        succeed(tcb, legacy)
    most, scaling = ctx.config.tcp_rmem[2], ctx.config.tcp_window_scaling
    receive_space.offer_first_window(tcb, most, tcb.advertised_mss, scaling=scaling)
    become(ctx, tcb, State.SYN_SENT)
    guess_effective_mss(ctx, tcb)
    tcb.syn_due = not fast_open_client.begin(ctx, tcb, now, with_text=with_text)
    ctx.counters["TcpActiveOpens"] += tcb.syn_due
    ctx.mark_dirty(tcb)
    return tcb


def _bind_for(
    ctx: Context, source: int, remote: Endpoint, binding: PortBinding | None, now: Instant
) -> PortBinding:
    if binding is not None:
        return binding
    destination = ctx.keyed_hash.destination(source, remote)

    def may_succeed(old: Tcb) -> bool:
        return may_be_succeeded(ctx, old, now, bound=False)

    return ctx.connections.bind_for(source, remote, destination, may_succeed)


def _undo(ctx: Context, hold: PortBinding, given: PortBinding | None) -> None:
    if hold is not given:
        ctx.connections.release(hold)


def accept(listener: Listener) -> Tcb | None:
    """Take the oldest connection of the accept queue, or None."""
    if not listener.accept_queue:
        return None
    tcb = listener.accept_queue.popleft()
    tcb.listener = None
    if tcb.options.defer_accept:
        tcb.options = tcb.options.own()
        tcb.options.defer_accept = 0  # that was for the listener to do
    return tcb


# --- SEND (§3.10.2) -----------------------------------------------------------------------------


def send(
    ctx: Context,
    tcb: Tcb,
    data: Buffer,
    now: Instant,
    *,
    out_of_band: bool = False,
    more: bool = False,
    ends_record: bool = False,
) -> int:
    """Queue as much of `data` as the send buffer has room for; 0: none, try when WRITABLE.

    `out_of_band` makes the last octet that found room urgent. With `more`, a segment that is not
    full waits for what the user will send next; `ends_record` keeps that out of the last segment.

    Raises: the connection's error once, then BrokenPipeError.
    """
    delivery_rate.on_user_sends(tcb)  # as Linux, whatever comes of it
    plainly = tcb.state is State.ESTABLISHED and not (tcb.fin_queued or tcb.error)
    if not (plainly or _may_send(tcb)):
        _note_blocked(tcb)
        return 0
    tcb.push_pending = tcb.pushes_once = False
    taken = queue_text(ctx, tcb, data, now, is_urgent=out_of_band, goes_on=more or ends_record)
    if taken < len(data):
        _note_blocked(tcb)
        if not taken:
            if tcb.call_goes_on:
                _push_what_waits(ctx, tcb)
            return 0
        more = ends_record = False
        tcb.pushes_once = True
    tcb.more_coming = more
    tcb.undisturbed = tcb.undisturbed and not more
    if not more or tcb.send_pieces.push_is_due(tcb):
        tcb.send_pieces.push(tcb)
    if out_of_band and taken:
        urgent.mark_sent(tcb)
    if ends_record and taken:
        end_record(tcb)
    ctx.mark_dirty(tcb)
    return taken


def _may_send(tcb: Tcb) -> bool:
    """Tell whether text may be queued; False: not yet. Raises: as `send`."""
    raise_error(tcb)
    if tcb.state in _BEFORE_ESTABLISHED and not tcb.opens_early:
        return False
    if tcb.fin_queued or not (tcb.state in CAN_SEND or tcb.opens_early):
        raise os_error(EPIPE)
    return True


def takes_no_more(tcb: Tcb) -> bool:
    """Tell whether `send` would raise, rather than take text or have it wait."""
    return tcb.error != 0 or tcb.fin_queued or tcb.state not in BEFORE_FIN


def _push_what_waits(ctx: Context, tcb: Tcb) -> None:
    """Let go of what one call has queued, as the rest of it finds no room."""
    tcb.more_coming, tcb.pushes_once = False, True
    tcb.send_pieces.push(tcb)
    ctx.mark_dirty(tcb)


def unacknowledged(tcb: Tcb) -> int:
    """Count the octets that are queued or in flight; our FIN is one."""
    if tcb.state in _BEFORE_ESTABLISHED:
        return 0
    return sub(tcb.snd_nxt, tcb.snd_una) + unsent(tcb)


def unsent(tcb: Tcb) -> int:
    """Count the octets that were never sent; our FIN is one."""
    if tcb.state in _BEFORE_ESTABLISHED:
        return 0
    return tcb.unsent() + tcb.left_unsent + tcb.fin_waits


def is_writable(ctx: Context, tcb: Tcb) -> bool:
    """Tell whether `send` would take much, or raise, now; if not, an event will tell when."""
    takes_text = (
        tcb.state not in _BEFORE_ESTABLISHED or tcb.opens_early or fast_open_client.is_deferred(tcb)
    )
    if tcb.error or (tcb.fin_queued and takes_text) or tcb.state is State.CLOSED:
        return True
    writable = takes_text and send_space.is_roomy(ctx, tcb)
    if not writable:
        _note_blocked(tcb)
    return writable


def _note_blocked(tcb: Tcb) -> None:
    """Note that the user found no room."""
    tcb.send_blocked, tcb.blocked_at = True, tcb.statistics.segs_in


# --- CLOSE (§3.10.4) and ABORT (§3.10.5) --------------------------------------------------------


def begin_shut(endpoint: Tcb | Listener, shut: Shut) -> None:
    """Begin with what its user has shut while there was neither a connection nor a listener.

    As in Linux, no FIN follows unless the handshake passes through SYN-RECEIVED, or the user asks
    for it once more; and a listener's connections begin like it.
    """
    if isinstance(endpoint, Listener):
        endpoint.shut = shut
    else:
        endpoint.read_shut, endpoint.fin_queued = shut


def shutdown(ctx: Context, tcb: Tcb, *, read: bool, write: bool) -> None:
    """Close one direction or both; the connection lives on (RFC 9293 §3.6, half-close).

    Raises: OSError with ENOTCONN when there is no connection.
    """
    if tcb.state in (State.CLOSED, State.TIME_WAIT):
        raise os_error(ENOTCONN)
    if read:
        tcb.read_shut = True
        ctx.report(tcb, ENDED | READABLE)
    if write and tcb.state is State.SYN_RECEIVED:
        tcb.fin_queued = True  # as Linux: the FIN leaves once the handshake is done
    elif write:
        _queue_fin(ctx, tcb)


def _queue_fin(ctx: Context, tcb: Tcb) -> None:
    """Send a FIN behind all that is queued: "queue this until all preceding SENDs"."""
    if tcb.state in HAS_SENT_FIN:
        return
    if tcb.state is State.SYN_SENT:
        destroy(ctx, tcb)
        return
    tcb.fin_queued = True
    closing = State.LAST_ACK if tcb.state is State.CLOSE_WAIT else State.FIN_WAIT_1
    become(ctx, tcb, closing)
    ctx.mark_dirty(tcb)
    ctx.report(tcb, ENDED | WRITABLE)


def close(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Close both directions for good: the user will not ask again, and the stack ends it.

    So many may live on without a user, as a peer need not ever let them end; more are reset.
    """
    if tcb.state not in (State.CLOSED, State.TIME_WAIT):
        _close_both_ways(ctx, tcb, now)
    tcb.read_shut = True
    if not tcb.orphaned:
        leave_orphaned(ctx, tcb)
        if ctx.orphans > ctx.config.tcp_max_orphans:
            ctx.counters["TcpExtTCPAbortOnMemory"] += 1
            abort(ctx, tcb)


def _close_both_ways(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Queue a FIN; but text that the user never took resets the connection (RFC 2525 §2.17)."""
    if len(tcb.receive_queue):
        ctx.counters["TcpExtTCPAbortOnClose"] += 1
        tcb.receive_queue.release(tcb.rcv_nxt)  # as Linux: what the reset offers has room again
        reset_peer(ctx, tcb, "closed with text unread")
        destroy(ctx, tcb)
    elif tcb.options.linger == 0:
        ctx.counters["TcpExtTCPAbortOnData"] += 1
        abort(ctx, tcb)
    elif tcb.state is State.FIN_WAIT_2:
        wait_for_fin(ctx, tcb, None, now)
    else:
        _queue_fin(ctx, tcb)


def abort(ctx: Context, tcb: Tcb, error: int = 0) -> None:
    """Reset a connection and forget it (§3.10.5): "Any outstanding SENDs are flushed".

    Where all was said, there is nothing to reset, and no error.
    """
    if tcb.state in _RESET_BY_ABORT or (tcb.state in _ENDING and unsent(tcb)):
        reset_peer(ctx, tcb, "abort")
    elif tcb.state in HAS_SENT_FIN:
        error = 0
    if tcb.state is not State.CLOSED:
        destroy(ctx, tcb, error)


def close_listener(ctx: Context, listener: Listener) -> None:
    """Stop listening, and give the port back. A second call does nothing."""
    if stop_listening(ctx, listener):
        ctx.connections.release(listener.binding)


def stop_listening(ctx: Context, listener: Listener) -> bool:
    """Forget half-open connections, and reset those not accepted; False: that was done before.

    The port is still held.
    """
    if not ctx.connections.remove_listener(listener):
        return False
    listener.binding.listening = False
    for tcb in list(listener.syn_queue):
        destroy(ctx, tcb)
    for tcb in listener.accept_queue:
        abort(ctx, tcb, ECONNRESET)
    listener.accept_queue.clear()
    return True
