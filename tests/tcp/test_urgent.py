"""Urgent text on the wire (RFC 9293 §3.8.5, RFC 6093): pointers, marks and what hostile ones do."""

from __future__ import annotations

from errno import EAGAIN, EINVAL

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.contracts import URGENT
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.segment import ACK, PSH, SYN, URG
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, Host, World
from tests.tcp.test_state_segment_grid import T0, Peer


def send_urgent(world: World, tcb: Tcb, data: bytes) -> int:
    host = world.host_of(tcb)
    taken = host.tcp.send(tcb, data, world.now, out_of_band=True)
    host.tcp.flush(world.now)
    return taken


def pointers(world: World, since: int = 0) -> list[tuple[int, int]]:
    """List (octets of text, SEG.UP) of what A sent with the URG bit."""
    sent = [segment for _, who, segment in world.log[since:] if who == A]
    assert all(bool(segment.up) == bool(segment.flags & URG) for segment in sent)
    return [(len(segment.text), segment.up) for segment in sent if segment.flags & URG]


# --- sending ------------------------------------------------------------------------------------


def test_the_pointer_points_behind_the_urgent_octet() -> None:
    world = World()
    client, server = world.pair()
    send_urgent(world, client, b"abc!")
    world.run_for(SECOND)
    assert pointers(world) == [(4, 4)]
    assert world.b.tcp.receive_urgent(server) == b"!"
    mark = len(world.log)
    world.send(client, b"plain")
    world.run_for(SECOND)
    assert pointers(world, mark) == []


def test_every_segment_up_to_the_mark_points_at_it() -> None:
    world = World()
    client, server = world.pair()
    data = bytes(range(250)) * 16
    send_urgent(world, client, data)
    world.run_for(SECOND)
    assert pointers(world) == [(1448, 4000), (1448, 2552), (1104, 1104)]
    assert world.b.tcp.receive_urgent(server) == data[-1:]
    assert world.receive(server) == data[:-1]


def test_a_mark_out_of_the_fields_reach_is_announced_from_the_end() -> None:
    world = World(delay=SECOND)
    client, server = world.pair()
    assert send_urgent(world, client, bytes(100_000)) == 100_000
    world.next_instant()
    first = pointers(world)
    assert len(first) == 10, "the initial window"
    assert {up for _, up in first} == {0xFFFF}
    while not world.b.tcp.has_urgent(server):
        world.step()
        world.receive(server)
    assert pointers(world)[-1] == (100_000 % 1448, 100_000 % 1448)


def test_urgent_text_does_not_wait_for_nagle() -> None:
    world = World(delay=50 * MILLISECOND)
    client, server = world.pair()
    world.send(client, b"small")
    send_urgent(world, client, b"!")
    world.run_for(60 * MILLISECOND)
    assert world.b.tcp.receive_urgent(server) == b"!"


def test_a_closed_window_is_told_of_what_is_urgent() -> None:
    world = World()
    client, server = world.pair()
    while server.rcv_wnd > 1000 and (room := client.snd_wnd):
        assert world.send(client, bytes(room)) == room
        world.run_for(100 * MILLISECOND)
    assert client.snd_wnd == 0
    mark = len(world.log)
    send_urgent(world, client, b"abc!")
    world.run_for(SECOND)
    assert pointers(world, mark)[0] == (0, 4)
    with pytest.raises(BlockingIOError):
        world.b.tcp.receive_urgent(server)
    while not world.b.tcp.has_urgent(server):
        assert world.receive(server)
        world.run_for(SECOND)
    assert world.b.tcp.receive_urgent(server) == b"!"


def test_a_retransmission_keeps_the_pointer() -> None:
    lose = {"next": 1}

    def fate(octets: bytes, _: object) -> list[tuple[int, bytes]]:
        if octets[13] & URG and lose["next"]:
            lose["next"] -= 1
            return []
        return [(0, octets)]

    world = World(fate=fate)
    client, server = world.pair()
    send_urgent(world, client, b"abc!")
    world.run_for(SECOND)
    assert pointers(world) == [(4, 4), (4, 4)]
    assert world.b.tcp.receive_urgent(server) == b"!"


# --- receiving ----------------------------------------------------------------------------------


class Reader:
    """The user of an established connection whose peer is made of single segments."""

    def __init__(self, *, stdurg: bool = False, isn: int = 1000) -> None:
        self.peer = Peer("ESTABLISHED", isn)
        self.peer.host.config.tcp_stdurg = stdurg
        assert self.peer.tcb is not None
        self.tcb = self.peer.tcb
        self.tcp = self.peer.host.tcp

    def arrives(self, offset: int, text: bytes, up: int | None = None) -> None:
        self.peer.host.inject(
            T0,
            flags=ACK | PSH | (0 if up is None else URG),
            seq=self.peer.rcv_nxt + offset,
            ack=self.peer.snd_nxt,
            text=text,
            up=up or 0,
        )

    def urgent(self) -> bytes | int | None:
        try:
            return self.tcp.receive_urgent(self.tcb)
        except OSError as error:
            return error.errno

    def read(self) -> bytes | None:
        return self.tcp.receive_text(self.tcb, 1000, T0)


