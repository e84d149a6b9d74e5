"""What connections begin with that begin alike: taken from the first, and given to those after it.

Nearly all that a listener's new connection consists of follows from its options, the settings, the
way, and what the peer's SYN offers; and the SYNs of one program hardly differ. So the layers make
one connection, step by step, and the next ones are cast in its mould: the same, but for the ends
and the numbers.

Not done here: the segments (`expected_syn.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tapstack.base.timers import Alarm, Timer
from tapstack.base.units import Duration
from tapstack.tcp import receive_space, send_space
from tapstack.tcp.ack_policy import AckPolicy
from tapstack.tcp.congestion.window import CongestionWindow
from tapstack.tcp.mss import update_effective_mss
from tapstack.tcp.rack import NOTHING_HEARD
from tapstack.tcp.receive_queue import ReceiveQueue
from tapstack.tcp.receive_space import ReceiveSpace
from tapstack.tcp.recovery_state import Untroubled, untroubled
from tapstack.tcp.retransmission_queue import RetransmissionQueue
from tapstack.tcp.rtt import RttEstimator
from tapstack.tcp.send_buffer import SendBuffer
from tapstack.tcp.state import State
from tapstack.tcp.statistics import Statistics
from tapstack.tcp.synchronize import guess_segment_size
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.unit_size import update_pacing_rate

if TYPE_CHECKING:
    from tapstack.base.route_metrics import RouteMetrics
    from tapstack.base.units import Instant
    from tapstack.tcp.congestion import CongestionControl
    from tapstack.tcp.connections import PortBinding, SocketPair
    from tapstack.tcp.context import Context
    from tapstack.tcp.user_options import UserOptions


_SYN_RECEIVED = State.SYN_RECEIVED  # a member of an Enum is looked up at length each time
_MOST_SETTLED = 16
"""Windows that are remembered; then all are forgotten."""
Settled = tuple[int, int, int, int, int, int, int, int]
"""The peer's window, as one number that all such connections share; Eff.snd.MSS, the estimate of
the peer's segments; the clamp, the threshold, and what the user is thought to take in the first
round trip, of `ReceiveSpace`; the size of the send buffer; what is paced in a round trip."""


@dataclass(slots=True, eq=False)
class Mould:
    """The part of a connection in SYN-RECEIVED that others have in common with it."""

    # --- what it holds for ---
    options: UserOptions
    route: RouteMetrics
    path_mtu: int
    settings: int
    """How often the engine's settings had been changed."""

    # --- what all connections have in common ---
    retransmission: Alarm
    delayed_ack: Alarm

    # --- what follows from that, and from a SYN ---
    rtt: tuple[Duration, Duration, Duration]
    """The arguments of `RttEstimator`."""
    space: tuple[int, int, bool, int, int]
    """The arguments of `ReceiveSpace`."""
    cwnd: int
    algorithm: type[CongestionControl]
    recovery: Untroubled
    send_space: int
    advertised_mss: int
    peer_mss: int
    effective_mss: int
    rcv_mss: int
    always_quick: bool
    snd_wnd: int
    rcv_wnd: int
    snd_wind_shift: int
    rcv_wind_shift: int

    settled: dict[int, Settled] = field(default_factory=dict)
    """What the end of the handshake settles then, by the window that the peer offers there."""

    def cast(
        self,
        ctx: Context,
        pair: SocketPair,
        binding: PortBinding,
        snd_nxt: int,
        rcv_nxt: int,
        stamp: int,
        ts_offset: int,
        now: Instant,
    ) -> Tcb:
        """Make a TCB in SYN-RECEIVED that has all of this; nothing knows it yet, nor has it an ISS.

        Its fields are given by their order, up to the last that is no default: it takes half the
        time of setting them afterwards. So it is with its parts': names take as long as the rest.
        """
        window = CongestionWindow(self.cwnd)
        retransmission = Timer(self.retransmission, None)
        delayed_ack = Timer(self.delayed_ack, None)
        tcb = Tcb(
            pair,
            self.options,
            RttEstimator(*self.rtt),
            window,
            self.algorithm(window, ctx.config, ctx.counters),
            ReceiveSpace(*self.space),
            SendBuffer(),
            RetransmissionQueue(),
            NOTHING_HEARD,
            ReceiveQueue(),
            AckPolicy(self.rcv_mss, self.always_quick),
            Statistics(1),  # the SYN
            retransmission,
            delayed_ack,
            _SYN_RECEIVED,
            # SND.UNA, SND.NXT and SND.UP; SND.WND, .WL1 and .WL2
            snd_nxt, snd_nxt, snd_nxt, self.snd_wnd, 0, 0,
            # RCV.NXT, RCV.WND, and RCV.NXT when that was last advertised
            rcv_nxt, self.rcv_wnd, rcv_nxt,
            # Eff.snd.MSS; the path, how often one had changed by then, and what it said
            self.effective_mss, self.path_mtu, ctx.ip.path_changes, self.route,
            # both shifts; SACK is agreed on
            self.snd_wind_shift, self.rcv_wind_shift, True,
            # TS.Recent, and since when; Last.ACK.sent; the offset of our timestamps
            stamp, now, rcv_nxt, ts_offset,
        )  # fmt: skip
        tcb.recovery, tcb.binding = self.recovery, binding
        retransmission.owner = delayed_ack.owner = (ctx, tcb)
        tcb.small_sent_end, tcb.copied_seq, tcb.last_received_at = snd_nxt, rcv_nxt, now
        tcb.max_snd_wnd, tcb.send_space = self.snd_wnd, self.send_space
        tcb.advertised_mss, tcb.peer_mss = self.advertised_mss, self.peer_mss
        tcb.timestamps = tcb.window_scaling = True
        tcb.undisturbed = True  # there was nothing yet that could disturb it
        return tcb

    def settle(self, ctx: Context, tcb: Tcb, wnd: int, now: Instant) -> None:
        """Settle the peer's window, octets, and what follows from it, as for the first one with it.

        But for the round trip, nothing else may have changed since the connection was cast.
        """
        known, space = self.settled.get(wnd), tcb.receive_space
        if known is None:
            tcb.snd_wnd = tcb.max_snd_wnd = wnd
            self._settle_first(ctx, tcb, now)
            return
        (
            snd_wnd, tcb.effective_mss, tcb.acks.rcv_mss,
            space.clamp, space.threshold, space.taken_before, tcb.send_space,
            tcb.paced_in_round_trip,
        ) = known  # fmt: skip
        tcb.snd_wnd = tcb.max_snd_wnd = snd_wnd
        space.measured_seq, space.measured_at = tcb.copied_seq, now

    def _settle_first(self, ctx: Context, tcb: Tcb, now: Instant) -> None:
        """Settle it step by step, and keep what came of it."""
        space = tcb.receive_space
        update_effective_mss(tcb)
        guess_segment_size(tcb)
        receive_space.on_established(ctx.config, tcb, now)
        send_space.grow(ctx, tcb)
        update_pacing_rate(ctx.config, tcb)
        if len(self.settled) >= _MOST_SETTLED:
            self.settled.clear()
        self.settled[tcb.snd_wnd] = (
            tcb.snd_wnd, tcb.effective_mss, tcb.acks.rcv_mss,
            space.clamp, space.threshold, space.taken_before, tcb.send_space,
            tcb.paced_in_round_trip,
        )  # fmt: skip


