"""The AccECN option (RFC 9768 §3.2.3): how many octets came, by the codepoint they came with.

It tells more than the three bits of ACE, which wrap; but a middlebox may take it away, so that they
must do without. It is sent once the peer's was seen: as in Linux with every segment, or with a few
after each change, and now and then as a beacon; with fewer counters where others need the room.

Not done here: its octets (`options.py`), and what is made of both (`accecn.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.accecn_state import COUNTERS, EMPTY, NOT_SEEN, OPTION_NOT_RECEIVED, ZEROED
from tapstack.tcp.options import (
    MAX_LENGTH,
    TIMESTAMPS_LENGTH,
    build_options,
    counters_length,
    sack_length,
)
from tapstack.tcp.segment import CE, ECT_0, ECT_1, NOT_ECT, EcnCounters, Options, SackBlock

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.accecn_state import AccurateEcn
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb

ALWAYS = 2
"""The value of `tcp_ecn_option` that has every segment carry it; 0: none does, 1: some do."""
_FIELDS = {NOT_ECT: 0, ECT_1: 1, CE: 2, ECT_0: 3}
"""Which of our counters is a codepoint's: we send ECT(1)'s first, as Linux."""
_OF_PEER = {True: (ECT_1, CE, ECT_0), False: (ECT_0, CE, ECT_1)}
"""Whose the counters are in an option that has ECT(1)'s first, or not."""
_FIRST_COUNT = {ECT_1: 1, CE: 0, ECT_0: 1}
"""What each begins with (§3.2.1): 0 would be what a mangler leaves."""
_COUNTER_BITS = 24
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1
_WORD_MASK = 0xFFFFFFFF
_BEACON_SHIFT = 22
"""An option is due when a counter has grown by 2²² octets, long before it wraps (§3.2.3.3)."""
_MOST_BEFORE_FIRST = (1 << 23) - 1
"""Octets that we may have sent before the first option came: later it could have wrapped."""
SPARED_BY_SACK = 2
"""NOPs in front of SACK blocks, whose place the option's end may take."""
_SPARED_BY_SCALE = 1
_LEAST_BLOCKS = 2
"""SACK blocks that are never given up for counters."""


# --- the peer's ---------------------------------------------------------------------------------


def note_first(state: AccurateEcn, seg: Segment) -> bool:
    """See whether counters that begin with 0 show a mangler (§3.2.3.2.4); False: no news."""
    option = seg.options.ecn
    if option is None or state.option_seen >= COUNTERS:
        return False
    counts = option.counts
    if not counts:
        state.option_seen = EMPTY
    elif counts[0] and counts[-1 if counts[2:] else 0]:
        state.option_seen = COUNTERS
    else:
        state.option_seen = ZEROED
        state.failures |= OPTION_NOT_RECEIVED
    return True


def read(tcb: Tcb, state: AccurateEcn, seg: Segment, octets: int) -> bool:
    """Take the counters that came with an ACK for so many octets.

    False: they, or what is supposed without them, do not tell for certain how many were marked.
    """
    if state.failures & OPTION_NOT_RECEIVED:
        return False
    option = seg.options.ecn
    if option is None:
        return _suppose(tcb, state, octets)
    note_first(state, seg)
    before = state.estimate
    grown = []
    ambiguous = False
    for codepoint, count in zip(_OF_PEER[option.ect_1_first], option.counts, strict=False):
        delta = _advance(state, codepoint, count)
        ambiguous |= delta < 0
        if delta and codepoint != before:
            grown.append(codepoint)
    ambiguous |= len(grown) > 1
    if ambiguous:
        state.estimate = NOT_ECT
    elif grown:
        state.estimate = grown[0]
    return before != NOT_ECT and not ambiguous


def _suppose(tcb: Tcb, state: AccurateEcn, octets: int) -> bool:
    """Suppose, of an ACK without the option, that what arrived came as what arrived before it."""
    if state.option_seen == NOT_SEEN:
        if tcb.statistics.bytes_sent >= _MOST_BEFORE_FIRST:
            state.option_seen = ZEROED
            state.failures |= OPTION_NOT_RECEIVED
        return False
    if state.estimate == NOT_ECT:
        return False
    counts = state.delivered_octets
    counts[state.estimate] = counts[state.estimate] + octets & _WORD_MASK
    return True


