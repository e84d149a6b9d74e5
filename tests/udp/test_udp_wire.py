"""The UDP header: construct and the derived codec tell the same."""

import pytest
from hypothesis import given, strategies as st

from tapstack.base.errors import Drop, MalformedPacket
from tapstack.udp.wire import CODEC, UDP_HEADER, UdpHeader, build, parse


@given(st.binary(min_size=8, max_size=8))
def test_codec_and_declaration_agree(octets: bytes) -> None:
    fields = CODEC.parse(octets)
    assert fields == {name: UDP_HEADER.parse(octets)[name] for name in fields}
    assert CODEC.build(**fields) == octets == UDP_HEADER.build(fields)


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(8, 99), st.integers(0, 65535))
def test_a_header_that_is_built_reads_back(
    source: int, destination: int, length: int, check: int
) -> None:
    header = UdpHeader(source, destination, length, check)
    assert parse(build(header) + bytes(length - 8)) == header
    with pytest.raises(MalformedPacket) as caught:
        parse((build(header) + bytes(length))[: length - 1])
    assert caught.value.reason in (Drop.UDP_BAD_LENGTH, Drop.UDP_TRUNCATED)
