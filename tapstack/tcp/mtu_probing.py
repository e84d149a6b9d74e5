"""Packetization-layer path MTU discovery (RFC 4821): finding the MTU where no ICMP error comes.

With `tcp_mtu_probing` 1, a run of timeouts is taken for a black hole, and segments become small;
with 2 they are from the start. From there on text itself probes for more: a segment halfway between
what passes and what might. If it arrives, that passes too; if it alone is lost, it is too large.

Not done here: what ICMP tells (`path_mtu.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapstack.base.units import SECOND, Instant
from tapstack.tcp.episode import current_ssthresh
from tapstack.tcp.mss import FIXED_HEADERS, text_in, update_effective_mss
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.seq import gt, sub

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_LEAST_WINDOW = 11
"""Segments of congestion window below which a probe, if lost, could not be told by those after."""
BLACK_HOLE, SMALL_FROM_THE_START = 1, 2
"""What `tcp_mtu_probing` may be, beside 0: never."""


@dataclass(slots=True)
class MtuProbing:
    """The search of one connection; MTUs are octets of an IP datagram."""

    search_low: int
    """The largest MTU that is known to pass (RFC 4821 §7.1)."""
    search_high: int
    """The largest that might."""
    searching_since: Instant
    """When the range was last widened: paths change."""
    probe_size: int = 0
    """MTU of the probe in flight; 0: there is none."""
    probe_start: int = 0
    """Sequence number of its first octet."""
    probe_end: int = 0
    """And behind its last."""


def start(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Set the range: once the peer has answered our SYN, and when the handshake is done.

    Like in Linux, it holds from when the effective MSS is next worked out. At the passive end, that
    may be after the first text has left, in segments as large as they come.
    """
    if ctx.config.tcp_mtu_probing < SMALL_FROM_THE_START:
        tcb.mtu_probing = None
    else:
        tcb.mtu_probing = _begin(ctx, tcb, now)


def _begin(ctx: Context, tcb: Tcb, now: Instant) -> MtuProbing:
    """Begin to search, between what every path should take and what this one is known to be."""
    low, high = _mtu_of(tcb, ctx.config.tcp_base_mss), tcb.peer_mss + FIXED_HEADERS
    return MtuProbing(low, min(tcb.path_mtu, high), now)


def _mtu_of(tcb: Tcb, text: int) -> int:
    """Give the datagram that so many octets of text make."""
    return text + FIXED_HEADERS + TIMESTAMPS_LENGTH * tcb.timestamps


def on_black_hole(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send smaller segments: nothing has passed for a run of timeouts (RFC 4821 §7.7)."""
    config, probing = ctx.config, tcb.mtu_probing
    if not config.tcp_mtu_probing:
        return
    if probing is None:
        tcb.mtu_probing = _begin(ctx, tcb, now)
    else:
        half = text_in(tcb, probing.search_low) // 2
        least = max(config.tcp_mtu_probe_floor, config.tcp_min_snd_mss)
        probing.search_low = _mtu_of(tcb, max(min(half, config.tcp_base_mss), least))
    update_effective_mss(tcb)


# --- the probe ----------------------------------------------------------------------------------


def probe_length(ctx: Context, tcb: Tcb, now: Instant) -> int | None:
    """Give the octets of text that a probe is to carry now; 0: none, None: wait, and it may."""
    probing, window = tcb.mtu_probing, tcb.window
    if probing is None or probing.probe_size or tcb.recovery.phase is not Phase.OPEN:
        return 0
    if window.cwnd < _LEAST_WINDOW or tcb.reassembly:
        return 0
    length = text_in(tcb, (probing.search_high + probing.search_low) // 2)
    width = probing.search_high - probing.search_low
    if width < ctx.config.tcp_probe_threshold or length > text_in(tcb, probing.search_high):
        _search_anew(ctx, tcb, probing, now)
        return 0
    # So much must follow that its loss shows by what arrives, not by a timeout.
    needed = length + (tcb.recovery.reordering + 1) * tcb.effective_mss
    if tcb.unsent() < needed or tcb.snd_wnd < needed:
        return 0
    if tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una) < needed:
        return None
    if tcb.sent.in_flight + 2 > window.cwnd:
        return None if tcb.sent.in_flight else 0
    return length


def _search_anew(ctx: Context, tcb: Tcb, probing: MtuProbing, now: Instant) -> None:
    """Widen the range again after a while: the path may have become wider (RFC 4821 §7.3)."""
    if now - probing.searching_since >= ctx.config.tcp_probe_interval * SECOND:
        probing.search_high = min(tcb.peer_mss + FIXED_HEADERS, tcb.path_mtu)
        probing.search_low = _mtu_of(tcb, tcb.effective_mss)
        probing.searching_since = now


def on_sent(ctx: Context, tcb: Tcb, start_seq: int, end: int) -> None:
    """Note the probe that has just left: it counts as two segments in the window."""
    probing = tcb.mtu_probing
    assert probing is not None
    probing.probe_size = _mtu_of(tcb, sub(end, start_seq))
    probing.probe_start, probing.probe_end = start_seq, end
    tcb.window.cwnd -= 1
    ctx.counters["TcpExtTCPMTUPProbe"] += 1


def on_acknowledged(ctx: Context, tcb: Tcb) -> None:
    """See whether the probe has arrived: then segments are that large from now on."""
    probing = tcb.mtu_probing
    if probing is None or not probing.probe_size or gt(probing.probe_end, tcb.snd_una):
        return
    ctx.counters["TcpExtTCPMTUPSuccess"] += 1
    # The window keeps its octets, in fewer segments.
    octets = tcb.window.cwnd * _mtu_of(tcb, tcb.effective_mss)
    tcb.window.cwnd = max(1, octets // probing.probe_size)
    tcb.window.ssthresh = current_ssthresh(tcb)
    probing.search_low, probing.probe_size = probing.probe_size, 0
    update_effective_mss(tcb)


def is_probe_lost(tcb: Tcb) -> bool:
    """Tell whether what is missing first is the probe."""
    probing = tcb.mtu_probing
    return probing is not None and bool(probing.probe_size) and tcb.snd_una == probing.probe_start


def on_lost(ctx: Context, tcb: Tcb) -> None:
    """Conclude that the probe was too large; its loss is no sign of congestion (§7.6.2)."""
    probing = tcb.mtu_probing
    assert probing is not None
    ctx.counters["TcpExtTCPMTUPFail"] += 1
    probing.search_high, probing.probe_size = probing.probe_size - 1, 0
    tcb.window.cwnd += 1
