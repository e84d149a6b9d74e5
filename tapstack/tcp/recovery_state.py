"""What loss recovery remembers of a connection: its phase, and the algorithms' variables.

Not done here: any step of recovery (`recovery.py`, `loss_phase.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from tapstack.tcp.congestion.window import CongestionWindow
    from tapstack.tcp.prr import RateReduction
    from tapstack.tcp.tcb import Tcb


class Phase(Enum):
    """How a connection stands with regard to losses; the values are Linux's TCP_CA_*."""

    OPEN = 0
    """Nothing unusual."""
    DISORDER = 1
    """Something beyond a gap arrived: a loss, or reordering."""
    CWR = 2
    """The window is being reduced without a loss."""
    RECOVERY = 3
    """Fast recovery: losses below the recovery point are being repaired."""
    LOSS = 4
    """A timeout: what was in flight is deemed lost."""

    # A phase is looked up on every segment's way: Enum's own hash runs Python code.
    __hash__ = object.__hash__


CALM = frozenset({Phase.OPEN, Phase.DISORDER})
PROBING = frozenset({Phase.OPEN, Phase.CWR})
"""Phases in which a tail loss probe has a place: nothing beyond a gap arrived (RFC 8985 §7.2)."""
REDUCING = frozenset({Phase.CWR, Phase.RECOVERY})
"""Phases in which PRR moves the window."""


@dataclass(slots=True)
class UndoState:
    """What is needed to restore the window, and to know that it may be."""

    marker: int | None = None
    """SND.UNA when the reduction began; None: there is nothing to undo."""
    unreported: int | None = None
    """Segments sent again that no D-SACK has reported; None: none was sent yet."""
    prior_ssthresh: int = 0
    """ssthresh before the reduction, segments; 0: the reduction is not to be undone."""
    retransmit_stamp: int | None = None
    """TSval of the first retransmission of the episode (RFC 3522's RetransmitTS)."""

    def begin(self, tcb: Tcb) -> None:
        """Remember where a reduction begins."""
        self.marker = tcb.snd_una
        # Retransmissions that are in flight already may yet be reported.
        probing = tcb.recovery.tlp_end_seq is not None and tcb.recovery.tlp_is_retransmission
        self.unreported = (tcb.sent.retrans_out + probing) or None

    def on_retransmitted(self, packets: int, stamp: int) -> None:
        """Count segments that are sent again."""
        if self.retransmit_stamp is None:
            self.retransmit_stamp = stamp
        self.unreported = (self.unreported or 0) + packets


@dataclass(slots=True)
class Recovery:
    """What the algorithms remember of a connection and of an episode."""

    phase: Phase = Phase.OPEN
    high_seq: int = 0
    """RecoveryPoint (RFC 6675 §2): SND.NXT when the episode began."""
    prr: RateReduction | None = None
    """How the window comes down during the episode; None: there never was one."""
    undo: UndoState = field(default_factory=UndoState)
    frto: bool = False
    """Whether the timeout may yet prove spurious (RFC 5682)."""
    new_text_first: bool = False
    """F-RTO's step 2.b: the flush sends new text, and retransmits only if there is none."""
    repairs_held: bool = False
    """The last ACK was for an original, or the receiver may have reneged, or F-RTO has sent new
    text: nothing more is sent again before the next ACK, or a timeout, tells how things stand."""
    reordering: int = 3
    """Segments that must have arrived beyond one for it to be deemed lost: RFC 6675's DupThresh,
    more once the path was seen to reorder by more."""
    tlp_end_seq: int | None = None
    """TLP.end_seq (RFC 8985 §7.1): SND.NXT when the probe that is unanswered left; None: none."""
    tlp_is_retransmission: bool = False
    """TLP.is_retrans: that probe was the last segment again, rather than new text."""
    tail_probe_due: bool = False
    """The flush is to send a tail loss probe."""

    def reduce(
        self, window: CongestionWindow, pipe: int, delivered: int, making_progress: bool
    ) -> None:
        """Set cwnd for what an ACK lets out, if a reduction was begun (as Linux)."""
        if self.prr is not None:
            self.prr.on_acked(window, pipe, delivered, making_progress)

    def on_sent(self, packets: int) -> None:
        """Count segments that leave during a reduction, for PRR."""
        if self.phase in REDUCING and self.prr is not None:
            self.prr.out += packets

    @property
    def is_repairing(self) -> bool:
        """Tell whether losses are being repaired."""
        return self.phase is Phase.RECOVERY or self.phase is Phase.LOSS

    @property
    def takes_reordering(self) -> bool:
        """Tell whether what overtook is evidence: after a timeout all order is lost."""
        return self.phase is not Phase.LOSS or self.undo.marker is not None


@dataclass(slots=True, frozen=True)
class NothingToUndo:
    """What `Untroubled` has in the place of `UndoState`."""

    marker: None = None
    unreported: None = None
    prior_ssthresh: int = 0
    retransmit_stamp: None = None


_NOTHING_TO_UNDO = NothingToUndo()


@dataclass(slots=True, frozen=True)
class Untroubled:
    """What stands for `Recovery` until anything is out of the ordinary: most never come to that.

    It has fields, as `Recovery` has, rather than a class's own values: they are found sooner.
    """

    reordering: int
    phase: Phase = Phase.OPEN
    high_seq: int = 0
    prr: None = None
    undo: NothingToUndo = _NOTHING_TO_UNDO
    frto: bool = False
    new_text_first: bool = False
    repairs_held: bool = False
    tlp_end_seq: None = None
    tlp_is_retransmission: bool = False
    tail_probe_due: bool = False

    is_repairing: ClassVar[bool] = False
    takes_reordering: ClassVar[bool] = True

    def on_sent(self, packets: int) -> None:
        """Count nothing: no reduction is under way."""


@lru_cache(maxsize=64)
def untroubled(reordering: int) -> Untroubled:
    """Give what all connections have in common that begin with so many segments of reordering."""
    return Untroubled(reordering)


def recovery_of(tcb: Tcb) -> Recovery:
    """Give what is to be written to: it is made for the first that there is.

    So what a function has looked at before may be another's then.
    """
    if isinstance(tcb.recovery, Untroubled):
        tcb.recovery = Recovery(reordering=tcb.recovery.reordering)
    return tcb.recovery
