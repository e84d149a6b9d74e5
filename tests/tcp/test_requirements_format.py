"""What RFC 9293 requires of segments as such: checksums, options, sizes, PSH (§3.1, §3.2, §3.7)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.checksum import complete_checksum, ones_complement_sum, pseudo_header_sum
from tapstack.base.contracts import Offload
from tapstack.base.units import SECOND
from tapstack.tcp.options import build_options, parse_options
from tapstack.tcp.segment import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    Options,
    SackBlock,
    Segment,
    Timestamps,
    format_flags,
)
from tapstack.tcp.state import State
from tapstack.tcp.transmission import build_segment_header
from tapstack.tcp.user_options import UserOptions
from tapstack.tcp.wire import PROTOCOL_TCP
from tests.tcp.pair import A, B, Host, World
from tests.tcp.test_state_segment_grid import T0, Peer

UNKNOWN = b"\xfd\x06\x12\x34\x56\x78\x01\x01"
"""An option of an experimental kind that nobody here knows (RFC 4727), and two NOPs."""


def deliver(peer: Peer, flags: int, options: bytes, text: bytes = b"", seq: int = 0) -> list[str]:
    """Let a segment with any octets as options come in, and give what answers it."""
    host = peer.host
    segment = Segment(
        5000, 80, (peer.rcv_nxt + seq) % 2**32, peer.snd_nxt, flags, 65535, 0, Options(), b""
    )
    header = bytearray(build_segment_header(segment, B, A, len(options) + len(text)))
    header[12] += len(options) // 4 << 4
    octets = complete_checksum([bytes(header), options, text], Offload(0, 16, 0))
    host.receive(B, octets, T0)
    return [format_flags(s.flags) for s in host.sent()]


# --- checksum -----------------------------------------------------------------------------------


def test_every_segment_leaves_with_its_checksum() -> None:
    world = World()
    raw: list[tuple[bytes, int, int]] = []

    def fate(octets: bytes, _: object) -> list[tuple[int, bytes]]:
        from_client = octets[2:4] == b"\x00\x50"
        raw.append((octets, *((A, B) if from_client else (B, A))))
        return [(0, octets)]

    world.fate = fate
    client, server = world.pair()
    world.transfer(client, server, bytes(range(256)) * 40)
    world.close(server)
    world.close(client)
    world.run_for(SECOND)
    assert len(raw) > 10
    for octets, source, destination in raw:
        pseudo = pseudo_header_sum(source, destination, PROTOCOL_TCP, len(octets))
        assert ones_complement_sum(octets, pseudo) == 0xFFFF


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [UNKNOWN, b"\x01\xfd\x02\x00", b"\xfd\x02\xfe\x02"])
@pytest.mark.parametrize(
    ("state", "flags", "text", "answer", "after"),
    [
        ("LISTEN", SYN, b"", ["S."], "SYN_RECEIVED"),
        ("SYN_SENT", SYN | ACK, b"", ["."], "ESTABLISHED"),
        ("SYN_RECEIVED", ACK, b"", [], "ESTABLISHED"),
        ("ESTABLISHED", ACK | PSH, b"text", ["."], "ESTABLISHED"),
        ("ESTABLISHED", RST, b"", [], "-"),
        ("FIN_WAIT_2", FIN | ACK, b"", ["."], "TIME_WAIT"),
        ("TIME_WAIT", FIN | ACK, b"", ["."], "TIME_WAIT"),
    ],
)
def test_an_option_that_nobody_knows_is_ignored_in_any_segment(
    state: str, flags: int, text: bytes, answer: list[str], after: str, options: bytes
) -> None:
    peer = Peer(state, 1000)
    assert deliver(peer, flags, options, text, -1 if state == "TIME_WAIT" else 0) == answer
    assert peer.state() == after


def test_an_option_that_we_know_is_taken_beside_one_that_nobody_knows() -> None:
    peer = Peer("LISTEN", 1000)
    deliver(peer, SYN, UNKNOWN + b"\x02\x04\x03\xe8")
    (tcb,) = peer.host.tcp.connections
    assert tcb.peer_mss == 1000


@pytest.mark.parametrize("shift", range(4))
def test_an_option_may_begin_at_any_octet(shift: int) -> None:
    octets = b"\x01" * shift + b"\x02\x04\x03\xe8" + b"\x01" + b"\x03\x03\x07" + b"\x00"
    assert parse_options(octets) == Options(mss=1000, window_scale=7)


@pytest.mark.parametrize(
    "options",
    [
        Options(mss=1460, window_scale=7, sack_permitted=True, timestamps=Timestamps(1, 2)),
        Options(mss=1460, window_scale=7, sack_permitted=True),
        Options(mss=1460, sack_permitted=True),
        Options(mss=1460, window_scale=0),
        Options(timestamps=Timestamps(1, 2), sack=(SackBlock(1, 2),)),
        Options(sack=(SackBlock(1, 2), SackBlock(5, 6))),
    ],
)
def test_each_option_but_two_says_its_length_and_nothing_is_left_to_pad(options: Options) -> None:
    octets = build_options(options)
    assert len(octets) % 4 == 0
    found = list(walk(octets))
    assert sum(length for _, length in found) == len(octets), "no octet is behind the last option"
    sizes = {1: 1, 2: 4, 3: 3, 4: 2, 5: 2 + 8 * len(options.sack), 8: 10}
    assert all(length == sizes[kind] for kind, length in found)


def walk(octets: bytes) -> Iterator[tuple[int, int]]:
    """Give kind and length of each option, as RFC 9293 §3.1 has a stranger read them."""
    position = 0
    while position < len(octets):
        kind = octets[position]
        length = 1 if kind in (0, 1) else octets[position + 1]
        yield kind, length
        position += length


# --- the maximum segment size -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mtu", "mss"), [(576, 536), (1000, 960), (1500, 1460), (9000, 8960), (65535, 65495)]
)
def test_every_syn_names_what_one_datagram_of_the_interface_holds(mtu: int, mss: int) -> None:
    world = World(mtu=mtu)
    client, server = world.pair()
    syn, syn_ack = (segment for _, _, segment in world.log[:2])
    assert (syn.options.mss, syn_ack.options.mss) == (mss, mss)
    world.transfer(client, server, bytes(200_000))
    world.close(client)
    world.close(server)
    world.run_for(SECOND)
    others = [s for _, _, s in world.log if not s.flags & SYN]
    assert {s.options.mss for s in others} == {None}


@pytest.mark.parametrize("end", ["active", "passive"])
def test_no_segment_is_larger_than_the_peer_has_named(end: str) -> None:
    peer = Peer("SYN_SENT" if end == "active" else "LISTEN", 1000)
    host, offered = peer.host, Options(mss=700)
    if end == "active":
        host.inject(T0, flags=SYN | ACK, seq=1000, ack=peer.snd_nxt, options=offered)
        (tcb,) = host.tcp.connections
    else:
        (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, options=offered)
        host.inject(T0, flags=ACK, seq=1001, ack=syn_ack.seq + 1)
        (tcb,) = host.tcp.connections
    host.tcp.send(tcb, bytes(5000), T0)
    host.tcp.flush(T0)
    assert [len(s.text) for s in host.sent()] == [700] * 7 + [100]


# --- PSH ----------------------------------------------------------------------------------------


def pushes(world: World, since: int) -> list[tuple[int, bool]]:
    """List (octets of text, whether pushed) of what A sent."""
    world.next_instant()
    sent = [s for _, who, s in world.log[since:] if who == A and s.text]
    return [(len(s.text), bool(s.flags & PSH)) for s in sent]


def test_the_last_segment_of_what_is_queued_is_pushed() -> None:
    world = World()
    client, _ = world.pair()
    mark = len(world.log)
    world.send(client, bytes(3 * 1448))
    assert pushes(world, mark) == [(1448, False), (1448, False), (1448, True)]


def test_small_writes_share_a_segment_and_its_push() -> None:
    world = World()
    client, _ = world.pair()
    mark = len(world.log)
    for _ in range(10):
        world.send(client, b"0123456789")
    world.run_for(SECOND)
    assert pushes(world, mark) == [(10, True), (90, True)]


def test_text_without_push_is_given_to_its_reader_all_the_same() -> None:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    peer.inject(ACK, peer.rcv_nxt, peer.snd_nxt, b"no push")
    assert peer.host.tcp.receive_text(peer.tcb, 100, T0) == b"no push"


# --- numbers ------------------------------------------------------------------------------------


def test_a_window_with_its_high_bit_set_is_large_and_not_negative() -> None:
    peer = Peer("ESTABLISHED", 1000)
    host, tcb = peer.host, peer.tcb
    assert tcb is not None
    host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=0xFFFF)
    tcb.window.cwnd = 100
    host.tcp.send(tcb, bytes(100_000), T0)
    host.tcp.flush(T0)
    assert 0xFFFF - 1460 < sum(len(s.text) for s in host.sent()) <= 0xFFFF


def test_the_largest_window_that_can_be_scaled_is_kept_whole() -> None:
    peer = Peer("LISTEN", 1000)
    offered = Options(mss=1460, window_scale=14)
    (syn_ack,) = peer.host.inject(T0, flags=SYN, seq=1000, options=offered)
    peer.host.inject(T0, flags=ACK, seq=1001, ack=syn_ack.seq + 1, wnd=0xFFFF)
    (tcb,) = peer.host.tcp.connections
    assert tcb.snd_wnd == 0xFFFF << 14


# --- resets -------------------------------------------------------------------------------------


def test_a_reset_may_carry_text() -> None:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    assert peer.inject(RST, peer.rcv_nxt, 0, b"go away") == []
    assert peer.tcb.state is State.CLOSED
    with pytest.raises(ConnectionResetError):
        peer.host.tcp.receive_text(peer.tcb, 100, T0)


def test_a_backed_up_device_gets_one_acknowledgment_for_a_unit_of_many_segments() -> None:
    """What a device coalesced is one arrival: ten segments, one ACK."""
    host = Host(A)
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 5, UserOptions())
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, options=Options(mss=1460))
    una = syn_ack.seq + 1
    host.inject(T0, flags=ACK, seq=1001, ack=una)
    answers = host.inject(T0, flags=ACK | PSH, seq=1001, ack=una, text=bytes(14_600))
    assert [s.ack for s in answers] == [1001 + 14_600]
