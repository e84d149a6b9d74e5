"""The path's MTU: told by ICMP (RFC 1191, RFC 5927), suspected, and probed for (RFC 4821)."""

from __future__ import annotations

from errno import ETIMEDOUT
from random import Random
from socket import MSG_WAITALL

import pytest

from tapstack import sim
from tapstack.base.address import parse_ipv4
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.congestion.window import INFINITE_SSTHRESH
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.segment import ACK
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tests.tcp.pair import A, World
from tests.tcp.test_errors import report
from tests.tcp.test_state_segment_grid import T0, Peer

MS = MILLISECOND
HEADERS = 20 + 20 + 12
"""Octets of IP, TCP and timestamps in front of text."""


class Narrow:
    """A path that loses, without a word, what is larger than its MTU."""

    def __init__(self, mtu: int = 1500) -> None:
        self.mtu = mtu

    def __call__(self, octets: bytes, _: object) -> list[tuple[int, bytes]]:
        return [(0, octets)] if 20 + len(octets) <= self.mtu else []


def opened(path: Narrow | None = None, **settings: object) -> tuple[World, Tcb, Tcb]:
    settings.setdefault("tcp_rmem", (4096, 6291456, 6291456))
    config = TcpConfig(**settings)  # type: ignore[arg-type]
    world = World(delay=10 * MS, fate=path, config=config)
    return world, *world.pair()


def sizes(world: World, mark: int = 0) -> list[int]:
    world.next_instant()
    return [len(s.text) for _, who, s in world.log[mark:] if who == A and s.text]


