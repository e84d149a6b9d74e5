"""The kernel's header and `Offload` say the same."""

import sys

import pytest
from hypothesis import given, strategies as st

from tapstack.base.contracts import VERIFIED, Frame, Offload
from tapstack.device import vnet
from tests.device.units import tcp_unit, udp_unit, units

shorts = st.integers(0, 65_535)


def test_it_is_ten_octets() -> None:
    assert vnet.HEADER_LENGTH == 10


@given(st.binary(min_size=10, max_size=10))
def test_codec_and_declaration_agree(octets: bytes) -> None:
    fields = vnet.CODEC.parse(octets)
    declared = vnet.VNET_HEADER.parse(octets)
    assert fields == {name: declared[name] for name in fields}
    assert vnet.CODEC.build(**fields) == vnet.VNET_HEADER.build(fields) == octets


def test_it_is_in_the_machines_order() -> None:
    start = vnet.build(Frame((b"x" * 60,), Offload(34, 16, 0)))[6:8]
    assert start == (34).to_bytes(2, sys.byteorder)


@given(units())
def test_what_is_built_is_read_back(unit: Frame) -> None:
    assert vnet.parse(vnet.build(unit)) == unit.offload


@given(units())
def test_the_header_length_is_that_of_all_headers(unit: Frame) -> None:
    assert unit.offload
    if unit.offload.segment_size:
        fields = vnet.CODEC.parse(vnet.build(unit))
        octets = b"".join(unit.parts)
        start = unit.offload.checksum_start
        assert fields["header_length"] == start + (octets[start + 12] >> 4) * 4


def test_a_unit_of_udp_is_said_to_be_one() -> None:
    unit = udp_unit(b"x" * 25, 10)
    header = vnet.build(unit)
    fields = vnet.CODEC.parse(header)
    assert (fields["gso_type"], fields["header_length"]) == (5, 42)
    assert vnet.is_understood(header)
    assert vnet.parse(header) == unit.offload


@pytest.mark.parametrize("offload", [None, VERIFIED])
def test_a_complete_frame_leaves_nothing_to_do(offload: Offload | None) -> None:
    assert vnet.build(Frame((b"x" * 60,), offload)) == bytes(10)


def test_congestion_window_reduced_has_its_bit() -> None:
    assert vnet.CODEC.parse(vnet.build(tcp_unit(b"xx", 1, flags=0x90)))["gso_type"] == 0x81
    assert vnet.CODEC.parse(vnet.build(tcp_unit(b"xx", 1, flags=0x50)))["gso_type"] == 1


@given(shorts, shorts)
def test_inbound_without_flags_is_to_be_verified(start: int, offset: int) -> None:
    assert vnet.parse(vnet.CODEC.pack(0, 0, 0, 0, start, offset)) is None


def test_inbound_that_was_verified_is_trusted() -> None:
    assert vnet.parse(vnet.CODEC.pack(vnet.DATA_VALID, 0, 0, 0, 0, 0)) == VERIFIED
    coalesced = vnet.CODEC.pack(vnet.DATA_VALID, vnet.GSO_TCPV4, 66, 1448, 0, 0)
    assert vnet.parse(coalesced) == Offload(0, 0, 1448)


def test_an_inbound_unit_with_the_ecn_bit_is_a_unit() -> None:
    octets = vnet.CODEC.pack(vnet.NEEDS_CSUM, vnet.GSO_TCPV4 | vnet.GSO_ECN, 66, 1448, 34, 16)
    assert vnet.parse(octets) == Offload(34, 16, 1448)
