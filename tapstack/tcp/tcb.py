"""The transmission control block (RFC 9293 §3.3.1): one connection, as plain state.

The names are the RFC's. Each field says its unit, and which file writes it where that is not
plain from its section.

Not done here: anything. Functions in the other files read and change it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint, make_endpoint
from tapstack.base.error_queue import ErrorQueue
from tapstack.base.route_metrics import NO_METRICS, RouteMetrics
from tapstack.base.timers import NEVER_ARMED, NeverArmed, Timer
from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp.ack_policy import AckPolicy
from tapstack.tcp.congestion import CongestionControl
from tapstack.tcp.congestion.window import CongestionWindow
from tapstack.tcp.mtu_probing import MtuProbing
from tapstack.tcp.rack import NothingHeard, Rack
from tapstack.tcp.reassembly import ReassemblyQueue
from tapstack.tcp.receive_queue import ReceiveQueue
from tapstack.tcp.receive_space import ReceiveSpace
from tapstack.tcp.recovery_state import Recovery, Untroubled
from tapstack.tcp.retransmission_queue import RetransmissionQueue
from tapstack.tcp.retransmission_timer import Purpose
from tapstack.tcp.rtt import RttEstimator
from tapstack.tcp.sack_list import SackList
from tapstack.tcp.segment import FIN
from tapstack.tcp.send_buffer import SendBuffer
from tapstack.tcp.send_pieces import NO_PIECES, SendPieces
from tapstack.tcp.seq import sub
from tapstack.tcp.state import BEFORE_FIN, State
from tapstack.tcp.statistics import Statistics
from tapstack.tcp.tcb_exceptions import Exceptions
from tapstack.tcp.text_followers import TextFollower
from tapstack.tcp.urgent import UrgentOctet
from tapstack.tcp.user_options import UNPACED, UserOptions

if TYPE_CHECKING:
    from tapstack.tcp.connections import PortBinding, SocketPair
    from tapstack.tcp.listener import Listener
    from tapstack.tcp.plain_segment import Lane
    from tapstack.tcp.segment import SackBlock
    from tapstack.tcp.syn_ack import SynAck

_STAMP_MASK = 0xFFFFFFFF


@dataclass(slots=True, eq=False)
class Exchange:
    """What the exchange of text asks of a connection with each segment.

    It lies together in memory: a connection that was not used for a while, as each of thousands is,
    has to come into the processor's caches piece by piece. So what is not asked each time stands in
    `Tcb`: within one class Python lays out slots by their names.
    """

    pair: SocketPair
    options: UserOptions

    # --- parts, made by `tcb_factory.make_tcb` ---
    rtt: RttEstimator
    window: CongestionWindow
    congestion: CongestionControl
    receive_space: ReceiveSpace
    send_buffer: SendBuffer
    sent: RetransmissionQueue
    rack: Rack | NothingHeard
    receive_queue: ReceiveQueue
    acks: AckPolicy
    statistics: Statistics
    """What was counted, for `info.py`."""
    retransmission_timer: Timer
    """Runs while anything is in flight (RFC 6298 §5). Armed by `retransmission_timer.py`."""
    delayed_ack_timer: Timer
    state: State = State.CLOSED
    """Written by `state.become` alone, but for the most usual transitions: `mould.py` makes a TCB
    in SYN-RECEIVED, `expected_turn.py` and `expected_end.py` take it on to the end."""

    # --- send sequence variables ---
    snd_una: int = 0
    """SND.UNA: oldest sequence number not acknowledged. Written by `acknowledgment.py`, and by
    `expected_segment.py` and `exchange.py`."""
    snd_nxt: int = 0
    """SND.NXT: next sequence number to be sent. Written by `output.py`, and by `lone_unit.py`,
    `lone_fin.py`, `short_text.py` and `train.py`."""
    snd_up: int = 0
    """SND.UP: what comes behind the last urgent octet; SND.UNA or below: there is none."""
    snd_wnd: int = 0
    """SND.WND: octets that the peer takes from SND.UNA on, scaled."""
    snd_wl1: int = 0
    """SND.WL1: SEG.SEQ of the last window update."""
    snd_wl2: int = 0
    """SND.WL2: SEG.ACK of the last window update."""

    # --- receive sequence variables ---
    rcv_nxt: int = 0
    """RCV.NXT: next sequence number expected. Written by `receive_memory.append_text`, by
    `expected_segment.py` and `exchange.py`, and for a FIN by `segment_arrives.py` and
    `expected_end.py`."""
    rcv_wnd: int = 0
    """RCV.WND: octets last advertised, counted from `rcv_wup`. Written by `transmission.py`, and by
    `plain_segment.py`, `lone_fin.py`, `short_text.py` and `train.py`."""
    rcv_wup: int = 0
    """RCV.NXT when RCV.WND was last advertised."""

    # --- what the handshake agreed on ---
    effective_mss: int = 536
    """Eff.snd.MSS (RFC 9293 §3.7.1): octets of text in a full segment, options deducted."""
    path_mtu: int = 576
    """Octets of the largest datagram that the path is known to take."""
    path_changes: int = 0
    """How often paths had changed when the network layer was last asked for that."""
    route: RouteMetrics = NO_METRICS
    """What the route said when the connection began."""
    snd_wind_shift: int = 0
    """Snd.Wind.Shift (RFC 7323 §2.3)."""
    rcv_wind_shift: int = 0
    """Rcv.Wind.Shift."""
    sack_permitted: bool = False
    """Both SYNs carried SACK-permitted."""
    ts_recent: int = 0
    """TS.Recent (RFC 7323 §4.3)."""
    ts_recent_at: Instant = 0
    """When TS.Recent was last written: it is void after 24 days (§5.5)."""
    last_ack_sent: int = 0
    """Last.ACK.sent: the ACK field of the last segment that left."""
    ts_offset: int = 0
    """Added to the clock to make TSval (RFC 7323 §5.4): a keyed hash of the endpoints."""

    # --- sending ---
    fin_queued: bool = False
    """The user has closed: a FIN follows the last octet of the send buffer."""
    small_sent_end: int = 0
    """Where the last segment below a full one ended: Nagle's question is whether it is acked."""
    pushed_seq: int | None = None
    """What was pushed up to; None: nothing was yet. Written by `send_pieces.py`, and by
    `short_text.py` and `train.py`, whose text leaves as it comes and is no piece."""
    paced_in_round_trip: int = UNPACED
    """What the congestion window lets leave, in the unit of `unit_size.py`, which writes it, as do
    `exchange.py` and `mould.py`."""
    last_sent_at: Instant = 0
    """When text last left."""
    transmitted_at: Instant = 0
    """When any segment last left."""
    more_coming: bool = False
    """The user said that more follows at once (MSG_MORE): until the peer's next ACK or the user's
    next text, what is small waits."""
    push_pending: bool = False
    """What waits is to leave, though it be small; until the user sends more."""
    send_blocked: bool = False
    """The user found the send buffer full: room is to be reported."""

    # --- how fast text arrives, as `delivery_rate.py` has it; the short ways write it, too ---
    delivered_at: Instant = 0
    """When something last proved to have arrived (C.delivered_time)."""
    first_sent_at: Instant = 0
    """When what last proved so was sent, or the first of the flight (C.first_sent_time)."""
    app_limited_until: int = -1
    """Samples are limited by the user until more segments than these are delivered (C.app_limited);
    0: they are not; −1: nothing was ever sent."""
    rate_segments: int = 0
    """Of the sample that counts: segments that were delivered."""
    rate_interval: Duration = 0
    """And the time that they took; 0: there is no sample."""
    rate_app_limited: bool = True
    """Whether the user limited it."""

    # --- timeouts ---
    timer_purpose: Purpose = Purpose.RETRANSMISSION
    """What the retransmission timer runs for, while it does."""
    last_received_at: Instant = field(init=False)
    """When a segment last came in, for keep-alive."""

    # --- receiving ---
    copied_seq: int = 0
    """The sequence number of the next octet that the user takes: RCV.NXT less RCV.USER."""
    urgent_octet: UrgentOctet = UrgentOctet.NONE
    """Whether there is an urgent mark, and what is known of its octet. Written by `urgent.py`."""
    read_shut: bool = False
    """The user has shut its reading side: once the queue is empty, the stream has ended."""
    lane: Lane | None = None
    """The short way for plain segments; None: there is none yet. Set by `express.py`, and with
    its SYN by `express_syns.py` or `expected_syn.py`."""

    # --- the user ---
    error: int = 0
    """errno to be reported to the user once; 0: none."""
    errors: ErrorQueue | None = None
    """Errors and times that are told one by one (MSG_ERRQUEUE of recv(2)); None: there are none."""
    next_hop_confirmed: bool = False
    """Something of ours has arrived: the next segment tells the link so (RFC 4861 §7.3.1)."""
    undisturbed: bool = False
    """Nothing but the exchange of text is under way, as `undisturbed.py` has found; false: it has
    to be looked for. Whoever may change that takes it back."""


