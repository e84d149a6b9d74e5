"""What holds of every connection, whatever the network and the users do: checked after every flush.

Every door of a stack ends in the flush of its TCP engine, and so does each delivery to itself. What
does not hold raises AssertionError then and there, in the middle of the run that broke it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapstack.base.timers import TimerQueue
from tapstack.tcp.lifetime import timers_of
from tapstack.tcp.protocol import Tcp
from tapstack.tcp.reassembly import span_beyond_gap
from tapstack.tcp.receive_window import right_edge
from tapstack.tcp.segment import FIN
from tapstack.tcp.seq import add, ge, gt, le, sub
from tapstack.tcp.state import TRANSITIONS, State
from tapstack.tcp.tcb import Tcb

_OPENING = frozenset({State.SYN_SENT, State.SYN_RECEIVED})
_OVER = frozenset({State.TIME_WAIT, State.CLOSED})
_TAKES_TEXT = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2})


@dataclass
class Memory:
    """What a connection looked like when it was last looked at."""

    state: State
    snd_una: int
    snd_nxt: int
    rcv_nxt: int
    edge: int | None = None
    """Right edge of the receive window that was advertised; None before the peer's SYN."""
    farthest: int | None = None
    """The largest that it ever was: what came beyond a gap then may still wait."""
    peer_edge: int | None = None
    """The largest right edge that the peer ever offered; None before its SYN."""
    largest_mss: int = 0
    send_space: int = 0
    """The largest send buffer that there was."""
    buffer: int = 0
    """The largest receive buffer that there was."""


@dataclass
class Before:
    """What a flush finds."""

    snd_nxt: int
    in_flight: int
    retransmissions: int


class Guard:
    """Looks at every connection of one engine at the end of each flush, or of each n-th."""

    def __init__(self, tcp: Tcp, timers: TimerQueue, *, every: int = 1) -> None:
        self.checks = 0
        """How many flushes were looked at."""
        self._tcp = tcp
        self._timers = timers
        self._every = every
        self._flushes = 0
        self._flush = tcp.flush
        self._memories: dict[Tcb, Memory] = {}
        tcp.flush = self.flush  # type: ignore[method-assign]

    def flush(self, now: int) -> None:
        """Have the engine flush, and look at what came of it."""
        self._flushes += 1
        if self._flushes % self._every:
            self._flush(now)
            return
        self.checks += 1
        before = {
            tcb: Before(tcb.snd_nxt, tcb.sent.in_flight, tcb.statistics.total_retrans)
            for tcb in self._tcp.connections
        }
        self._flush(now)
        for tcb in self._tcp.connections:
            self._check(tcb, before.get(tcb), now)
        for tcb in [each for each in self._memories if each.state is State.CLOSED]:
            check_nothing_is_held(tcb)
            del self._memories[tcb]

    def _check(self, tcb: Tcb, before: Before | None, now: int) -> None:
        memory = self._memories.setdefault(
            tcb, Memory(State.CLOSED, tcb.snd_una, tcb.snd_nxt, tcb.rcv_nxt)
        )
        try:
            check_state(tcb, memory)
            check_sequence_variables(tcb, memory)
            check_scoreboard(tcb)
            check_congestion(tcb, before)
            check_receiving(tcb, memory)
            check_sending(tcb, memory)
            check_timers(tcb, self._tcp, now)
        except AssertionError as broken:
            where = f"{broken}\nat {now} µs: {tcb}"
            raise AssertionError(where[:4000]) from broken

    def check_nothing_is_left(self) -> None:
        """See that the engine is as it was before its first connection."""
        assert not list(self._tcp.connections)
        assert not list(self._tcp.listeners)
        assert self._tcp.bound_ports == 0
        left = [timer.kind for timer in self._timers.armed() if isinstance(timer.owner, tuple)]
        assert not left, f"timers are left: {left}"


# --- one connection -----------------------------------------------------------------------------


