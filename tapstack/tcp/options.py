"""TCP options on the wire (RFC 9293 §3.2, RFC 7323, RFC 2018, RFC 7413, RFC 9768).

Options come in the order that Linux sends them, so that captures look familiar.

Not done here: what the options mean to a connection.
"""

from struct import Struct

from tapstack.base.contracts import Buffer
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.tcp.segment import (
    NO_OPTIONS,
    EcnCounters,
    FastOpen,
    Options,
    SackBlock,
    Timestamps,
)

# Option kinds (RFC 9293 §3.1; window scale and timestamps: RFC 7323; SACK: RFC 2018; Fast Open:
# RFC 7413; MD5 signature: RFC 2385; experimental: RFC 4727; AccECN: RFC 9768).
END_OF_OPTIONS = 0
NO_OPERATION = 1
MAXIMUM_SEGMENT_SIZE = 2
WINDOW_SCALE = 3
SACK_PERMITTED = 4
SACK = 5
TIMESTAMPS = 8
SIGNATURE = 19
FAST_OPEN = 34
ACCURATE_ECN_0 = 172  # ECT(0)'s counter comes first
ACCURATE_ECN_1 = 174  # ECT(1)'s does
EXPERIMENTAL = 254

MAX_LENGTH = 40
"""Octets of options that fit behind a header: data offset is at most 15 words."""
TIMESTAMPS_LENGTH = 12
"""Octets that timestamps cost each segment: RFC 7323 §A's layout, two NOPs in front."""

FAST_OPEN_MAGIC = b"\xf9\x89"
"""What tells an experimental option to be Fast Open's (RFC 7413 §A, RFC 6994)."""
_FAST_OPEN_KINDS = frozenset({FAST_OPEN, EXPERIMENTAL})
_COOKIE_LENGTHS = (0, 4, 6, 8, 10, 12, 14, 16)  # RFC 7413 §4.1.1; none asks for one

_COUNTER_LENGTH = 3
_MOST_COUNTERS = 3
_SIGNATURE_LENGTH = 16  # RFC 2385 §3.0: an MD5 digest

ALIGNED_TIMESTAMPS = 0x0101080A  # NOP, NOP, kind 8, length 10 (RFC 7323 §A)
_aligned_timestamps = Struct("!III")
MSS = MAXIMUM_SEGMENT_SIZE << 8 | 4
SACK_PERMITTED_TIMESTAMPS = 0x0402080A  # kind 4, length 2, kind 8, length 10
PADDED_WINDOW_SCALE = 0x010303  # NOP, kind 3, length 3
_usual_syn = Struct("!HHIIII")
"""All that Linux offers in a SYN, in its order."""
USUAL_SYN_LENGTH = _usual_syn.size
_timestamps = Struct("!II")
_block = Struct("!II")


def parse_options(octets: Buffer) -> Options:
    """Read the octets between header and text. What is malformed ends the parsing, silently.

    RFC 9293 MUST-7: "MUST be prepared to handle an illegal option length (e.g., zero)".

    Raises: MalformedPacket for a signature: as in Linux, who has no key for it believes nothing.
    """
    if not octets:
        return NO_OPTIONS
    if len(octets) == TIMESTAMPS_LENGTH:
        # Nearly every segment of a connection carries just this.
        kind, value, echo = _aligned_timestamps.unpack(octets)
        if kind == ALIGNED_TIMESTAMPS:
            return Options(None, None, False, Timestamps(value, echo), ())
    elif len(octets) == USUAL_SYN_LENGTH:
        options = _usual_options(*_usual_syn.unpack(octets))
        if options is not None:
            return options
    return _walk(octets)


def _usual_options(
    head: int, mss: int, kinds: int, value: int, echo: int, scale: int
) -> Options | None:
    """Read the words of what Linux offers in a SYN; None: they are something else."""
    if head != MSS or kinds != SACK_PERMITTED_TIMESTAMPS or scale >> 8 != PADDED_WINDOW_SCALE:
        return None
    return Options(mss, scale & 0xFF, True, Timestamps(value, echo), ())


def _walk(octets: Buffer) -> Options:
    found: dict[int, bytes] = {}
    fast_open = None
    position = 0
    while position < len(octets):
        kind = octets[position]
        if kind == END_OF_OPTIONS:
            break
        if kind == NO_OPERATION:
            position += 1
            continue
        length = octets[position + 1] if position + 1 < len(octets) else 0
        if length < 2 or position + length > len(octets):
            break
        found[kind] = body = bytes(octets[position + 2 : position + length])
        if kind in _FAST_OPEN_KINDS:
            fast_open = _parse_fast_open(kind, body, fast_open)
        position += length
    if len(found.get(SIGNATURE, b"")) == _SIGNATURE_LENGTH:
        raise MalformedPacket(Drop.TCP_SIGNED)
    return _interpret(found, fast_open)