def take_mould(ctx: Context, tcb: Tcb) -> Mould:
    """Take the mould of a connection that has just come to SYN-RECEIVED, as its SYN has it."""
    rtt, space = tcb.rtt, tcb.receive_space
    return Mould(
        options=tcb.options,
        route=tcb.route,
        path_mtu=tcb.path_mtu,
        settings=ctx.config.changes,
        retransmission=tcb.retransmission_timer.alarm,
        delayed_ack=tcb.delayed_ack_timer.alarm,
        rtt=(rtt.rto_min, rtt.rto_max, rtt.min_rtt_lifetime),
        space=(
            space.buffer,
            space.clamp,
            space.may_shrink,
            space.share,
            space.threshold,
        ),
        cwnd=tcb.window.cwnd,
        algorithm=type(tcb.congestion),
        recovery=untroubled(tcb.recovery.reordering),
        send_space=tcb.send_space,
        advertised_mss=tcb.advertised_mss,
        peer_mss=tcb.peer_mss,
        effective_mss=tcb.effective_mss,
        rcv_mss=tcb.acks.rcv_mss,
        always_quick=tcb.acks.always_quick,
        snd_wnd=tcb.snd_wnd,
        rcv_wnd=tcb.rcv_wnd,
        snd_wind_shift=tcb.snd_wind_shift,
        rcv_wind_shift=tcb.rcv_wind_shift,
    )