def _advance(state: AccurateEcn, codepoint: int, count: int) -> int:
    """Bring a counter up to the 24 bits that the peer tells; give by how much, which may be < 0."""
    counts = state.delivered_octets
    delta = count - _FIRST_COUNT[codepoint] - counts[codepoint] & _COUNTER_MASK
    if delta >> _COUNTER_BITS - 1:
        delta -= 1 << _COUNTER_BITS
    counts[codepoint] = counts[codepoint] + delta & _WORD_MASK
    return delta


# --- ours ---------------------------------------------------------------------------------------


def count_octets(tcb: Tcb, state: AccurateEcn, seg: Segment, *, changed: bool) -> None:
    """Note which counters a segment has changed, and whether they are to be told (§3.2.3.3)."""
    if changed:
        state.options_due = 2  # so that the second tells for certain what the first has begun
    if seg.text and seg.ecn != NOT_ECT:
        state.fields_due = max(state.fields_due, _FIELDS[seg.ecn])
        count = tcb.statistics.received_octets[seg.ecn]
        if (count ^ count - len(seg.text)) >> _BEACON_SHIFT:
            state.options_due = max(state.options_due, 1)


def choose(
    tcb: Tcb, state: AccurateEcn, blocks: tuple[SackBlock, ...], now: Instant
) -> tuple[tuple[SackBlock, ...], EcnCounters | None]:
    """Choose what stays of a segment's SACK blocks beside the option, and that."""
    if not _is_due(tcb, state, now):
        return blocks, None
    room = MAX_LENGTH - TIMESTAMPS_LENGTH * tcb.timestamps - sack_length(len(blocks))
    least = state.fields_due
    spared = SPARED_BY_SACK if blocks else 0
    most_given_up = max(len(blocks) - _LEAST_BLOCKS, 0) if least else 0
    for given_up in range(most_given_up + 1):
        kept = blocks[: len(blocks) - given_up]
        left = room + sack_length(len(blocks)) - sack_length(len(kept))
        fields = _most_fields(least, left, spared)
        if fields is not None:
            return kept, _counters(tcb.statistics.received_octets, fields)
    return blocks, None


def _is_due(tcb: Tcb, state: AccurateEcn, now: Instant) -> bool:
    setting = state.config.tcp_ecn_option
    if not setting or state.option_seen == NOT_SEEN or tcb.only_answers:
        return False
    return setting >= ALWAYS or state.options_due > 0 or _is_beacon_due(tcb, state, now)


def _is_beacon_due(tcb: Tcb, state: AccurateEcn, now: Instant) -> bool:
    """Tell whether none was sent for a part of a round trip (§3.2.3.3: at least three in each)."""
    beacons = state.config.tcp_ecn_option_beacon
    return beacons > 0 and (now - state.option_sent_at) * beacons >= tcb.rtt.srtt


def _most_fields(least: int, room: int, spared: int) -> int | None:
    fitting = (n for n in range(3, least - 1, -1) if counters_length(n, spared) <= room)
    return next(fitting, None)


def _counters(octets: tuple[int, ...], fields: int) -> EcnCounters:
    of = (ECT_1, CE, ECT_0)[:fields]
    return EcnCounters(tuple(octets[each] + _FIRST_COUNT[each] & _COUNTER_MASK for each in of))


def of_syn_ack(tcb: Tcb, options: Options) -> Options:
    """Add the option to those of a SYN-ACK, as far as there is room: nothing was counted yet.

    §3.2.3.2.2: not to one that is sent again, as the option may be what the first was lost for.
    """
    state, request = tcb.accecn, tcb.syn_ack
    sent = 1 if request is None else request.transmissions
    if state is None or not state.config.tcp_ecn_option or sent > 1:
        return options
    spared = 0
    if options.sack_permitted and options.timestamps is None:
        spared = SPARED_BY_SACK
    elif options.window_scale is not None:
        spared = _SPARED_BY_SCALE
    fields = _most_fields(0, MAX_LENGTH - len(build_options(options)), spared)
    return options if fields is None else options._replace(ecn=_counters((0,) * 4, fields))


def on_sent(tcb: Tcb, now: Instant) -> None:
    """Note that a segment carries it."""
    state = tcb.accecn
    assert state is not None
    state.fields_due = 0
    state.option_sent_at = now
    state.options_due = max(state.options_due - 1, 0)