def _interpret(found: dict[int, bytes], fast_open: FastOpen | None) -> Options:
    """Make sense of option bodies by kind; one of the wrong length counts as absent."""
    mss = found.get(MAXIMUM_SEGMENT_SIZE, b"")
    scale = found.get(WINDOW_SCALE, b"")
    stamps = found.get(TIMESTAMPS, b"")
    sack = found.get(SACK, b"")
    return Options(
        mss=int.from_bytes(mss, "big") if len(mss) == 2 else None,
        window_scale=scale[0] if len(scale) == 1 else None,
        sack_permitted=SACK_PERMITTED in found and not found[SACK_PERMITTED],
        timestamps=Timestamps._make(_timestamps.unpack(stamps)) if len(stamps) == 8 else None,
        sack=_parse_sack(sack) if sack and len(sack) % 8 == 0 else (),
        fast_open=fast_open,
        ecn=_parse_counters(found),
    )


def _parse_counters(found: dict[int, bytes]) -> EcnCounters | None:
    """Read as many whole counters as there are, as Linux does; of two options one."""
    kind = ACCURATE_ECN_1 if ACCURATE_ECN_1 in found else ACCURATE_ECN_0
    body = found.get(kind)
    if body is None:
        return None
    ends = range(_COUNTER_LENGTH, len(body) + 1, _COUNTER_LENGTH)[:_MOST_COUNTERS]
    counts = tuple(int.from_bytes(body[end - _COUNTER_LENGTH : end], "big") for end in ends)
    return EcnCounters(counts, kind == ACCURATE_ECN_1)


def _parse_fast_open(kind: int, body: bytes, before: FastOpen | None) -> FastOpen | None:
    """Read a Fast Open option of either kind; `before` is what an earlier one has told.

    As in Linux the last counts, though its cookie be none, but for one of an odd length.
    """
    cookie, experimental = body, kind == EXPERIMENTAL
    if experimental:
        if not body.startswith(FAST_OPEN_MAGIC):
            return before
        cookie = body[len(FAST_OPEN_MAGIC) :]
    if len(cookie) % 2:
        return before
    return FastOpen(cookie, experimental) if len(cookie) in _COOKIE_LENGTHS else None


def _parse_sack(body: Buffer) -> tuple[SackBlock, ...]:
    return tuple(SackBlock._make(edges) for edges in _block.iter_unpack(body))


def build_options(options: Options) -> bytes:
    """Lay out options as Linux does, padded with NOPs to a multiple of four octets."""
    out = bytearray()
    if options.mss is not None:
        out += bytes((MAXIMUM_SEGMENT_SIZE, 4)) + options.mss.to_bytes(2, "big")
    if options.timestamps is not None:
        # The two octets of SACK-permitted take the place of the two NOPs.
        out += bytes((SACK_PERMITTED, 2)) if options.sack_permitted else b"\x01\x01"
        out += bytes((TIMESTAMPS, 10)) + _timestamps.pack(*options.timestamps)
    if options.ecn is not None:
        out += _build_counters(options.ecn)
    if options.sack_permitted and options.timestamps is None:
        out += _padding(out, 2) + bytes((SACK_PERMITTED, 2))
    if options.window_scale is not None:
        out += _padding(out, 1) + bytes((WINDOW_SCALE, 3, options.window_scale))
    if options.sack:
        out += _padding(out, 2) + bytes((SACK, 2 + 8 * len(options.sack)))
        out += b"".join(_block.pack(*block) for block in options.sack)
    out += _padding(out, 0)
    if options.fast_open is not None:
        out += _build_fast_open(options.fast_open)
    return bytes(out)


def _padding(out: bytearray, octets: int) -> bytes:
    """Give the NOPs behind which there are so many octets in the last word of four.

    The end of an AccECN option takes their place.
    """
    return b"\x01" * ((octets - len(out)) % 4)


def _build_counters(option: EcnCounters) -> bytes:
    """Lay out an AccECN option; what comes next shares its last word, if that is nearly empty."""
    kind = ACCURATE_ECN_1 if option.ect_1_first else ACCURATE_ECN_0
    octets = b"".join(count.to_bytes(_COUNTER_LENGTH, "big") for count in option.counts)
    octets = bytes((kind, 2 + len(octets))) + octets
    return octets + (b"\x01" if len(octets) % 4 == 3 else b"")


def _build_fast_open(option: FastOpen) -> bytes:
    """Lay out a Fast Open option, with its padding behind it."""
    kind = EXPERIMENTAL if option.experimental else FAST_OPEN
    body = FAST_OPEN_MAGIC * option.experimental + option.cookie
    octets = bytes((kind, 2 + len(body))) + body
    return octets + bytes((NO_OPERATION,)) * (-len(octets) % 4)


def max_sack_blocks(timestamps: bool) -> int:
    """Tell how many SACK blocks fit a segment: 4, or 3 beside timestamps (RFC 2018 §3)."""
    return (MAX_LENGTH - (TIMESTAMPS_LENGTH if timestamps else 0) - 4) // 8


def sack_length(blocks: int) -> int:
    """Count the octets that some SACK blocks cost a segment, padding included."""
    return 4 + 8 * blocks if blocks else 0


def counters_length(counters: int, spared: int) -> int:
    """Count the octets that an AccECN option costs a segment, padding included.

    `spared` is how many NOPs what comes next has in front, whose place its end may take.
    """
    octets = 2 + _COUNTER_LENGTH * counters
    beyond = octets % 4
    return octets - beyond if beyond <= spared else octets + -octets % 4
