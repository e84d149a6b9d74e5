"""What a connection tells of itself (RFC 9293 §3.10.6): exact counts and times in virtual time."""

from __future__ import annotations

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.info import TcpInfo
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import World

MS = MILLISECOND


def info(world: World, tcb: Tcb) -> TcpInfo:
    return world.host_of(tcb).tcp.info(tcb, world.now)


def test_after_the_handshake() -> None:
    world = World(delay=50 * MS)
    client, server = world.pair()
    told = info(world, client)
    assert told.state == 1
    assert told.rtt == told.min_rtt == 100 * MS
    assert told.rttvar == 50 * MS
    assert told.rto == 300 * MS
    assert (told.snd_mss, told.advmss, told.pmtu) == (1448, 1448, 1500)
    assert (told.segs_out, told.segs_in, told.delivered, told.bytes_acked) == (2, 1, 1, 1)
    assert told.last_data_sent == 50
    assert (info(world, server).segs_out, info(world, server).segs_in) == (0, 2)


def test_a_unit_counts_as_the_segments_that_it_makes() -> None:
    world = World(delay=10 * MS)
    client, server = world.pair()
    world.send(client, b"x" * 10_000)
    told = info(world, client)
    assert told.unacked == told.data_segs_out == 7
    assert told.bytes_sent == 10_000
    world.run_for(SECOND)
    assert info(world, client).delivered == 8
    assert info(world, client).bytes_acked == 10_001
    assert info(world, server).data_segs_in == 7
    assert info(world, server).bytes_received == 10_000
    assert info(world, client).busy_time == 20 * MS


def test_what_is_sent_again_counts_twice() -> None:
    lose = {"next": 0}

    def fate(octets: bytes, _: object) -> list[tuple[int, bytes]]:
        if len(octets) > 100 and lose["next"]:
            lose["next"] -= 1
            return []
        return [(0, octets)]

    world = World(delay=10 * MS, fate=fate)
    client, server = world.pair()
    lose["next"] = 1
    world.send(client, b"x" * 10_000)
    world.run_for(5 * SECOND)
    told = info(world, client)
    assert told.total_retrans == 1
    assert told.bytes_retrans == 1448
    assert told.bytes_sent == 11_448
    assert told.total_rto == 0
    assert info(world, server).rcv_ooopack == 6


def test_timeouts_are_counted_by_runs() -> None:
    dark = {"on": False}
    world = World(delay=10 * MS, fate=lambda octets, _: [] if dark["on"] else [(0, octets)])
    client, server = world.pair()
    dark["on"] = True
    world.send(client, b"x")
    world.run_for(2 * SECOND)
    runs = info(world, client)
    assert runs.total_rto == runs.retransmits == runs.backoff >= 2
    assert runs.total_rto_recoveries == 1
    assert 1000 < runs.total_rto_time < 2000, "what the run has cost so far"
    assert runs.ca_state == 4
    dark["on"] = False
    world.run_for(10 * SECOND)
    told = info(world, client)
    assert told.ca_state == told.retransmits == told.backoff == 0
    assert told.total_rto_recoveries == 1
    assert told.total_rto_time > 1000
    assert world.receive(server) == b"x"


def test_what_the_time_went_to() -> None:
    world = World(delay=10 * MS)
    client, server = world.pair()
    window = server.rcv_wnd
    taken = world.send(client, b"x" * 200_000)
    assert taken > window
    world.run_for(SECOND)  # the peer does not read
    told = info(world, client)
    assert told.notsent_bytes == taken - (told.bytes_acked - 1)
    assert told.busy_time == SECOND
    assert 900 * MS < told.rwnd_limited < SECOND
    assert told.sndbuf_limited == 0
    while world.receive(server):
        world.run_for(SECOND)
    assert info(world, client).rwnd_limited < 2 * SECOND


def test_a_full_send_buffer_is_told() -> None:
    world = World(delay=50 * MS)
    listener = world.listen()
    client = world.connect(options=UserOptions(send_buffer=5000))
    world.run(lambda: bool(listener.accept_queue))
    assert 0 < world.send(client, b"x" * 1_000_000) < 1_000_000
    world.run_for(SECOND)
    told = info(world, client)
    assert 0 < told.sndbuf_limited <= told.busy_time < SECOND
    assert told.rwnd_limited == 0
