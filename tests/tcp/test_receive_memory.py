"""What received text costs in memory, and what happens when that is used up: as in Linux 6.18."""

from __future__ import annotations

import pytest

from tapstack.base.units import MILLISECOND
from tapstack.tcp.receive_memory import Memory, ReceiveMemory, memory_of
from tapstack.tcp.receive_space import held
from tapstack.tcp.segment import ACK, PSH
from tests.tcp.test_state_segment_grid import T0, Peer

MEASURED = {1: 832, 100: 832, 200: 1280, 600: 1280, 620: 2304, 1460: 2304, 1605: 2304} | {
    2000: 4352, 3500: 4352, 3900: 8448, 4000: 8448, 8000: 12_544, 16_000: 20_736, 65_000: 65_792
}  # fmt: skip


@pytest.mark.parametrize(("text", "charge"), MEASURED.items())
def test_a_segment_costs_what_it_was_measured_to_cost_on_linux(text: int, charge: int) -> None:
    """By SO_MEMINFO, of segments that come from a TUN device with 40 octets of headers."""
    assert memory_of(40 + text).charge == charge


def test_small_text_goes_where_there_is_room_for_it() -> None:
    memory = ReceiveMemory()
    memory.account(100, 100, Memory(832, 52))
    memory.account(150, 50, Memory(832, 102))
    assert memory.charge == 832
    memory.account(153, 3, Memory(832, 149))
    assert memory.charge == 1664
    memory.account(160, 7, Memory(832, 145), alone=True)
    assert memory.charge == 2496


def test_memory_is_given_back_when_all_of_a_segment_is_taken() -> None:
    memory = ReceiveMemory()
    for right in (1000, 2000, 3000):
        memory.account(right, 1000, memory_of(1040))
    memory.release(1999)
    assert memory.charge == 2 * 2304
    memory.release(3000)
    assert memory.charge == 0


def test_who_takes_whole_segments_is_told_where_the_first_ended() -> None:
    memory = ReceiveMemory()
    for right in (1000, 2000, 3000):
        memory.account(right, 1000, memory_of(1040))
    assert memory.release(900) == 900
    assert memory.release(2100) == 1000
    assert memory.release(3000) == 3000


def test_much_small_text_can_be_packed() -> None:
    memory = ReceiveMemory()
    for right in range(10, 10_010, 10):
        memory.account(right, 10, Memory(832, 0))
    memory.release(500)
    memory.collapse(500, lambda charge: charge)
    assert memory.charge == 3 * 4352
    memory.release(500 + 3776)
    assert memory.charge == 2 * 4352


# --- a connection -------------------------------------------------------------------------------


def arrives(peer: Peer, offset: int, length: int, now: int = T0) -> int | None:
    """Let text come in; tell the window of the answer, if there is one at once."""
    text = bytes(length)
    seq = peer.rcv_nxt + offset
    sent = peer.host.inject(now, flags=ACK | PSH, seq=seq, ack=peer.snd_nxt, text=text)
    return sent[-1].wnd << peer.tcb.rcv_wind_shift if sent and peer.tcb else None


def established(buffer: int | None = None) -> Peer:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    if buffer is not None:
        peer.tcb.options.receive_buffer = buffer
        peer.host.tcp.option_changed(peer.tcb, "receive_buffer", T0)
    return peer


def test_a_segment_that_no_memory_is_left_for_is_refused_and_the_window_shut() -> None:
    peer = established(buffer=9000)
    tcb = peer.tcb
    assert tcb is not None
    arrives(peer, 0, 4000)
    arrives(peer, 4000, 4000)
    assert held(tcb) > 9000
    assert arrives(peer, 8000, 3000) == 0  # more than the pages that are charged have left
    assert len(tcb.receive_queue) == 8000
    assert peer.host.counters["TcpExtTCPRcvQDrop"] == 1
    assert peer.host.tcp.receive_text(tcb, 9000, T0) == bytes(8000)
    peer.host.tcp.flush(T0)
    (update,) = peer.host.sent()
    assert update.wnd > 0


def test_a_buffer_that_may_grow_does_so_rather_than_refuse_text() -> None:
    peer = established()
    tcb = peer.tcb
    assert tcb is not None
    for number in range(400):
        arrives(peer, 100 * number, 100, T0 + number * MILLISECOND)
    assert len(tcb.receive_queue) == 40_000
    assert held(tcb) > 131_072
    assert tcb.receive_space.buffer > 131_072
    assert not peer.host.counters["TcpExtTCPRcvQDrop"]


def test_what_lies_farthest_beyond_a_gap_is_given_up_first() -> None:
    """RFC 2018 §8 permits it; what is taken back is reported no more."""
    peer = established(buffer=20_000)
    tcb = peer.tcb
    assert tcb is not None
    for number in range(1, 10):
        arrives(peer, 2000 * number, 1000)
    assert held(tcb) > 20_000
    sent = peer.host.inject(
        T0, flags=ACK | PSH, seq=peer.rcv_nxt, ack=peer.snd_nxt, text=bytes(1000)
    )
    assert sent[-1].ack == peer.rcv_nxt + 1000
    assert peer.host.counters["TcpExtOfoPruned"] == 1
    assert tcb.reassembly.octets < 9000
    assert held(tcb) <= 20_000 + 2304


def test_the_window_follows_what_the_peers_segments_cost() -> None:
    """Segments of 1000 octets are 1000/2304 text: 111/256 of the buffer is offered."""
    peer = established()
    tcb = peer.tcb
    assert tcb is not None
    assert tcb.receive_space.full == 131_072 // 2
    arrives(peer, 0, 1000)
    assert tcb.receive_space.full == 131_072 * 111 // 256
    arrives(peer, 1000, 1448)
    assert tcb.receive_space.full == 131_072 * 160 // 256
    arrives(peer, 2448, 700)
    assert tcb.receive_space.full == 131_072 * 160 // 256, "what is smaller is no news"
