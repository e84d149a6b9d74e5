"""Opening a connection (RFC 9293 §3.5): both ways at once, retried, refused, overflowing."""

from __future__ import annotations

from errno import EADDRINUSE, ECONNREFUSED, ETIMEDOUT

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.segment import ACK, RST, SYN, Options, format_flags
from tapstack.tcp.state import State
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host, World


def open_to_nobody(host: Host, now: int = SECOND):
    tcb = host.tcp.open_active(Endpoint(B, 5000), UserOptions(), now)
    host.tcp.flush(now)
    return tcb


def test_three_way_handshake() -> None:
    world = World()
    client, server = world.pair()
    assert [format_flags(s.flags) for _, _, s in world.log] == ["S", "S.", "."]
    syn, syn_ack, ack = (s for _, _, s in world.log)
    assert syn_ack.ack == (syn.seq + 1) % 2**32
    assert ack.seq == syn_ack.ack
    assert ack.ack == (syn_ack.seq + 1) % 2**32
    assert client.state is server.state is State.ESTABLISHED


def test_both_syns_carry_every_option_and_the_connection_uses_them() -> None:
    world = World()
    client, server = world.pair()
    for _, _, syn in world.log[:2]:
        assert syn.options.mss == 1460
        assert syn.options.window_scale == 7  # what Linux has for a buffer of 6 MiB
        assert syn.options.sack_permitted
        assert syn.options.timestamps is not None
    for end in (client, server):
        assert end.effective_mss == 1448
        assert end.timestamps
        assert end.sack_permitted
        assert end.window_scaling


@pytest.mark.parametrize("without", ["tcp_timestamps", "tcp_sack", "tcp_window_scaling"])
def test_an_option_that_one_side_does_not_offer_is_not_used(without: str) -> None:
    world = World()
    setattr(world.b.config, without, False)
    client, server = world.pair()
    syn_ack = world.log[1][2].options
    absent = {
        "tcp_timestamps": syn_ack.timestamps is None,
        "tcp_sack": not syn_ack.sack_permitted,
        "tcp_window_scaling": syn_ack.window_scale is None,
    }
    assert absent == {name: name == without for name in absent}
    assert world.transfer(client, server, b"x" * 100_000) == b"x" * 100_000


def test_a_peer_that_names_no_mss_gets_536() -> None:
    host = Host(A)
    binding = host.tcp.bind(Endpoint(0, 80))
    host.tcp.open_passive(binding, 5, UserOptions())
    host.inject(0, flags=SYN, seq=1)
    (tcb,) = host.tcp.connections
    assert tcb.effective_mss == 536


def test_a_peer_that_names_an_mss_of_0_gets_the_default_as_linux_has_it() -> None:
    host = Host(A)
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 5, UserOptions())
    host.inject(0, flags=SYN, seq=1, options=Options(mss=0))
    (tcb,) = host.tcp.connections
    assert tcb.effective_mss == 536


@pytest.mark.parametrize("mss", [1, 8])
def test_an_absurd_mss_is_not_believed(mss: int) -> None:
    host = Host(A)
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 5, UserOptions())
    host.inject(0, flags=SYN, seq=1, options=Options(mss=mss))
    (tcb,) = host.tcp.connections
    assert tcb.effective_mss == 48


def test_simultaneous_open() -> None:
    world = World()
    a = world.a.tcp.open_active(
        Endpoint(B, 2), UserOptions(), world.now, world.a.tcp.bind(Endpoint(A, 1))
    )
    b = world.b.tcp.open_active(
        Endpoint(A, 1), UserOptions(), world.now, world.b.tcp.bind(Endpoint(B, 2))
    )
    world.a.tcp.flush(world.now)
    world.b.tcp.flush(world.now)
    world.run_for(SECOND // 2)
    assert a.state is b.state is State.ESTABLISHED
    sent = [[format_flags(s.flags) for _, who, s in world.log if who == host] for host in (A, B)]
    assert sent == [["S", "S.", "."]] * 2
    assert world.a.counters["TcpExtTCPSYNChallenge"] == 0
    assert world.transfer(a, b, b"hello") == b"hello"


def test_the_window_of_a_syn_ack_that_crosses_ours_is_scaled_but_makes_segments_no_longer() -> None:
    host = Host(A)
    host.config.tcp_timestamps = 0
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(), 0)
    host.tcp.flush(0)
    (syn,) = host.sent()
    offer = {"seq": 7, "wnd": 1000, "options": Options(mss=1460, window_scale=7)}
    host.inject(0, sport=80, dport=syn.source_port, flags=SYN, **offer)
    host.inject(0, sport=80, dport=syn.source_port, flags=SYN | ACK, ack=tcb.snd_nxt, **offer)
    assert tcb.state is State.ESTABLISHED
    assert (tcb.snd_wnd, tcb.effective_mss) == (1000 << 7, 500)


