"""Windows (RFC 9293 §3.8.6): closing, probing, opening; Nagle, SWS avoidance, delayed ACKs."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, strategies as st

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.receive_space import MAX_UNSCALED, ReceiveSpace
from tapstack.tcp.receive_window import select_window, wanted_window
from tapstack.tcp.segment import ACK, FIN, PSH, Options
from tapstack.tcp.state import State
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, World
from tests.tcp.test_state_segment_grid import T0, Peer


def sent_by(world: World, address: int, since: int = 0) -> list[tuple[int, int]]:
    """List (when, octets of text) of what a host put on the wire."""
    return [(t, len(s.text)) for t, who, s in world.log[since:] if who == address]


def offered_by(world: World, address: int) -> int:
    """Give the window field that a host sent last."""
    return [s.wnd for _, who, s in world.log if who == address][-1]


# --- the peer's window ----------------------------------------------------------------------


def test_a_full_receiver_closes_the_window_and_reading_opens_it_again() -> None:
    world = World()
    client, server = world.pair()
    data = b"w" * 1_000_000
    sent = world.send(client, data)
    world.run_for(SECOND)
    assert offered_by(world, B) == 0
    assert len(server.receive_queue) < sent
    got = world.receive(server) or b""
    world.next_instant()
    assert offered_by(world, B) > 0
    while len(got) < sent:
        got += world.receive(server) or b""
        world.step()
    assert got == data[:sent]


def test_a_closed_window_is_probed_ever_more_rarely_and_the_connection_survives() -> None:
    world = World(delay=0)
    client, server = world.pair()
    while world.send(client, b"p" * 100_000):
        world.run_for(10 * MILLISECOND)
    world.run_for(SECOND)
    mark = len(world.log)
    world.run_for(600 * SECOND)
    assert client.state is State.ESTABLISHED
    probes = [when for when, _ in sent_by(world, A, mark)]
    gaps = [b - a for a, b in pairwise(probes)]
    assert all(b >= a for a, b in pairwise(gaps))
    assert max(gaps) == 120 * SECOND
    assert len(probes) < 20
    assert all(length == 0 for _, length in sent_by(world, A, mark))
    # Once the user reads, text flows at once: the receiver says so by itself.
    taken = world.receive(server, 1 << 22)
    assert taken
    mark = len(world.log)
    world.run_for(SECOND)
    assert any(length for _, length in sent_by(world, A, mark))


def test_a_lost_window_update_is_made_good_by_the_next_probe() -> None:
    lost = {"on": False}
    world = World(delay=0, fate=lambda octets, random: [] if lost["on"] else [(0, octets)])
    client, server = world.pair()
    while world.send(client, b"p" * 100_000):
        world.run_for(10 * MILLISECOND)
    world.run_for(SECOND)
    lost["on"] = True
    assert world.receive(server, 1 << 22)
    world.next_instant()
    lost["on"] = False
    mark = len(world.log)
    world.run_for(10 * SECOND)
    assert any(length for _, length in sent_by(world, A, mark))


def test_a_window_smaller_than_a_segment_is_left_alone_until_the_override_timeout() -> None:
    peer = Peer("ESTABLISHED", 1000)
    host, tcb = peer.host, peer.tcb
    assert tcb is not None
    host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, text=b".")
    host.inject(T0, flags=ACK, seq=peer.rcv_nxt + 1, ack=peer.snd_nxt, wnd=100)
    host.tcp.send(tcb, b"x" * 1000, T0)
    host.tcp.flush(T0)
    assert host.sent() == []
    deadline = host.timers.next_deadline()
    assert deadline is not None
    host.expire(deadline)
    (segment,) = host.sent()
    assert len(segment.text) == 100


def test_a_shrunk_window_holds_new_text_back_and_breaks_nothing() -> None:
    peer = Peer("ESTABLISHED", 1000)
    host, tcb = peer.host, peer.tcb
    assert tcb is not None
    host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, text=b".")
    host.inject(T0, flags=ACK, seq=peer.rcv_nxt + 1, ack=peer.snd_nxt, wnd=5000)
    host.tcp.send(tcb, b"x" * 20_000, T0)
    host.tcp.flush(T0)
    assert sum(len(s.text) for s in host.sent()) <= 5000
    shrunk = host.inject(T0, flags=ACK, seq=peer.rcv_nxt + 1, ack=peer.snd_nxt + 1460, wnd=100)
    assert shrunk == []
    opened = host.inject(T0, flags=ACK, seq=peer.rcv_nxt + 1, ack=peer.snd_nxt + 1460, wnd=9000)
    assert sum(len(s.text) for s in opened) > 0


def test_a_window_that_shrinks_without_anything_new_is_not_believed() -> None:
    """As Linux has it: the segment may be older than the last."""
    peer = Peer("ESTABLISHED", 1000)
    for wnd, believed in ((5000, False), (65_535, True), (0, True), (100, True), (50, False)):
        before = peer.tcb.snd_wnd
        peer.host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=wnd)
        assert peer.tcb.snd_wnd == (wnd if believed else before)


def test_an_old_segment_does_not_change_the_window() -> None:
    peer = Peer("ESTABLISHED", 1000)
    host, tcb = peer.host, peer.tcb
    assert tcb is not None
    host.inject(T0, flags=ACK | PSH, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=5000, text=b"ab")
    host.inject(T0, flags=ACK, seq=peer.rcv_nxt + 2, ack=peer.snd_nxt, wnd=7000)
    host.inject(T0, flags=ACK | PSH, seq=peer.rcv_nxt, ack=peer.snd_nxt, wnd=1, text=b"abc")
    assert tcb.snd_wnd == 7000


# --- Nagle, cork ----------------------------------------------------------------------------


def test_nagle_sends_one_small_segment_a_round_trip() -> None:
    world = World(delay=10 * MILLISECOND)
    client, _ = world.pair()
    mark = len(world.log)
    for octet in b"abcdef":
        world.send(client, bytes([octet]))
    world.run_for(SECOND)
    assert [n for _, n in sent_by(world, A, mark) if n] == [1, 5]


def test_nodelay_sends_every_write_at_once() -> None:
    world = World(delay=10 * MILLISECOND)
    world.listen()
    client = world.connect(options=UserOptions(nodelay=True))
    world.run(lambda: client.state is State.ESTABLISHED)
    mark = len(world.log)
    for octet in b"abcdef":
        world.send(client, bytes([octet]))
    world.run_for(SECOND)
    assert [n for _, n in sent_by(world, A, mark) if n] == [1] * 6


def test_a_full_segment_never_waits_for_nagle() -> None:
    world = World(delay=10 * MILLISECOND)
    client, _ = world.pair()
    mark = len(world.log)
    world.send(client, b"a")
    world.send(client, b"b" * (2 * client.effective_mss + 7))
    world.next_instant()
    mss = client.effective_mss
    assert [n for _, n in sent_by(world, A, mark)] == [1, mss, mss]


def test_cork_holds_a_partial_segment_for_200_ms_at_most() -> None:
    world = World(delay=MILLISECOND)
    world.listen()
    client = world.connect(options=UserOptions(cork=True))
    world.run(lambda: client.state is State.ESTABLISHED)
    start, mark = world.now, len(world.log)
    world.send(client, b"part")
    world.run_for(SECOND)
    times = [(when - start) // MILLISECOND for when, n in sent_by(world, A, mark) if n]
    assert len(times) == 1
    assert 199 <= times[0] <= 210


# --- acknowledgments ------------------------------------------------------------------------


def test_the_first_acks_are_quick_and_later_ones_are_delayed_by_40_ms() -> None:
    peer = Peer("ESTABLISHED", 1000)
    host, now = peer.host, T0
    delays = []
    for index in range(30):
        now += 10 * MILLISECOND
        seq = peer.rcv_nxt + index
        answer = host.inject(now, flags=ACK | PSH, seq=seq, ack=peer.snd_nxt, text=b"x")
        if answer:
            delays.append(0)
        else:
            deadline = host.timers.next_deadline()
            assert deadline is not None
            delays.append(deadline - now)
            host.expire(deadline)
            now = deadline
            assert len(host.sent()) == 1
    assert delays[:16] == [0] * 16
    assert delays[16] == 40 * MILLISECOND
    assert set(delays[17:]) <= {0} | set(range(40 * MILLISECOND, 200 * MILLISECOND + 1))


def test_a_fin_before_any_text_is_acknowledged_without_delay() -> None:
    """As Linux does, which begins to delay ACKs with the first text."""
    peer = Peer("ESTABLISHED", 1000)
    peer.host.inject(T0, flags=ACK | FIN, seq=peer.rcv_nxt, ack=peer.snd_nxt)
    assert peer.host.timers.next_deadline() == T0


def test_at_least_every_second_full_segment_is_acknowledged() -> None:
    world = World(delay=MILLISECOND)
    client, server = world.pair()
    data = b"x" * 400_000
    mark = len(world.log)
    assert world.transfer(client, server, data) == data
    unacked = 0
    for _, who, segment in world.log[mark:]:
        unacked = unacked + 1 if who == A and segment.text else 0 if who == B else unacked
    acks = sum(1 for _, who, _ in world.log[mark:] if who == B)
    texts = sum(1 for _, who, s in world.log[mark:] if who == A and s.text)
    assert acks * 2 >= texts


def test_a_gap_is_acknowledged_at_once_with_sack_and_so_is_its_filling() -> None:
    peer = Peer("CLOSED", 1000)
    peer.listen()
    host, now = peer.host, T0
    offered = Options(mss=1000, sack_permitted=True)
    (syn_ack,) = host.inject(now, flags=0x02, seq=1000, options=offered)
    una = syn_ack.seq + 1
    host.inject(now, flags=ACK, seq=1001, ack=una)
    (dup,) = host.inject(now, flags=ACK, seq=1101, ack=una, text=b"b" * 100)
    assert dup.ack == 1001
    assert dup.options.sack == ((1101, 1201),)
    (more,) = host.inject(now, flags=ACK, seq=1301, ack=una, text=b"d" * 100)
    assert more.options.sack == ((1301, 1401), (1101, 1201))
    (again,) = host.inject(now, flags=ACK, seq=1301, ack=una, text=b"d" * 100)
    assert again.options.sack[0] == (1301, 1401)  # a D-SACK, then the block that holds it
    (filled,) = host.inject(now, flags=ACK, seq=1001, ack=una, text=b"a" * 100)
    assert filled.ack == 1201
    assert filled.options.sack == ((1301, 1401),)
    (tcb,) = host.tcp.connections
    assert host.tcp.receive_text(tcb, 1000, now) == b"a" * 100 + b"b" * 100


def test_an_ack_rides_on_text_that_answers() -> None:
    world = World(delay=MILLISECOND)
    client, server = world.pair()
    mark = len(world.log)
    for _ in range(20):
        world.send(client, b"ping")
        world.run(lambda: len(server.receive_queue) == 4)
        assert world.receive(server) == b"ping"
        world.send(server, b"pong")
        world.run(lambda: len(client.receive_queue) == 4)
        assert world.receive(client) == b"pong"
    texts = [n for _, n in sent_by(world, A, mark) + sent_by(world, B, mark) if n]
    empty = [n for _, n in sent_by(world, A, mark) + sent_by(world, B, mark) if not n]
    assert len(texts) == 40
    assert len(empty) <= 6


def test_invalid_segments_are_answered_twice_a_second_at_most() -> None:
    peer = Peer("ESTABLISHED", 1000)
    answers = 0
    for index in range(100):
        now = T0 + index * 10 * MILLISECOND
        answers += len(peer.host.inject(now, flags=ACK, seq=peer.rcv_nxt - 1, ack=peer.snd_nxt))
    assert answers == 2


@given(
    buffer=st.sampled_from([2304, 20_000, 131_072, 6_291_456]),
    shrinks=st.booleans(),
    share=st.integers(1, 256),
    clamp=st.integers(1152, 1 << 30),
    threshold=st.integers(0, 1 << 23),
    taken=st.integers(0, 200),
    shift=st.integers(0, 14),
    offered=st.integers(0, 1 << 20),
    used=st.integers(0, 1 << 20),
)
def test_whatever_is_free_the_window_is_what_is_wanted_or_was_offered(
    buffer: int,
    shrinks: bool,
    share: int,
    clamp: int,
    threshold: int,
    taken: int,
    shift: int,
    offered: int,
    used: int,
) -> None:
    """Whether the window is chosen at one look or by all the rules: RFC 9293 SHLD-14."""
    tcb, _ = World().pair()
    tcb.receive_space = ReceiveSpace(buffer, clamp, shrinks, share, threshold)
    tcb.receive_queue.charge = buffer * taken // 100
    tcb.rcv_wind_shift, tcb.rcv_wnd = shift, offered
    tcb.rcv_wup = (tcb.rcv_nxt - min(used, offered)) % 2**32
    wanted, unit = wanted_window(tcb), 1 << shift
    left = offered - min(used, offered)
    if wanted < left and not (shrinks and shift):
        wanted = -(-left // unit) * unit
    most = MAX_UNSCALED << shift if shift else wanted
    assert select_window(tcb) == min(wanted, most)
