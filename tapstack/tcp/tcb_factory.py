"""Making a transmission control block: options, path and random numbers put together.

Not done here: the handshake (`handshake.py`), and the end (`lifetime.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint
from tapstack.base.timers import Timer
from tapstack.base.units import SECOND, Duration, Instant
from tapstack.tcp import send_space, timeouts
from tapstack.tcp.ack_policy import AckPolicy
from tapstack.tcp.congestion import ALGORITHMS, CongestionControl
from tapstack.tcp.congestion.window import CongestionWindow
from tapstack.tcp.connections import SocketPair
from tapstack.tcp.context import Context
from tapstack.tcp.mss import offered_mss
from tapstack.tcp.rack import NOTHING_HEARD
from tapstack.tcp.receive_queue import ReceiveQueue
from tapstack.tcp.receive_space import make_receive_space
from tapstack.tcp.recovery_state import untroubled
from tapstack.tcp.retransmission_queue import RetransmissionQueue
from tapstack.tcp.rtt import RttEstimator
from tapstack.tcp.send_buffer import SendBuffer
from tapstack.tcp.statistics import Statistics
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions

if TYPE_CHECKING:
    from tapstack.base.route_metrics import RouteMetrics
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.connections import PortBinding


def make_tcb(
    ctx: Context,
    local: Endpoint,
    remote: Endpoint,
    options: UserOptions,
    binding: PortBinding,
    now: Instant,
) -> Tcb:
    """Make and register a TCB in CLOSED, ready for a handshake.

    Raises: OSError with ENETUNREACH, or EADDRNOTAVAIL when the connection exists already.
    """
    tcb = draft_tcb(ctx, local, remote, options, binding, now)
    if tcb.route.congctl:
        tcb.options = options.own()
        tcb.options.congestion = tcb.route.congctl
    ctx.connections.add(tcb)
    return tcb


def draft_tcb(
    ctx: Context,
    local: Endpoint,
    remote: Endpoint,
    options: UserOptions,
    binding: PortBinding,
    now: Instant,
) -> Tcb:
    """Make a TCB that nothing knows yet. Raises: OSError with ENETUNREACH."""
    config = ctx.config
    path = ctx.ip.path_to(remote.address, local.address)
    route = path.metrics
    window = CongestionWindow(route.initcwnd or config.tcp_initial_cwnd)
    timers = ctx.timers
    tcb = Tcb(
        pair=SocketPair(*local, *remote),
        options=options,
        rtt=RttEstimator(*rto_bounds(config, route, options), config.tcp_min_rtt_wlen * SECOND),
        window=window,
        congestion=make_congestion_control(ctx, window, route.congctl or options.congestion),
        receive_space=make_receive_space(config, options, route.window),
        send_buffer=SendBuffer(),
        sent=RetransmissionQueue(),
        rack=NOTHING_HEARD,
        receive_queue=ReceiveQueue(),
        acks=AckPolicy(),
        statistics=Statistics(),
        retransmission_timer=Timer(timers.alarm(timeouts.on_retransmission_timeout), None),
        delayed_ack_timer=Timer(timers.alarm(timeouts.on_delayed_ack_timeout), None),
    )
    tcb.recovery = untroubled(config.tcp_reordering)
    tcb.binding, tcb.route = binding, route
    tcb.retransmission_timer.owner = tcb.delayed_ack_timer.owner = (ctx, tcb)
    tcb.path_mtu, tcb.path_changes = path.mtu, ctx.ip.path_changes
    tcb.advertised_mss = offered_mss(path.mtu, route.advmss, options.maxseg)
    tcb.iss, tcb.ts_offset = ctx.first_numbers(tcb.pair, now)
    tcb.last_received_at = now
    tcb.send_space = send_space.size_at_first(config, options.send_buffer)
    return tcb


def rto_bounds(
    config: TcpConfig, route: RouteMetrics, options: UserOptions
) -> tuple[Duration, Duration]:
    """Give the least of the variance term and the longest RTO, µs: by route, user and settings."""
    least = route.rto_min or options.rto_min or config.tcp_rto_min
    return least, options.rto_max or config.tcp_rto_max


def make_congestion_control(ctx: Context, window: CongestionWindow, name: str) -> CongestionControl:
    """Put a window under an algorithm, the engine's default if it has no name."""
    algorithm = ALGORITHMS[name or ctx.config.tcp_congestion_control]
    return algorithm(window, ctx.config, ctx.counters)
