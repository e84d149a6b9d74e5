"""What one acknowledgment tells: gathered while it is processed, for recovery to decide upon.

Not done here: any decision.
"""

from dataclasses import dataclass

from tapstack.base.units import Instant
from tapstack.tcp.delivery_rate import Departure


@dataclass(slots=True)
class AckNews:
    """What an ACK acknowledged, and what kind of ACK it was."""

    prior_una: int
    """SND.UNA before it."""
    now: Instant
    """When it came."""
    una_advanced: bool = False
    top_before: int | None = None
    """Where the highest segment ended that had been SACKed before it; None: none had."""
    delivered: int = 0
    """Segments that it shows to have arrived, spurious retransmissions among them."""
    acked: int = 0
    """Of those: cumulatively acknowledged, and not SACKed before."""
    sacked: int = 0
    """Of those: SACKed."""
    departure: Departure | None = None
    """How delivery stood when the latest sent of them was sent; None: nothing arrived."""
    latest_sent_at: int = -1
    """When that one was sent."""
    originals: bool = False
    """Something that was never sent again, from below the recovery point, arrived (RFC 5682)."""
    duplicate_ack: bool = False
    """A duplicate by RFC 5681 §2: no text, no new window, nothing acknowledged."""
    plain: bool = False
    """It carried neither text nor a FIN nor a new window, nor advanced SND.UNA."""
    text_alone: bool = False
    """It carried text as predicted, and nothing else: as in Linux, it tells of nothing else."""
    dsack: bool = False
    """It reported text that came twice (RFC 2883), which we had indeed sent twice."""
    dsack_of_probe: bool = False
    """That text was the tail loss probe."""
    retransmission_lost: bool = False
    """A retransmission turned out to be lost, too."""
    restart_timer: bool = False
    """The retransmission timer is to be started anew."""
    ece: bool = False
    """It says that a segment of ours was marked instead of lost (RFC 3168)."""
    marked: int = 0
    """How many it says that were: as far as it tells a number (RFC 9768)."""
    echo: int | None = None
    """SEG.TSecr, if it carried one: for telling originals from retransmissions (RFC 3522)."""