@dataclass(slots=True, eq=False)
class Tcb(Exchange, Exceptions):
    """One connection: its exchange of text, and what begins, disturbs and ends that.

    What most never come to stands in `tcb_exceptions.py`. What has no default is set by who makes
    one, right after (`tcb_factory.py`, `mould.py`): it need not be set twice.
    """

    # --- parts ---
    recovery: Recovery | Untroubled = field(init=False)
    """Who writes to it has its own made (`recovery_of`)."""
    binding: PortBinding = field(init=False)
    """The hold on the local port; given back when the connection ends."""
    send_pieces: SendPieces = NO_PIECES

    # --- send sequence variables ---
    iss: int = field(init=False)
    """ISS: initial send sequence number."""
    max_snd_wnd: int = 0
    """The largest SND.WND there was: SWS avoidance (RFC 9293 §3.8.6.2.1) and RFC 5961 §5.2."""

    # --- receive sequence variables ---
    irs: int = 0
    """IRS: initial receive sequence number."""

    # --- what the handshake agreed on ---
    advertised_mss: int = field(init=False)
    """What our SYN names: the interface's MTU less the fixed headers."""
    peer_mss: int = 536
    """SendMSS: what the peer's SYN named, or the default."""
    mtu_probing: MtuProbing | None = None
    """Written by `mtu_probing.py`; None: larger segments are not tried out."""
    timestamps: bool = False
    """Snd.TS.OK: both SYNs carried timestamps."""
    window_scaling: bool = False
    """Snd.WS.OK: both SYNs carried a window scale."""
    ecn: bool = False
    """ECN is in use; in SYN-SENT: it was offered. Written by `ecn.py`."""

    # --- sending ---
    fin_sent: bool = False
    """Our FIN has left, and is in flight or acknowledged. Written by `output.py`, and by
    `lone_fin.py`."""
    send_space: int = field(init=False)
    """Octets that the send buffer takes (SO_SNDBUF). Written by `send_space.py`."""
    pushes_once: bool = False
    """What waits is to leave, though it be small, when new text is looked at next."""
    probe_due: bool = False
    """Whether the flush is to send a window or keep-alive probe."""
    syn_due: bool = False
    """Whether the flush is to send our SYN or SYN-ACK for the first time."""

    # --- timeouts ---
    persist_timer: Timer | NeverArmed = NEVER_ARMED
    """Runs while text waits for a closed window (RFC 9293 §3.8.6.1). Armed by `timeouts.py`."""
    backoff: int = 0
    """Doublings since a round trip was last measured (RFC 6298 §5): of the RTO, and of the time
    between window probes."""
    rto_backoff: int = 0
    """Those of the RTO: what probes add, they do not add to it (as Linux)."""
    retransmits: int = 0
    """Timeouts in a row of what is at SND.UNA."""
    probes_out: int = 0
    """Window or keep-alive probes since the peer last answered."""

    # --- receiving ---
    reassembly: ReassemblyQueue | None = None
    """Text beyond a gap; None: there is none."""
    sacks: SackList | None = None
    """What is told of text beyond a gap; None: nothing."""
    duplicate_text: SackBlock | None = None
    """Text that came a second time: the next ACK reports it first (RFC 2883)."""
    no_memory: bool = False
    """Text had to be refused: the next ACK shuts the window."""
    compressed_acks: int = 0
    """ACKs of text beyond gaps that wait for each other. Written by `ack_compression.py`, and by
    `transmission.py`."""

    # --- the user ---
    dirty: bool = False
    """Whether it waits for the flush. Written by `context.py`."""
    only_owes: bool = False
    """And the flush has no reason to look at new text. Written by `context.py` and `output.py`."""
    orphaned: bool = False
    """The user has closed it, and will not hear of it again."""
    more_to_end: bool = False
    """There is more to let go of at its end than most have: a timer that was made when it was first
    armed, or our use of Fast Open. Written by `Context.arm` and `fast_open_client.py`."""
    soft_error: int = 0
    """errno of an ICMP error that is reported only if a timeout follows (RFC 1122 §4.2.3.9)."""
    text_followers: tuple[TextFollower, ...] = ()
    """Who is to tell its user what becomes of text that he sends."""
    syn_ack: SynAck | None = None
    """Our SYN-ACK, while a listener's connection waits for its acknowledgment."""
    listener: Listener | None = None
    """The listener whose SYN queue or accept queue holds it; None for others."""

    @property
    def local(self) -> Endpoint:
        """Our end."""
        return make_endpoint(self.pair[:2])

    @property
    def remote(self) -> Endpoint:
        """The peer's end."""
        return make_endpoint(self.pair[2:])

    @property
    def pacing_rate(self) -> int:
        """Octets a second that the congestion window lets leave, and the user."""
        paced, most = self.paced_in_round_trip, self.options.max_pacing_rate
        rate = paced if paced == UNPACED else paced // (self.rtt.srtt_8 or 1)
        return rate if rate < most else most

    @property
    def passive(self) -> bool:
        """Tell whether a listener made it and no user has it yet."""
        return self.listener is not None

    @property
    def opens_early(self) -> bool:
        """Tell whether its user has it before the handshake is done (RFC 7413)."""
        return self.syn_ack is not None and self.syn_ack.pending is not None

    @property
    def only_answers(self) -> bool:
        """Tell whether it is left for what the peer may still ask, as Linux's timewait sockets."""
        state = self.state
        return state is State.TIME_WAIT or (state is State.FIN_WAIT_2 and self.orphaned)

    @property
    def fin_waits(self) -> bool:
        """Tell whether the user has closed and our FIN was not sent yet.

        Who has shut his sending side before there was a connection has not closed that.
        """
        return self.fin_queued and not self.fin_sent and self.state not in BEFORE_FIN

    def unsent(self) -> int:
        """Count the octets in the send buffer that were never sent."""
        queued, segments = self.send_buffer.octets, self.sent.segments
        if not segments or not queued:
            return queued
        # Our SYN and our FIN occupy sequence numbers, and are no text.
        marks = (segments[-1].flags & FIN) + (segments[0].flags >> 1 & 1)
        return queued - sub(self.snd_nxt, self.snd_una) + marks

    def rto(self) -> Duration:
        """Give the retransmission timeout, backed off, µs (RFC 6298 §5.5)."""
        rtt = self.rtt
        return min(rtt.rto << self.rto_backoff, rtt.rto_max) if self.rto_backoff else rtt.rto

    def timestamp_now(self, now: Instant) -> int:
        """Give TSval: a clock of 1 ms with the connection's own offset (RFC 7323 §5.4)."""
        return (self.ts_offset + now // MILLISECOND) & _STAMP_MASK
