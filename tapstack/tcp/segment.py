"""A segment as RFC 9293 §3.3.1 speaks of it: SEG.SEQ, SEG.ACK, SEG.LEN, SEG.WND, SEG.UP.

Not done here: octets on the wire (`wire.py`).
"""

from typing import NamedTuple

from tapstack.base.contracts import Buffer
from tapstack.tcp.seq import add

# The control bits (RFC 9293 §3.1; ECE and CWR: RFC 3168 §6.1; AE: RFC 9768 §3.1).
FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10
URG = 0x20
ECE = 0x40
CWR = 0x80
AE = 0x100
ACE = AE | CWR | ECE
"""The three as one number (RFC 9768 §3.2.2)."""
ACE_SHIFT = 6

ECN_MASK = 0b11
"""The ECN field: the low two bits of IPv4's TOS octet (RFC 3168 §5)."""
NOT_ECT, ECT_1, ECT_0, CE = range(4)
"""Its codepoints: not capable, capable (two of them), marked."""

_LETTERS = (
    *((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P")),
    *((AE, "e"), (CWR, "W"), (ECE, "E"), (URG, "U")),
)


class SackBlock(NamedTuple):
    """A range of text that the receiver holds beyond a gap (RFC 2018 §3)."""

    left: int
    """Sequence number of its first octet."""
    right: int
    """Sequence number behind its last octet."""


class Timestamps(NamedTuple):
    """The timestamps option (RFC 7323 §3.2)."""

    value: int
    """TSval: the sender's timestamp clock."""
    echo: int
    """TSecr: the peer's TSval that this segment echoes; valid only with the ACK bit."""


class FastOpen(NamedTuple):
    """The Fast Open option (RFC 7413 §4.1.1)."""

    cookie: bytes
    """4 to 16 octets; none: a cookie is asked for."""
    experimental: bool = False
    """Whether it comes as the experimental option that was used before (RFC 7413 §A, RFC 6994)."""


class EcnCounters(NamedTuple):
    """The AccECN option (RFC 9768 §3.2.3): octets of text that came, by codepoint."""

    counts: tuple[int, ...]
    """Up to three, of 24 bits: ECT(1)'s, CE's, ECT(0)'s, or the other way round."""
    ect_1_first: bool = True


class Options(NamedTuple):
    """The options of a segment that this stack knows; None or () where one is absent."""

    mss: int | None = None
    """Octets of the largest text that the sender takes (RFC 9293 §3.7.1)."""
    window_scale: int | None = None
    """The sender's shift count (RFC 7323 §2.2), as sent: 0 to 255."""
    sack_permitted: bool = False
    """Whether the sender understands selective acknowledgments (RFC 2018 §2)."""
    timestamps: Timestamps | None = None
    sack: tuple[SackBlock, ...] = ()
    fast_open: FastOpen | None = None
    ecn: EcnCounters | None = None


NO_OPTIONS = Options()


class Segment(NamedTuple):
    """A TCP segment, in host order; the text may be a view of the frame it came in."""

    source_port: int
    destination_port: int
    seq: int
    """SEG.SEQ: sequence number of the SYN, or of the first octet of text."""
    ack: int
    """SEG.ACK: the next sequence number that the sender expects; meaningful with the ACK bit."""
    flags: int
    """The control bits, AE among them."""
    wnd: int
    """SEG.WND as on the wire: not scaled."""
    up: int
    """SEG.UP: the urgent pointer, an offset from SEG.SEQ."""
    options: Options
    text: Buffer
    tos: int = 0
    """The type of service of the datagram that it came in."""
    header_length: int = 20
    """Octets of the header that it came with, options included."""

    @property
    def ecn(self) -> int:
        """The ECN field of that datagram (RFC 3168 §5)."""
        return self.tos & ECN_MASK

    @property
    def length(self) -> int:
        """SEG.LEN: octets of sequence space that it occupies, counting SYN and FIN."""
        flags = self.flags
        return len(self.text) + (flags & FIN) + (flags >> 1 & 1)

    @property
    def end(self) -> int:
        """The sequence number behind the last one that it occupies."""
        return add(self.seq, self.length)

    def __str__(self) -> str:
        """Render as tcpdump does, with absolute sequence numbers."""
        return self.describe(len(self.text))

    def describe(self, length: int) -> str:
        """Render as if it carried so many octets of text: for one whose text is gathered later."""
        seq = f"seq {self.seq}:{add(self.seq, length)}" if length else f"seq {self.seq}"
        ack = f", ack {self.ack}" if self.flags & ACK else ""
        return f"Flags [{format_flags(self.flags)}], {seq}{ack}, win {self.wnd}, length {length}"


def format_flags(flags: int) -> str:
    """Render control bits as tcpdump does: `S.`, `P.`, `none`."""
    letters = "".join(letter for bit, letter in _LETTERS if flags & bit)
    return letters + ("." if flags & ACK else "") or "none"