def test_a_lost_syn_is_sent_again_at_linuxs_times_until_it_is_given_up() -> None:
    world = World(fate=lambda octets, random: [])
    tcb = world.connect()
    start = world.now
    world.run_for(200 * SECOND)
    times = [(when - start) // SECOND for when, _, _ in world.log]
    assert times == [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]
    assert tcb.state is State.CLOSED
    assert tcb.error == ETIMEDOUT
    assert world.a.counters["TcpAttemptFails"] == 1


@pytest.mark.parametrize("flags", [ACK, SYN | ACK, RST | ACK])
def test_an_answer_of_an_old_connection_has_the_syn_sent_again_soon_once(flags: int) -> None:
    host = Host(A)
    tcb = open_to_nobody(host)
    (syn,) = host.sent()
    times = []
    now = SECOND
    for _ in range(3):
        sent = host.inject(now, sport=5000, dport=syn.source_port, flags=flags, seq=9, ack=77)
        assert [format_flags(s.flags) for s in sent] == ([] if flags & RST else ["R"])
        deadline = host.timers.next_deadline()
        assert deadline is not None
        times.append(deadline - now)
        now = deadline
        host.expire(now)
        assert [s.seq for s in host.sent()] == [syn.seq]
    assert times == [2 * MILLISECOND, SECOND, SECOND]
    assert tcb.state is State.SYN_SENT


def test_a_syn_ack_is_sent_again_until_the_half_open_connection_is_forgotten() -> None:
    host = Host(A)
    listener = host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 5, UserOptions())
    host.inject(0, flags=SYN, seq=1)
    times = []
    while (deadline := host.timers.next_deadline()) is not None:
        host.expire(deadline)
        times += [deadline // SECOND for _ in host.sent()]
    assert times == [1, 3, 7, 15, 31]
    assert not listener.syn_queue
    assert list(host.tcp.connections) == []


def test_nobody_listens() -> None:
    world = World()
    tcb = world.connect(port=81)
    world.run(lambda: tcb.state is State.CLOSED)
    assert tcb.error == ECONNREFUSED
    assert world.a.tcp.bound_ports == 0


def test_the_reset_that_answers_a_segment_without_ack_acknowledges_it() -> None:
    host = Host(A)
    (reset,) = host.inject(0, flags=SYN, seq=41, text=b"abc")
    assert (reset.flags, reset.seq, reset.ack) == (RST | ACK, 0, 45)


def test_the_reset_that_answers_an_ack_takes_its_number() -> None:
    host = Host(A)
    (reset,) = host.inject(0, flags=ACK, seq=41, ack=77)
    assert (reset.flags, reset.seq) == (RST, 77)


def test_the_accept_queue_takes_one_more_than_the_backlog_and_then_syns_are_dropped() -> None:
    world = World()
    listener = world.listen(backlog=2)
    clients = []
    for _ in range(5):
        clients.append(world.connect())
        world.run_for(SECOND // 10)
    assert len(listener.accept_queue) == 3
    assert world.b.counters["TcpExtListenOverflows"] > 0
    # The oldest is handed out first, and the rest come in as room is made.
    order = []
    for _ in clients:
        world.run(lambda: bool(listener.accept_queue))
        tcb = world.b.tcp.accept(listener)
        assert tcb is not None
        order.append(tcb.remote)
        world.run_for(10 * SECOND)
    assert sorted(order) == sorted(client.local for client in clients)
    assert order[:3] == [client.local for client in clients[:3]]


def test_the_syn_queue_is_bounded() -> None:
    host = Host(A, config=TcpConfig(tcp_syncookies=0))
    listener = host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 10, UserOptions())
    for port in range(1, 30):
        host.inject(0, flags=SYN, seq=1, sport=port)
    assert len(listener.syn_queue) == 11
    assert host.counters["TcpExtTCPReqQFullDrop"] == 18


def test_initial_sequence_numbers_move_on_and_differ_between_destinations() -> None:
    host = Host(A)
    first = open_to_nobody(host, SECOND)
    later = open_to_nobody(host, SECOND)
    assert first.iss != later.iss
    key = (A, 1, B, 2)
    numbers = host.tcp._ctx.keyed_hash.first_numbers
    soon, offset = numbers(key, SECOND)
    assert numbers(key, SECOND + 400) == ((soon + 100) % 2**32, offset)


def test_two_listeners_cannot_share_a_port() -> None:
    host = Host(A)
    host.tcp.bind(Endpoint(A, 80))
    with pytest.raises(OSError, match="in use") as caught:
        host.tcp.bind(Endpoint(0, 80))
    assert caught.value.errno == EADDRINUSE