def check_state(tcb: Tcb, memory: Memory) -> None:
    """RFC 9293 figure 5: a flush may come after several transitions, but each is legal."""
    assert not tcb.dirty, "it waits for a flush that was"
    if tcb.state is not memory.state:
        assert tcb.state in _reachable(memory.state), f"{memory.state} -> {tcb.state}"
        memory.state = tcb.state


def _reachable(state: State) -> set[State]:
    found, ahead = {state}, [state]
    while ahead:
        for after in TRANSITIONS[ahead.pop()] - found:
            found.add(after)
            ahead.append(after)
    return found


def check_sequence_variables(tcb: Tcb, memory: Memory) -> None:
    """Nothing is unacknowledged, unsent or unreceived again (RFC 9293 §3.4)."""
    assert le(tcb.snd_una, tcb.snd_nxt), "SND.UNA > SND.NXT"
    assert ge(tcb.snd_up, tcb.snd_una), "SND.UP < SND.UNA"
    assert ge(tcb.snd_una, memory.snd_una), "SND.UNA went back"
    assert ge(tcb.snd_nxt, memory.snd_nxt), "SND.NXT went back"
    if memory.edge is not None:
        assert ge(tcb.rcv_nxt, memory.rcv_nxt), "RCV.NXT went back"
    memory.snd_una, memory.snd_nxt, memory.rcv_nxt = tcb.snd_una, tcb.snd_nxt, tcb.rcv_nxt


def check_scoreboard(tcb: Tcb) -> None:
    """The counts are the sums over the entries, which cover what is in flight without a gap."""
    sent = tcb.sent
    entries = sent.segments
    assert sent.packets_out == sum(each.packets for each in entries)
    assert sent.lost_out == sum(each.packets for each in entries if each.lost)
    assert sent.retrans_out == sum(each.packets for each in entries if each.retransmitted)
    if tcb.sack_permitted:
        assert sent.sacked_out == sum(each.packets for each in entries if each.sacked)
    assert 0 <= sent.sacked_out <= sent.packets_out
    assert sent.sacked_out + sent.lost_out <= sent.packets_out
    assert sent.in_flight >= 0
    for each in entries:
        assert each.packets >= 1
        assert not each.sacked or not (each.lost or each.retransmitted), "it has arrived"
    if tcb.state not in _OVER:
        expected = tcb.snd_una
        for each in entries:
            assert each.seq == expected, "a gap in what is in flight"
            assert gt(each.end, each.seq)
            expected = each.end
        assert expected == tcb.snd_nxt, "what is in flight does not end at SND.NXT"


def check_congestion(tcb: Tcb, before: Before | None) -> None:
    """Nothing leaves beyond cwnd but a tail loss probe and a FIN by itself (RFC 5681 §3.1)."""
    window, sent, recovery = tcb.window, tcb.sent, tcb.recovery
    assert window.cwnd >= 1
    assert window.ssthresh >= 2
    assert tcb.rtt.rto_min <= tcb.rto() <= tcb.rtt.rto_max
    assert tcb.rtt.rto_min <= tcb.rtt.rto <= tcb.rtt.rto_max
    if before is None or tcb.state in _OPENING or tcb.state in _OVER:
        return
    limit = window.cwnd
    if recovery.tlp_end_seq == tcb.snd_nxt and not recovery.tlp_is_retransmission:
        limit = max(limit, before.in_flight + 1)
    if tcb.snd_nxt != before.snd_nxt and _is_bare_fin(tcb):
        limit = max(limit, before.in_flight) + 1
    if tcb.snd_nxt != before.snd_nxt or tcb.statistics.total_retrans != before.retransmissions:
        if not tcb.sack_permitted:
            limit += 1  # what is joined to be sent again is counted off what has arrived, as Linux
        probes_tail = recovery.tlp_end_seq == tcb.snd_nxt and recovery.tlp_is_retransmission
        assert probes_tail or sent.in_flight <= limit, f"{sent.in_flight} in flight, {limit} may be"


def _is_bare_fin(tcb: Tcb) -> bool:
    last = tcb.sent.segments[-1] if tcb.sent else None
    return last is not None and bool(last.flags & FIN) and not last.text_length


