"""The part of a transmission control block that most connections never come to (`tcb.py`).

Not done here: anything, as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.timers import NEVER_ARMED, NeverArmed, Timer
from tapstack.base.units import Instant

if TYPE_CHECKING:
    from tapstack.tcp.accecn_state import AccurateEcn
    from tapstack.tcp.fast_open_client import FastOpenAttempt


class Exceptions:
    """What most connections never come to: these are the class's own until one writes them.

    So they cost a new connection neither time nor memory. The price is a slower look: nothing that
    is asked of each segment stands here.
    """

    # --- sending ---
    record_ends: tuple[int, ...] = ()
    """The sequence numbers behind records that the user has ended. Written by `records.py`."""
    paced_until: Instant = 0
    """When the next unit may leave, of who limits their rate. Written by `pacing.py`."""
    call_goes_on: bool = False
    """What is queued is the rest of one call, whose user waited for room. Written by
    `socket/special_sends.py`."""
    blocked_at: int = 0
    """Segments that had come when the user last found it full: room is looked for with another."""
    cwr_due: bool = False
    """The window was reduced: the next new text says so with CWR (RFC 3168 §6.1.2)."""

    # --- timeouts ---
    keepalive_timer: Timer | NeverArmed = NEVER_ARMED
    """Armed by `timeouts.py`."""
    compression_timer: Timer | NeverArmed = NEVER_ARMED
    """Runs while ACKs of text beyond gaps wait for each other. Armed by `ack_compression.py`."""
    pacing_timer: Timer | NeverArmed = NEVER_ARMED
    """Runs while text waits as its rate is limited. Armed by `pacing.py`."""
    wait_timer: Timer | NeverArmed = NEVER_ARMED
    """2·MSL in TIME-WAIT; the orphan's patience in FIN-WAIT-2. Armed by `lifetime.py`."""
    first_timeout_at: Instant = 0
    """When the segment at SND.UNA was sent that then timed out first: of a SYN, what an answer may
    echo begins there."""
    probing_since: Instant | None = None
    """When the first window probe left, while they go on; None: none has."""
    retransmitting_since: Instant = 0
    """When what timed out first was first sent again, or a SYN first sent: R2 and TCP_USER_TIMEOUT
    count from there."""
    waiting_since: Instant = 0
    """When it came to TIME-WAIT."""

    # --- receiving ---
    last_invalid_reply_at: Instant | None = None
    """When an invalid segment was last answered: the limit of RFC 5961 §7, per connection."""
    acks_told: int = 0
    """An RCV.NXT whose ACKs were sent at once, as text beyond a gap came. Written by
    `ack_compression.py`."""
    times_told: int = 0
    """How many those were."""
    rcv_up: int = 0
    """RCV.UP: sequence number of the urgent octet; it means nothing without a mark."""
    urgent_text: bytes = b""
    """The urgent octet, once it is here."""
    ecn_echo: bool = False
    """A mark is to be echoed with ECE until CWR comes (RFC 3168 §6.1.3)."""
    ecn_seen: bool = False
    """Something ECN-capable came, so that what is not is a retransmission."""
    accecn: AccurateEcn | None = None
    """Accurate feedback is in use (RFC 9768), too; in SYN-SENT: it was asked for."""
    fin_beyond: int | None = None
    """The sequence number of a FIN that came before all of the text in front of it."""

    # --- the user ---
    fast_open: FastOpenAttempt | None = None
    """Our use of Fast Open as a client."""
    syn_text_acked: bool = False
    """The SYN's text, ours or the peer's, was acknowledged by the SYN-ACK."""
    fast_open_child: bool = False
    """Its user had it before the handshake was done, as the SYN's cookie was ours (RFC 7413)."""
    saved_syn: bytes = b""
    """The IP and TCP headers of the peer's SYN, for a user who asked for them (TCP_SAVE_SYN)."""
    left_unsent: int = 0
    """Octets that had never been sent when the connection ended."""
    writer_waits: bool = False
    """Its user waits with text for the end of the handshake."""