@pytest.mark.parametrize("isn", [1000, 0xFFFFFFFC])
def test_the_octet_before_the_pointer_is_the_urgent_one(isn: int) -> None:
    reader = Reader(isn=isn)
    reader.arrives(0, b"ab!cd", up=3)
    assert reader.urgent() == b"!"
    assert reader.read() == b"ab"
    assert reader.tcp.is_at_mark(reader.tcb)
    assert reader.read() == b"cd"


def test_with_stdurg_it_is_the_octet_at_the_pointer() -> None:
    reader = Reader(stdurg=True)
    reader.arrives(0, b"ab!cd", up=2)
    assert reader.urgent() == b"!"


@pytest.mark.parametrize("stdurg", [False, True])
def test_a_pointer_of_zero_points_at_the_first_octet(stdurg: bool) -> None:
    reader = Reader(stdurg=stdurg)
    reader.arrives(0, b"!bcd", up=0)
    assert reader.urgent() == b"!"
    assert reader.read() == b"bcd"


def test_who_waits_is_told() -> None:
    reader = Reader()
    reader.arrives(0, b"ab!", up=3)
    assert any(events & URGENT for _, events in reader.peer.host.events)


def test_a_mark_past_the_data_is_awaited() -> None:
    reader = Reader()
    reader.arrives(0, b"abc", up=5)
    assert reader.urgent() == EAGAIN
    assert reader.read() == b"abc"
    assert reader.urgent() == EAGAIN
    reader.arrives(3, b"d!ef")
    assert reader.urgent() == b"!"
    assert reader.urgent() == EINVAL
    assert reader.read() == b"d"
    assert reader.read() == b"ef"


def test_a_mark_past_the_data_is_no_end_of_the_stream() -> None:
    reader = Reader()
    reader.arrives(0, b"abc", up=0xFFFF)
    assert reader.read() == b"abc"
    for _ in range(50):
        reader.arrives(reader.tcb.rcv_nxt - reader.peer.rcv_nxt, bytes(1000))
        assert reader.read() == bytes(1000)
    assert reader.urgent() == EAGAIN
    reader.tcp.shutdown(reader.tcb, read=True, write=False)
    assert reader.urgent() == b""


def test_it_is_seen_beyond_a_gap() -> None:
    reader = Reader()
    reader.arrives(3, b"d!", up=2)
    assert reader.urgent() == b"!"
    assert reader.read() is None
    reader.arrives(0, b"abc")
    assert reader.read() == b"abcd"


def test_the_same_pointer_again_is_no_news() -> None:
    reader = Reader()
    reader.arrives(0, b"a!", up=2)
    assert reader.urgent() == b"!"
    reader.arrives(0, b"a!", up=2)
    reader.arrives(1, b"!", up=1)
    assert reader.urgent() == EINVAL
    assert reader.read() == b"a"


def test_an_old_pointer_does_not_come_back() -> None:
    reader = Reader()
    reader.arrives(0, b"a!b", up=2)
    reader.arrives(3, b"!", up=1)
    assert reader.urgent() == b"!"
    reader.arrives(0, b"a!b", up=2)
    assert reader.urgent() == EINVAL
    assert reader.read() == b"a!b"
    assert reader.read() is None


def test_a_closed_window_still_hears_of_what_is_urgent() -> None:
    reader = Reader()
    offset = 0
    while reader.tcb.rcv_wnd > reader.tcb.rcv_nxt - reader.tcb.rcv_wup:
        text = bytes(min(1000, reader.tcb.rcv_wnd))
        reader.arrives(offset, text)
        offset = reader.tcb.rcv_nxt - reader.peer.rcv_nxt
    assert reader.urgent() == EINVAL
    reader.arrives(offset, b"x!", up=2)
    assert reader.urgent() == b"!"
    assert reader.tcb.rcv_nxt - reader.peer.rcv_nxt == offset, "the text found no room"


@pytest.mark.parametrize("state", ["SYN_RECEIVED", "LISTEN", "CLOSE_WAIT", "TIME_WAIT"])
def test_a_pointer_out_of_place_does_nothing(state: str) -> None:
    peer = Peer(state, 1000)
    for up in (0, 1, 0xFFFF):
        peer.host.inject(
            T0, flags=ACK | URG, seq=peer.rcv_nxt + 1, ack=peer.snd_nxt, up=up, text=b"x"
        )
    if peer.tcb is not None:
        assert not peer.host.tcp.has_urgent(peer.tcb)


def test_a_second_mark_gives_the_first_octet_up() -> None:
    reader = Reader()
    reader.arrives(0, b"!", up=1)
    assert reader.urgent() == b"!"
    reader.arrives(1, b"ab?", up=3)
    assert reader.urgent() == b"?"
    assert reader.read() == b"ab"


@pytest.mark.parametrize("seed", range(6))
def test_a_half_open_connection_has_nothing_urgent_wherever_its_numbers_begin(seed: int) -> None:
    host = Host(A, seed=seed)
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 8, UserOptions())
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1000)
    (challenge,) = host.inject(T0, flags=ACK, seq=1000, ack=syn_ack.seq + 1)
    assert (challenge.flags, challenge.up) == (ACK, 0)
