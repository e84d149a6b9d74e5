"""The IPv4 header: the hot codec, construct and the named header tell the same."""

import pytest
from hypothesis import given, strategies as st

from tapstack.base.errors import Drop, MalformedPacket
from tapstack.ip.wire import CODEC, IPV4_HEADER, Header, build, parse, parse_quoted
from tests.ip.rig import ipv4

headers = st.builds(
    Header,
    tos=st.integers(0, 255),
    total_length=st.integers(60, 65535),
    identification=st.integers(0, 65535),
    flags=st.integers(0, 7).map(lambda bits: bits << 13),
    fragment_offset=st.integers(0, 8191).map(lambda words: words * 8),
    ttl=st.integers(0, 255),
    protocol=st.integers(0, 255),
    source=st.integers(0, 2**32 - 1),
    destination=st.integers(0, 2**32 - 1),
    options=st.integers(0, 10).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n)),
)


@given(st.binary(min_size=20, max_size=20))
def test_codec_and_declaration_agree(octets: bytes) -> None:
    fields = CODEC.parse(octets)
    declared = IPV4_HEADER.parse(octets)
    flat = {**declared, **declared.version_and_length, **declared.flags_and_offset}
    assert fields == {name: flat[name] for name in fields}
    assert CODEC.build(**fields) == octets == IPV4_HEADER.build(declared)


@given(headers)
def test_a_header_that_is_built_reads_back(header: Header) -> None:
    octets = build(header)
    assert parse(octets + bytes(header.total_length - len(octets))) == header
    assert parse_quoted(octets) == header


@given(headers, st.data())
def test_construct_builds_the_same_octets(header: Header, data: st.DataObject) -> None:
    independent = ipv4(
        source=header.source,
        destination=header.destination,
        protocol=header.protocol,
        options=header.options,
        flags=header.flags,
        offset=header.fragment_offset,
        tos=header.tos,
        total_length=header.total_length,
        identification=header.identification,
        ttl=header.ttl,
    )
    assert build(header) == independent
    # One bit that flips is always noticed (RFC 1071 §1), whatever the field.
    bit = data.draw(st.integers(0, len(independent) * 8 - 1))
    flipped = bytearray(independent + bytes(header.total_length))
    flipped[bit // 8] ^= 128 >> bit % 8
    with pytest.raises(MalformedPacket):
        parse(flipped)


@pytest.mark.parametrize("length", range(20))
def test_less_than_a_header_is_truncated(length: int) -> None:
    with pytest.raises(MalformedPacket) as caught:
        parse(ipv4()[:length])
    assert caught.value.reason is Drop.IP_TRUNCATED


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (ipv4(version=6), Drop.IP_BAD_VERSION),
        (ipv4(version=0), Drop.IP_BAD_VERSION),
        (ipv4(header_words=4), Drop.IP_BAD_HEADER_LENGTH),
        (ipv4(header_words=0), Drop.IP_BAD_HEADER_LENGTH),
        (ipv4(header_words=6), Drop.IP_TRUNCATED),
        (ipv4(check=1), Drop.IP_BAD_CHECKSUM),
        (ipv4(options=b"\1\1\1\0", check=1), Drop.IP_BAD_CHECKSUM),
        (ipv4(total_length=19), Drop.IP_BAD_TOTAL_LENGTH),
        (ipv4(options=b"\1\1\1\0", total_length=20), Drop.IP_BAD_TOTAL_LENGTH),
        (ipv4(b"12345678", total_length=29), Drop.IP_BAD_TOTAL_LENGTH),
        (ipv4(total_length=65535), Drop.IP_BAD_TOTAL_LENGTH),
    ],
)
def test_each_malformed_header_has_its_reason(octets: bytes, reason: Drop) -> None:
    with pytest.raises(MalformedPacket) as caught:
        parse(octets)
    assert caught.value.reason is reason


def test_padding_behind_the_datagram_is_allowed() -> None:
    assert parse(ipv4(b"x", padding=bytes(25))).total_length == 21
