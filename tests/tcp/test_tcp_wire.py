"""The header and the options: construct and the hot codec agree, and any octets are survived."""

import pytest
from hypothesis import given, strategies as st

from tapstack.base.errors import MalformedPacket
from tapstack.tcp.options import build_options, max_sack_blocks, parse_options, sack_length
from tapstack.tcp.segment import NO_OPTIONS, FastOpen, Options, SackBlock, Segment, Timestamps
from tapstack.tcp.wire import CODEC, TCP_HEADER, build_header, parse

U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
OPTIONS = st.builds(
    Options,
    mss=st.none() | U16,
    window_scale=st.none() | st.integers(0, 255),
    sack_permitted=st.booleans(),
    timestamps=st.none() | st.builds(Timestamps, U32, U32),
    sack=st.just(()),
    fast_open=st.none()
    | st.builds(
        FastOpen, st.integers(2, 8).flatmap(lambda n: st.binary(min_size=2 * n, max_size=2 * n))
    )
    | st.builds(FastOpen, st.just(b""), st.booleans()),
    ecn=st.none(),
) | st.builds(
    Options,
    mss=st.none(),
    window_scale=st.none(),
    sack_permitted=st.just(False),
    timestamps=st.none() | st.builds(Timestamps, U32, U32),
    fast_open=st.none(),
    ecn=st.none(),
    sack=st.lists(st.builds(SackBlock, U32, U32), max_size=3).map(tuple),
)


@given(st.binary(min_size=20, max_size=20))
def test_construct_and_the_hot_codec_read_the_same(octets: bytes) -> None:
    parsed = TCP_HEADER.parse(octets)
    hot = CODEC.parse(octets)
    flags = parsed.pop("offset_and_flags")
    for name, value in [*parsed.items(), *flags.items()]:
        if name != "_io":
            assert hot[name] == value


@given(U16, U16, U32, U32, st.integers(0, 255), U16, U16, U16, OPTIONS, st.binary(max_size=40))
def test_what_is_built_is_parsed_back(
    source: int,
    destination: int,
    seq: int,
    ack: int,
    flags: int,
    wnd: int,
    checksum: int,
    up: int,
    options: Options,
    text: bytes,
) -> None:
    segment = Segment(source, destination, seq, ack, flags, wnd, up, options, text)
    header = build_header(segment, build_options(segment.options), checksum)
    assert len(header) % 4 == 0
    assert parse(header + text) == segment._replace(header_length=len(header))
    by_construct = TCP_HEADER.parse(header)
    assert by_construct.seq == seq
    assert by_construct.checksum == checksum
    assert by_construct.offset_and_flags.data_offset * 4 == len(header)
    assert by_construct.offset_and_flags.syn == bool(flags & 2)


@given(st.binary(max_size=80))
def test_any_octets_are_a_segment_or_malformed(octets: bytes) -> None:
    try:
        segment = parse(octets)
    except MalformedPacket:
        return
    assert len(segment.text) <= len(octets) - 20


@given(st.binary(max_size=40))
def test_any_options_are_survived(octets: bytes) -> None:
    parse_options(octets)


@pytest.mark.parametrize(
    "octets", [b"\x02\x00", b"\x02\x01", b"\x02", b"\x08\x0a\x00", b"\x05\xff"]
)
def test_an_illegal_option_length_ends_the_options(octets: bytes) -> None:
    assert parse_options(b"\x03\x03\x07" + octets) == Options(window_scale=7)


def test_what_follows_the_end_of_options_is_ignored() -> None:
    assert parse_options(b"\x00\x02\x04\x05\xb4") == NO_OPTIONS


def test_a_syn_carries_its_options_in_the_order_of_linux() -> None:
    options = Options(mss=1460, window_scale=7, sack_permitted=True, timestamps=Timestamps(1, 0))
    assert build_options(options).hex() == "020405b4" + "0402080a0000000100000000" + "01030307"
    without = Options(mss=1460, window_scale=7, sack_permitted=True)
    assert build_options(without).hex() == "020405b4" + "01010402" + "01030307"
    assert build_options(Options(mss=1460)).hex() == "020405b4"


@pytest.mark.parametrize(("timestamps", "blocks"), [(False, 4), (True, 3)])
def test_as_many_sack_blocks_as_fit_beside_timestamps(timestamps: bool, blocks: int) -> None:
    assert max_sack_blocks(timestamps) == blocks
    stamps = Timestamps(1, 2) if timestamps else None
    options = Options(timestamps=stamps, sack=(SackBlock(1, 2),) * blocks)
    built = build_options(options)
    assert len(built) <= 40
    assert len(built) == (12 if timestamps else 0) + sack_length(blocks)
    assert parse_options(built) == options


def test_a_segment_is_described_as_tcpdump_does() -> None:
    segment = Segment(1, 2, 2**32 - 1, 7, 0x18, 512, 0, NO_OPTIONS, b"ab")
    assert str(segment) == "Flags [P.], seq 4294967295:1, ack 7, win 512, length 2"
    syn = segment._replace(flags=2, text=b"")
    assert str(syn) == "Flags [S], seq 4294967295, win 512, length 0"
    assert syn.describe(3) == "Flags [S], seq 4294967295:2, win 512, length 3"
