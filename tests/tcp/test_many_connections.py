"""What thousands of connections keep, each of them idle most of the time: as little as may be."""

from __future__ import annotations

from tapstack.base.sharing import about, shared
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.rack import NOTHING_HEARD
from tapstack.tcp.recovery_state import Phase, Recovery, Untroubled, untroubled
from tapstack.tcp.retransmission_queue import RetransmissionQueue
from tapstack.tcp.send_pieces import NO_PIECES
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.tcb import Tcb
from tests.tcp.pair import World

MSS = 1448


def exchanging(count: int) -> tuple[World, list[Tcb]]:
    """Open connections, and have each ask and be answered a few times."""
    world = World(delay=10 * MILLISECOND)
    listener = world.listen()
    clients = [world.connect() for _ in range(count)]
    world.run(lambda: len(listener.accept_queue) == count)
    servers = [world.b.tcp.accept(listener) for _ in range(count)]
    for _ in range(3):
        for client, server in zip(clients, servers, strict=True):
            assert server is not None
            world.send(client, b"question")
            world.run_for(30 * MILLISECOND)
            assert world.receive(server) == b"question"
            world.send(server, b"answer")
            world.run_for(30 * MILLISECOND)
            assert world.receive(client) == b"answer"
    return world, clients


def test_what_is_paced_is_one_object_for_all() -> None:
    _, (first, second) = exchanging(2)
    assert first.paced_in_round_trip is second.paced_in_round_trip
    assert first.pacing_rate == first.paced_in_round_trip // first.rtt.srtt_8


def test_equal_numbers_are_shared_and_times_about_the_same() -> None:
    assert shared(10**6) is shared(10**7 // 10)
    assert about(SECOND + 1) is about(SECOND + 200_000)
    assert SECOND - 250_000 <= about(SECOND - 1) < SECOND


def test_who_has_one_segment_in_flight_at_a_time_keeps_nothing_for_rack() -> None:
    world, (client,) = exchanging(1)
    assert client.rack is NOTHING_HEARD
    world.send(client, bytes(8 * MSS))
    world.run(lambda: client.rack is not NOTHING_HEARD)
    assert client.rack.xmit_ts
    world.run_for(SECOND)
    assert not client.sent
    assert (client.rack.xmit_ts, client.rack.rtt_of, client.rack.advanced) == (0, -1, False)


def test_who_has_lost_nothing_has_nothing_of_its_own_to_repair_it() -> None:
    world, (first, second) = exchanging(2)
    assert first.recovery is second.recovery
    assert isinstance(first.recovery, Untroubled)
    world.fate = lambda octets, random: []
    world.send(first, b"lost")
    world.run(lambda: first.recovery.phase is Phase.LOSS)
    assert isinstance(first.recovery, Recovery)
    assert first.recovery.reordering == second.recovery.reordering
    assert (second.recovery.phase, second.recovery.undo.marker) == (Phase.OPEN, None)


def test_another_number_of_segments_for_reordering_is_had_in_common_too() -> None:
    assert untroubled(3) is untroubled(3)
    world = World(config=TcpConfig(tcp_reordering=5))
    client, server = world.pair()
    assert client.recovery is server.recovery is untroubled(5)


def test_who_has_no_text_that_waits_has_no_pieces_of_its_own() -> None:
    world = World()
    client, server = world.pair()
    assert client.send_pieces is server.send_pieces is NO_PIECES
    client.window.cwnd = 0
    world.send(client, b"waits")
    assert (len(client.send_pieces), len(server.send_pieces), len(NO_PIECES)) == (1, 0, 0)


def test_what_is_in_flight_is_numbered_from_one_on() -> None:
    queue = RetransmissionQueue()
    for flight in range(3):
        first, second = (SentSegment(seq, seq + 1, 0, MSS, flight) for seq in (0, 1))
        queue.append_burst(first)
        queue.append_burst(second)
        assert first.number == 1 < second.number
        queue.acknowledge(2)
        assert not queue
