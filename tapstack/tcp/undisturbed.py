"""Whether nothing but the exchange of text is under way: what the short ways rely on.

They would have to look at much for each segment, and mostly find what they found before. So the
answer is kept while it is yes (`Tcb.undisturbed`), and taken back by whatever may begin something
else: a segment that goes through the steps, TIME-WAIT, a timeout, a wish of the user's, an error
that ICMP brings. A property test looks again after every door.

Not done here: what each short way asks besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.state import CAN_SEND
from tapstack.tcp.urgent import UrgentOctet

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb


def look_for_disturbance(tcb: Tcb) -> bool:
    """Tell whether anything else is under way; if not, that is kept until it may be otherwise."""
    disturbed = is_disturbed(tcb)
    tcb.undisturbed = not disturbed
    return disturbed


def is_disturbed(tcb: Tcb) -> bool:
    """Tell whether anything but text that comes in order, and ACKs of it, is under way or due.

    That includes whatever is more to say than text and an ACK (`plain_segment.has_more_to_say`).
    """
    recovery, sent = tcb.recovery, tcb.sent
    return bool(
        recovery.phase is not Phase.OPEN
        or not tcb.timestamps
        or tcb.ecn
        or tcb.reassembly
        or tcb.sacks
        or tcb.duplicate_text
        or tcb.no_memory
        or tcb.compressed_acks
        or tcb.fin_beyond is not None
        or tcb.more_coming
        or tcb.urgent_octet is not UrgentOctet.NONE
        or tcb.snd_up != tcb.snd_una
        or sent.sacked_out
        or sent.lost_out
        or sent.retrans_out
        or sent.cut_from is not None
        or recovery.tlp_end_seq is not None
        or recovery.tail_probe_due
        or recovery.new_text_first
        or recovery.undo.marker is not None
        or tcb.persist_timer.deadline is not None
        or tcb.probe_due
        or tcb.backoff
        or tcb.retransmits
        or tcb.probes_out
        or (tcb.fin_queued and tcb.state in CAN_SEND)
        or tcb.error
        or tcb.soft_error
        or tcb.statistics.rto_at is not None
        or tcb.text_followers
        or tcb.record_ends
        or tcb.options.min_ttl
        or tcb.options.paced
        or tcb.mtu_probing is not None
    )