def carries(world: World, client: Tcb, server: Tcb, octets: int) -> None:
    data = bytes(range(256)) * (octets // 256)
    assert world.transfer(client, server, data) == data
    world.run(lambda: not client.sent)


# --- ICMP -------------------------------------------------------------------------------------


def test_what_was_too_large_is_no_sign_of_congestion() -> None:
    world, client, server = opened()
    carries(world, client, server, 300_000)
    window = client.window.cwnd
    assert world.send(client, bytes(20_000)) == 20_000
    world.a.outbox.clear()  # a router dropped them
    report(world, client, 3, 4, seq=client.snd_una, mtu=1000)
    assert client.effective_mss == 1000 - HEADERS
    assert client.window.cwnd == window
    world.run(lambda: not client.sent)
    assert client.recovery.phase is Phase.OPEN
    assert client.window.cwnd >= window
    assert client.window.ssthresh >= 3 * window // 4
    assert world.a.counters["TcpExtTCPSackRecovery"] == 0
    assert world.a.counters["TcpExtTCPTimeouts"] == 0
    assert world.receive(server) == bytes(20_000)


def test_what_was_too_large_carries_the_time_at_which_it_leaves_again() -> None:
    """RFC 7323 §3.2: TSval is "the current value of the timestamp clock". Linux's is older here."""
    world, client, _ = opened()
    assert world.send(client, bytes(1400)) == 1400
    world.a.outbox.clear()  # a router dropped it
    world.now += 50 * MS
    mark = len(world.log)
    report(world, client, 3, 4, seq=client.snd_una, mtu=1000)
    world.next_instant()
    again = [segment for _, who, segment in world.log[mark:] if who == A and segment.text]
    assert [len(segment.text) for segment in again] == [948, 452]
    stamps = {segment.options.timestamps.value for segment in again if segment.options.timestamps}
    assert stamps == {client.timestamp_now(world.now)}
    assert {segment.sent_at for segment in client.sent} == {world.now}


def test_a_path_that_another_connection_found_narrow_is_heeded_at_once() -> None:
    with sim.World() as world:
        source, sink = world.host("source"), world.host("sink")
        world.link(source, sink)
        listener = sink.create_server(("", 80))
        with source.create_connection((sink.address, 80)) as connection:
            # Another connection to the same host hears of a narrow path.
            source.stack.ip.learn_path_mtu(parse_ipv4(sink.address), 576, world.now)
            connection.sendall(bytes(1000))
            with listener, listener.accept()[0] as accepted:
                assert accepted.recv(1000, MSG_WAITALL) == bytes(1000)
        assert source.stack.counters["IpFragFails"] == 0
        assert source.stack.counters["TcpExtTCPTimeouts"] == 0


def test_without_sack_what_is_too_large_is_not_taken_to_have_arrived() -> None:
    def twice_if_small(octets: bytes, _: object) -> list[tuple[int, bytes]]:
        return [(0, octets), (MS, octets)] if 20 + len(octets) <= 1000 else []

    world = World(delay=10 * MS, fate=twice_if_small, config=TcpConfig(tcp_sack=False))
    client, server = world.pair()
    world.send(client, bytes(1449))
    # The second ACK for the small segment behind the large one is a duplicate.
    world.run(lambda: client.sent.sacked_out == 1)
    report(world, client, 3, 4, seq=client.snd_una, mtu=1492)
    sent = client.sent
    assert (sent.packets_out, sent.lost_out, sent.sacked_out) == (2, 2, 0)
    report(world, client, 3, 4, seq=client.snd_una, mtu=800)
    world.run(lambda: not client.sent)
    assert len(world.receive(server) or b"") == 1449
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


def test_in_flight_is_counted_in_the_segments_that_there_are_now() -> None:
    world, client, _ = opened()
    world.send(client, bytes(14_480))
    assert client.sent.packets_out == 10
    world.a.outbox.clear()
    report(world, client, 3, 4, seq=client.snd_una, mtu=776)
    assert client.effective_mss == 724
    assert client.sent.packets_out == 3 * 4 + 2 * 2  # units, of which three were begun anew
    assert client.sent.in_flight == client.window.cwnd == 10


def test_an_error_about_what_is_not_in_flight_is_not_believed() -> None:
    world, client, _ = opened()
    world.send(client, b"x")
    for seq in (client.snd_una - 1, client.snd_nxt + 1, client.snd_nxt + 100_000):
        report(world, client, 3, 4, seq=seq & 0xFFFFFFFF, mtu=600)
    assert client.effective_mss == 1448
    assert world.a.counters["TcpExtOutOfWindowIcmps"] == 3


def test_a_path_that_others_found_narrow_is_followed_and_so_is_one_grown_wide() -> None:
    world, client, server = opened()
    carries(world, client, server, 25_600)
    for mtu in (1000, 1400):
        world.a.mtu = mtu  # as the network layer has it now
        world.run_for(2 * SECOND)
        carries(world, client, server, 25_600)
        assert client.effective_mss == mtu - HEADERS
        assert world.a.tcp.info(client, world.now).pmtu == mtu


# --- the peer's window --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "mss"), [(65535, 536), (1000, 500), (537, 268), (536, 536), (300, 300), (20, 48)]
)
def test_two_segments_fit_the_largest_window(window: int, mss: int) -> None:
    peer = Peer("SYN_RECEIVED", 1000)
    assert peer.tcb is not None
    peer.tcb.peer_mss = 536
    peer.host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=peer.tcb.snd_nxt, wnd=window)
    assert peer.tcb.state is State.ESTABLISHED
    assert peer.tcb.effective_mss == mss
    peer.host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=peer.tcb.snd_nxt, wnd=65535)
    assert peer.tcb.effective_mss == 536


# --- black holes --------------------------------------------------------------------------------


def test_without_probing_a_black_hole_is_the_end() -> None:
    path = Narrow()
    world, client, _ = opened(path)
    path.mtu = 1200
    world.send(client, bytes(10_000))
    world.run(lambda: client.state is State.CLOSED)
    assert client.error == ETIMEDOUT
    assert set(sizes(world)) <= {1448, 10_000 % 1448}


@pytest.mark.parametrize(("mtu", "mss"), [(1200, 1024), (700, 512), (320, 256)])
def test_a_black_hole_makes_segments_smaller_until_they_pass(mtu: int, mss: int) -> None:
    path = Narrow()
    world, client, server = opened(path, tcp_mtu_probing=1)
    carries(world, client, server, 25_600)
    assert client.effective_mss == 1448
    path.mtu = mtu
    start = world.now
    carries(world, client, server, 25_600)
    # It is suspected 3 s after the first retransmission, and again with each timeout.
    assert world.now - start > 3 * SECOND
    assert mss <= client.effective_mss <= mtu - HEADERS
    assert client.state is State.ESTABLISHED


