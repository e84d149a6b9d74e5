"""Whatever arrives: the only exception is MalformedPacket, and the work is bounded."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from tapstack.base.address import Endpoint
from tapstack.base.contracts import VERIFIED
from tapstack.base.errors import MalformedPacket
from tapstack.base.units import MINUTE
from tapstack.ip import icmp_wire
from tapstack.ip.config import IpConfig
from tapstack.ip.icmp_wire import Message
from tests.ip.rig import BROADCAST, FAR, HOST, ICMP, MF, OTHER, UDP, US, Rig, echo, ipv4, udp

addresses = st.sampled_from(
    [HOST, OTHER, US, BROADCAST, FAR, 0, 0xFFFFFFFF, 0x7F000001, 0xE0000001]
)
protocols = st.sampled_from([ICMP, UDP, 2, 4, 255])
messages = st.builds(
    lambda type_, code, rest, body: icmp_wire.build(Message(type_, code, rest, body)),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=60) | st.builds(ipv4, st.binary(max_size=20), source=addresses),
)
payloads = st.one_of(
    st.binary(max_size=80),
    st.builds(udp, st.binary(max_size=20), port=st.sampled_from([9, 10])),
    messages,
)
datagrams = st.builds(
    lambda payload, options, offset, **fields: ipv4(
        payload, options=options, offset=offset * 8, **fields
    ),
    payloads,
    st.integers(0, 10).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n)),
    st.just(0) | st.integers(0, 8191),
    source=addresses,
    destination=addresses,
    protocol=protocols,
    flags=st.sampled_from([0, MF, 0x4000, 0x8000]),
    ttl=st.integers(0, 3),
)


def busy_rig(forward: bool) -> Rig:
    rig = Rig(IpConfig(ip_forward=forward))
    rig.udp.bind(rig.udp.open(), Endpoint(0, 9))
    rig.ip.raw.connect(rig.ip.raw.open(ICMP), HOST)
    rig.ip.raw.open(2)
    return rig


@given(st.lists(st.binary(max_size=100) | datagrams, max_size=12), st.booleans(), st.booleans())
@settings(max_examples=300)
def test_any_octets_raise_malformed_packet_or_nothing(
    arriving: list[bytes], forward: bool, to_us: bool
) -> None:
    rig = busy_rig(forward)
    for octets in arriving:
        with suppress(MalformedPacket):
            rig.ip.receive(memoryview(octets), None, rig.tap, to_us, rig.now)
        with suppress(MalformedPacket):
            rig.ip.receive(memoryview(octets), VERIFIED, rig.lo, True, rig.now)
        rig.drain()
    rig.wait(MINUTE)
    assert len(rig.ip.reassembler) == rig.ip.reassembler.octets == 0


@pytest.mark.parametrize(
    "whole",
    [
        ipv4(echo(), protocol=ICMP, options=b"\x94\4\0\0"),
        ipv4(udp(b"some data")),
        ipv4(icmp_wire.build(Message(3, 3, 0, ipv4(udp(), source=US))), protocol=ICMP),
    ],
)
def test_every_truncation_is_silent(whole: bytes) -> None:
    for length in range(len(whole)):
        rig = Rig()
        assert rig.receive(whole[:length]) == []
        assert sum(rig.counters.drops.values()) == 1


@given(datagrams)
def test_at_most_one_answer_to_one_datagram(octets: bytes) -> None:
    rig = Rig()
    assert len(rig.receive(octets)) <= 1
