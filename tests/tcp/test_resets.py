"""Resets: which are believed (RFC 5961 §3.2, and what Linux adds), which are sent, and how."""

from __future__ import annotations

import pytest

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.segment import ACK, FIN, RST, format_flags
from tapstack.tcp.state import State
from tests.tcp.pair import A, Host, World
from tests.tcp.test_acknowledging import Sender
from tests.tcp.test_state_segment_grid import T0, Peer


@pytest.mark.parametrize("state", ["CLOSE_WAIT", "LAST_ACK", "CLOSING"])
def test_a_peer_that_does_not_count_its_fin_is_believed_its_reset(state: str) -> None:
    peer = Peer(state, 1000)
    assert peer.inject(RST, peer.rcv_nxt - 1) == []
    assert peer.state() == "-"


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2"])
def test_before_a_fin_a_reset_below_the_window_is_none(state: str) -> None:
    peer = Peer(state, 1000)
    assert peer.inject(RST, peer.rcv_nxt - 1) == []
    assert peer.state() == state


@pytest.mark.parametrize(("sack", "ends"), [(True, True), (False, False)])
def test_a_reset_behind_the_last_text_beyond_a_gap_is_believed_with_sack(
    sack: bool, ends: bool
) -> None:
    sender = Sender(sack=sack)
    sender.text(1000, 1000)
    sender.text(3000, 1000)
    sender.text(2000, 0, RST)
    assert sender.tcb.state is State.ESTABLISHED
    sender.text(4000, 0, RST)
    assert (sender.tcb.state is State.CLOSED) == ends


@pytest.mark.parametrize("fin_acknowledged", [False, True])
def test_text_for_a_user_who_has_shut_both_ways_resets_the_peer(fin_acknowledged: bool) -> None:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    peer.host.tcp.shutdown(peer.tcb, read=True, write=True)
    peer.host.tcp.flush(T0)
    peer.host.sent()
    ack = peer.snd_nxt + fin_acknowledged
    assert peer.inject(ACK, peer.rcv_nxt, ack, b"text") == ["R"]
    assert peer.state() == "-"
    assert peer.host.tcp.take_error(peer.tcb) != 0


def test_a_user_who_has_shut_reading_alone_still_has_text_acknowledged() -> None:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    peer.host.tcp.shutdown(peer.tcb, read=True, write=False)
    assert peer.inject(ACK, peer.rcv_nxt, peer.snd_nxt, b"text") == ["."]
    assert peer.state() == "ESTABLISHED"


# --- the resets that we send --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "flags"),
    [
        ("SYN_SENT", []),
        ("SYN_RECEIVED active", ["R."]),
        ("ESTABLISHED", ["R."]),
        ("FIN_WAIT_1", ["R."]),
        ("FIN_WAIT_2", ["R."]),
        ("CLOSE_WAIT", ["R."]),
        ("CLOSING", []),
        ("LAST_ACK", []),
        ("TIME_WAIT", []),
    ],
)
def test_an_abort_resets_the_peer_where_something_may_still_come(
    state: str, flags: list[str]
) -> None:
    """RFC 9293 §3.10.5."""
    peer = Peer(state, 1000)
    assert peer.tcb is not None
    peer.host.tcp.abort(peer.tcb)
    peer.host.tcp.flush(T0)
    assert [format_flags(s.flags) for s in peer.host.sent()] == flags
    assert peer.state() == "-"


def test_text_unread_resets_even_a_connection_that_is_nearly_over() -> None:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    peer.inject(ACK | FIN, peer.rcv_nxt, peer.snd_nxt, b"unread")
    peer.shut_down()
    assert peer.state() == "LAST_ACK"
    peer.host.sent()
    peer.host.tcp.close(peer.tcb, T0)
    peer.host.tcp.flush(T0)
    assert [format_flags(s.flags) for s in peer.host.sent()] == ["R."]
    assert peer.state() == "-"


def test_a_reset_of_ours_looks_like_any_segment_of_its_connection() -> None:
    world = World()
    client, server = world.pair()
    world.transfer(client, server, bytes(1000))
    world.send(client, bytes(500))
    world.run_for(10 * MILLISECOND)
    world.log.clear()
    world.close(server)
    world.next_instant()
    ((_, _, reset),) = world.log
    assert (reset.seq, reset.ack) == (server.snd_nxt, client.snd_nxt)
    assert reset.options.timestamps is not None
    assert reset.options.timestamps.echo == server.ts_recent
    assert reset.wnd > 0


def test_what_belongs_to_no_connection_is_answered_in_one_piece() -> None:
    pieces: list[bool | None] = []

    class Watched(Host):
        def send_datagram(self, *arguments: object, **options: object) -> None:
            pieces.append(options.get("dont_fragment"))  # type: ignore[arg-type]

    Watched(A).inject(T0, flags=ACK, seq=1, ack=1)
    assert pieces == [True]


# --- orphans ------------------------------------------------------------------------------------


def test_beyond_a_number_of_orphans_one_more_is_reset() -> None:
    world = World(config=TcpConfig(tcp_max_orphans=3))
    listener = world.listen(backlog=20)
    clients = [world.connect() for _ in range(5)]
    world.run(lambda: len(listener.accept_queue) == 5)
    world.log.clear()
    for client in clients:
        world.close(client)
    world.next_instant()
    flags = [format_flags(s.flags) for _, _, s in world.log]
    assert sorted(flags) == ["F."] * 3 + ["R."] * 2
    assert world.a.counters["TcpExtTCPAbortOnMemory"] == 2
    assert sum(client.state is State.FIN_WAIT_1 for client in clients) == 3


def test_orphans_that_end_make_room_for_others() -> None:
    world = World(config=TcpConfig(tcp_max_orphans=1))
    listener = world.listen(backlog=20)
    for _ in range(5):
        client = world.connect()
        world.run(lambda: bool(listener.accept_queue))
        server = world.b.tcp.accept(listener)
        assert server is not None
        world.close(client)
        world.run_for(10 * MILLISECOND)
        world.close(server)
        world.run_for(10 * MILLISECOND)
        assert client.state is State.TIME_WAIT
    assert world.a.counters["TcpExtTCPAbortOnMemory"] == 0
    world.run_for(120 * SECOND)
    assert list(world.a.tcp.connections) == []