def test_a_silent_peer_is_no_reason_for_segments_of_an_octet() -> None:
    path = Narrow()
    world, client, _ = opened(path, tcp_mtu_probing=1, tcp_mtu_probe_floor=100)
    path.mtu = 0
    world.send(client, bytes(10_000))
    world.run(lambda: client.retransmits == 12)
    assert client.effective_mss == 100


# --- probing ------------------------------------------------------------------------------------


def test_probing_finds_what_the_link_takes() -> None:
    world, client, server = opened(tcp_mtu_probing=2)
    assert client.effective_mss == 1024
    carries(world, client, server, 3_000_000)
    assert 1448 - 8 <= client.effective_mss <= 1448
    counters = world.a.counters
    assert counters["TcpExtTCPMTUPSuccess"] == counters["TcpExtTCPMTUPProbe"] > 3
    assert counters["TcpExtTCPMTUPFail"] == counters["TcpRetransSegs"] == 0


def test_a_probe_that_is_lost_costs_one_segment_and_no_window() -> None:
    path = Narrow(1300)
    world, client, server = opened(path, tcp_mtu_probing=2)
    carries(world, client, server, 3_000_000)
    assert 1300 - HEADERS - 8 <= client.effective_mss <= 1300 - HEADERS
    counters = world.a.counters
    assert counters["TcpExtTCPMTUPFail"] > 0
    assert counters["TcpExtTCPMTUPSuccess"] > 0
    assert counters["TcpExtTCPTimeouts"] == 0
    assert counters["TcpExtTCPSackRecovery"] == 0, "no loss was taken for congestion"
    assert client.recovery.phase is Phase.OPEN
    assert client.window.cwnd > 100
    assert client.window.ssthresh == INFINITE_SSTHRESH or client.window.ssthresh > 10


def test_a_probe_leaves_in_one_piece_and_alone() -> None:
    world, client, server = opened(tcp_mtu_probing=2)
    carries(world, client, server, 256_000)
    probes = [size for size in sizes(world) if size > 1024]
    assert probes[0] == (1024 + 1448) // 2
    assert 0 not in probes


def test_little_text_is_not_probed_with() -> None:
    world, client, server = opened(tcp_mtu_probing=2)
    for _ in range(50):
        carries(world, client, server, 5120)
    assert world.a.counters["TcpExtTCPMTUPProbe"] == 0
    assert client.effective_mss == 1024


@pytest.mark.slow
def test_a_wider_path_is_found_after_a_while() -> None:
    path = Narrow(1300)
    world, client, server = opened(path, tcp_mtu_probing=2)
    carries(world, client, server, 3_000_000)
    found = client.effective_mss
    path.mtu = 1500
    world.run_for(300 * SECOND)
    carries(world, client, server, 3_000_000)
    assert client.effective_mss == found
    world.run_for(301 * SECOND)
    carries(world, client, server, 6_000_000)
    assert client.effective_mss > 1448 - 9


@pytest.mark.parametrize("mtu", [68, 76, 84, 92])
def test_sack_blocks_leave_room_for_text_however_small_datagrams_are(mtu: int) -> None:
    """The hosts see that no datagram is larger than the path takes; RFC 791's least is 68."""

    def lossy(octets: bytes, chance: Random) -> list[tuple[int, bytes]]:
        return [] if chance.random() < 0.1 else [(0, octets)]

    world = World(mtu=mtu, fate=lossy)
    client, server = world.pair()
    texts = bytes(range(200)), bytes(reversed(range(200)))
    for _ in range(3):
        world.send(server, texts[1])
        assert world.transfer(client, server, texts[0]) == texts[0]
    world.run(lambda: not server.sent)
    assert world.receive(client) == 3 * texts[1]
    assert any(segment.options.sack for _, _, segment in world.log) == (mtu > 68)