def check_sending(tcb: Tcb, memory: Memory) -> None:
    """Nothing is sent beyond what the peer offered; what is unacknowledged is held, and bounded."""
    if tcb.state in _OPENING or tcb.state in _OVER:
        return
    edge = add(tcb.snd_una, tcb.snd_wnd)
    if memory.peer_edge is None or gt(edge, memory.peer_edge):
        memory.peer_edge = edge
    assert le(tcb.snd_nxt, memory.peer_edge), "sent beyond the window"
    in_flight = sub(tcb.snd_nxt, tcb.snd_una)
    fin = tcb.fin_sent and bool(tcb.sent)
    assert in_flight <= tcb.send_buffer.octets + fin, (
        "text was let go of before it was acknowledged"
    )
    memory.largest_mss = max(memory.largest_mss, tcb.effective_mss)
    memory.send_space = max(memory.send_space, tcb.send_space)
    # A piece of text that is begun is filled, also with what follows as it is sent.
    assert tcb.unsent() <= memory.send_space + 65_535


def check_receiving(tcb: Tcb, memory: Memory) -> None:
    """What is held fits the buffer, and what was offered once is not taken back (SHLD-14).

    Only where the memory ran out, as when the user made the buffer smaller, is the window shut.
    """
    if tcb.state in _OPENING or tcb.state is State.CLOSED:
        return
    edge = right_edge(tcb)
    is_shut = tcb.rcv_wnd == 0
    assert memory.edge is None or ge(edge, memory.edge) or is_shut, "the window shrank"
    memory.edge = edge
    beyond = tcb.reassembly.octets if tcb.reassembly else 0
    held = len(tcb.receive_queue) + beyond
    unit = 1 << tcb.rcv_wind_shift
    memory.buffer = max(memory.buffer, tcb.receive_space.buffer)
    assert held <= memory.buffer + unit, f"{held} octets held"
    assert beyond <= span_beyond_gap(tcb)
    if memory.farthest is None or gt(edge, memory.farthest):
        memory.farthest = edge
    if tcb.state in _TAKES_TEXT and beyond:
        end = add(tcb.rcv_nxt, span_beyond_gap(tcb))
        # As Linux: while nothing waits for the user, a unit may reach beyond the window.
        assert le(end, add(memory.farthest, 0xFFFF)), "beyond any window"


def check_timers(tcb: Tcb, tcp: Tcp, now: int) -> None:
    """Whatever is awaited is awaited with a timer, and never in vain."""
    for timer in timers_of(tcb):
        assert timer.deadline is None or timer.deadline >= now, f"{timer.kind} is overdue"
    if tcb.state is State.TIME_WAIT:
        armed = [timer for timer in timers_of(tcb) if timer.deadline is not None]
        assert armed == [tcb.wait_timer]
        return
    in_flight = bool(tcb.sent)
    unanswered = in_flight or tcb.state is State.SYN_RECEIVED
    assert (tcb.retransmission_timer.deadline is not None) == unanswered, "the retransmission timer"
    if tcb.state not in _OPENING:
        waiting = not in_flight and tcp.unsent(tcb) > 0
        assert (tcb.persist_timer.deadline is not None) == waiting, "the persist timer"
        delayed = any(
            timer.deadline is not None for timer in (tcb.delayed_ack_timer, tcb.compression_timer)
        )
        assert not tcb.acks.due, "an ACK was due, and did not leave"
        assert delayed or not tcb.acks.owed, "an ACK is owed, and nothing will send it"
    if tcb.state is State.FIN_WAIT_2 and tcb.orphaned:
        assert tcb.wait_timer.deadline is not None, "nobody awaits the peer's FIN"


def check_nothing_is_held(tcb: Tcb) -> None:
    """A connection that is no more keeps no timer and no text but what its user may still read."""
    assert all(timer.deadline is None for timer in timers_of(tcb))
    assert not tcb.sent
    assert not tcb.sent.packets_out
    assert not tcb.send_buffer.octets
    assert tcb.reassembly is None
