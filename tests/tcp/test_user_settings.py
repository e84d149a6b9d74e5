"""What options do to a connection that stands: pushing, corking, quick ACKs, time-outs, probes."""

from __future__ import annotations

from errno import ETIMEDOUT
from itertools import pairwise

import pytest

from tapstack.base.contracts import READABLE, WRITABLE
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.segment import PSH, RST
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, World
from tests.tcp.test_buffers import set_option

MS = MILLISECOND


class Link:
    """A link that can be cut."""

    def __init__(self) -> None:
        self.dark = False

    def __call__(self, octets: bytes, _: object) -> list[tuple[int, bytes]]:
        return [] if self.dark else [(0, octets)]


def opened(link: Link | None = None, delay: int = 50 * MS, **options: object) -> World:
    """Connect A to B; the ends are `world.client` and `world.server`."""
    world = World(delay=delay, fate=link)
    listener = world.listen()
    client = world.connect(options=UserOptions(**options))  # type: ignore[arg-type]
    world.run(lambda: bool(listener.accept_queue))
    assert world.b.tcp.accept(listener) is not None
    world.run_for(SECOND)
    assert client.state is State.ESTABLISHED
    return world


def ends(world: World) -> tuple[Tcb, Tcb]:
    (client,) = world.a.tcp.connections
    (server,) = world.b.tcp.connections
    return client, server


def sent_since(world: World, mark: int, address: int = A) -> list[tuple[int, int, int]]:
    """List (ms since the call, octets of text, flags) of what a host put on the wire."""
    world.next_instant()
    return [
        ((when - world.log[mark - 1][0]) // MS, len(segment.text), segment.flags)
        for when, who, segment in world.log[mark:]
        if who == address
    ]


def texts(world: World, mark: int) -> list[int]:
    return [length for _, length, _ in sent_since(world, mark) if length]


def send_more(world: World, tcb: Tcb, data: bytes) -> None:
    world.a.tcp.send(tcb, data, world.now, more=True)
    world.a.tcp.flush(world.now)


# --- corking ------------------------------------------------------------------------------------


def test_uncorking_sends_what_waited() -> None:
    world = opened(cork=True)
    client, _ = ends(world)
    mark = len(world.log)
    world.send(client, bytes(1448 + 10))
    assert texts(world, mark) == [1448]
    set_option(world, client, "cork", False)
    assert texts(world, mark) == [1448, 10] or client.sent.packets_out == 1
    world.run_for(SECOND)
    assert texts(world, mark) == [1448, 10]


def test_nodelay_pushes_once_what_is_corked() -> None:
    world = opened(cork=True)
    client, _ = ends(world)
    mark = len(world.log)
    world.send(client, b"first")
    assert texts(world, mark) == []
    set_option(world, client, "nodelay", True)
    assert texts(world, mark) == [5]
    world.send(client, b"second")
    assert texts(world, mark) == [5], "the cork is still there"
    set_option(world, client, "cork", False)
    assert texts(world, mark) == [5, 6], "and nodelay was remembered"


def test_turning_nodelay_on_sends_what_nagle_held_back() -> None:
    world = opened()
    client, _ = ends(world)
    mark = len(world.log)
    world.send(client, b"a")
    world.send(client, b"bc")
    assert texts(world, mark) == [1]
    set_option(world, client, "nodelay", True)
    assert texts(world, mark) == [1, 2]


def test_an_option_without_effect_leaves_all_as_it_was() -> None:
    world = opened()
    client, server = ends(world)
    client.acks.interactive = True
    mark = len(world.log)
    world.send(client, b"a")
    world.send(client, b"bc")
    for name, value in (("keepintvl", 5), ("user_timeout", 5000), ("nodelay", False)):
        set_option(world, client, name, value)
    assert texts(world, mark) == [1]
    assert client.acks.interactive
    assert server.state is State.ESTABLISHED


def test_more_is_waited_for() -> None:
    world = opened(nodelay=True)
    client, _ = ends(world)
    mark = len(world.log)
    send_more(world, client, b"head")
    send_more(world, client, b"er")
    assert texts(world, mark) == []
    world.send(client, b"body")
    assert texts(world, mark) == [10]


def test_a_full_segment_does_not_wait_for_more_and_pushes_nothing() -> None:
    world = opened()
    client, _ = ends(world)
    mark = len(world.log)
    send_more(world, client, bytes(1448))
    assert [flags & PSH for _, length, flags in sent_since(world, mark) if length] == [0]


def test_units_of_several_segments_are_pushed() -> None:
    """As Linux's are: a receiver who joins what arrives together is to hand it on."""
    world = opened()
    client, _ = ends(world)
    mark = len(world.log)
    send_more(world, client, bytes(2 * 1448))
    assert [flags & PSH for _, length, flags in sent_since(world, mark) if length] == [0, PSH]


@pytest.mark.parametrize("how", ["cork", "more"])
def test_what_is_held_back_leaves_after_an_rto_at_most(how: str) -> None:
    world = opened(cork=how == "cork")
    client, server = ends(world)
    mark = len(world.log)
    start = world.now
    send_more(world, client, b"part")
    rto = client.rtt.rto
    world.run_for(5 * SECOND)
    (when,) = [when for when, who, s in world.log[mark:] if who == A and s.text]
    assert when - start == rto
    assert world.receive(server) == b"part"
    assert client.backoff == client.probes_out == 0, "it was no probe of a closed window"


def test_an_ack_lets_go_what_more_held_back() -> None:
    world = opened()
    client, _ = ends(world)
    mark = len(world.log)
    world.send(client, b"first")
    send_more(world, client, b"second")
    world.run_for(150 * MS)
    assert texts(world, mark) == [5, 6]


# --- acknowledgments ----------------------------------------------------------------------------


def test_quickack_acknowledges_what_is_owed_and_can_be_turned_off() -> None:
    world = opened()
    client, server = ends(world)
    set_option(world, server, "quickack", False)
    assert server.acks.interactive
    world.send(client, b"x")
    world.run_for(60 * MS)
    mark = len(world.log)
    assert world.receive(server) == b"x"
    assert sent_since(world, mark, B) == []
    set_option(world, server, "quickack", True)
    assert len(sent_since(world, mark, B)) == 1
    assert not server.acks.interactive


def test_taking_all_of_a_message_acknowledges_it() -> None:
    world = opened()
    client, server = ends(world)
    world.send(client, b"hello")
    world.run(lambda: len(server.receive_queue) == 5)
    assert world.receive(server) == b"hello"
    world.run_for(100 * MS)
    server.acks.quick = 0
    world.send(client, b"question")
    world.run(lambda: len(server.receive_queue) == 8)
    world.next_instant()
    mark = len(world.log)
    assert world.receive(server, 4) == b"ques"
    assert sent_since(world, mark, B) == []
    assert world.receive(server, 4) == b"tion"
    assert len(sent_since(world, mark, B)) == 1


# --- waking -------------------------------------------------------------------------------------


def test_marks_and_buffers_that_are_moved_wake_who_waits() -> None:
    world = opened(send_buffer=5000)
    client, _ = ends(world)
    world.send(client, bytes(50_000))
    world.a.events.clear()
    set_option(world, client, "send_buffer", 100_000)
    assert any(events & WRITABLE for _, events in world.a.events)
    assert client.send_space == 100_000
    world.a.events.clear()
    set_option(world, client, "rcvlowat", 10)
    assert any(events & READABLE for _, events in world.a.events)


# --- TCP_USER_TIMEOUT ---------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [1000, 3000, 10_000])
def test_the_user_timeout_counts_from_the_first_retransmission(timeout: int) -> None:
    link = Link()
    world = opened(link, user_timeout=timeout)
    client, _ = ends(world)
    link.dark = True
    start, first = world.now, client.rto()
    world.send(client, b"into the void")
    # A probe of the tail goes before, and has the RTO count from it.
    world.run(lambda: client.retransmits == 1)
    first = world.now - start
    world.run(lambda: client.state is State.CLOSED)
    assert world.now - start == first + timeout * MS
    assert client.error == ETIMEDOUT


def test_the_user_timeout_ends_a_connection_attempt() -> None:
    link = Link()
    link.dark = True
    world = World(fate=link)
    client = world.connect(options=UserOptions(user_timeout=2500))
    start = world.now
    world.run(lambda: client.state is State.CLOSED)
    assert world.now - start == 2500 * MS
    assert client.error == ETIMEDOUT


def test_the_user_timeout_ends_the_probing_of_a_closed_window_though_it_is_answered() -> None:
    world = opened(user_timeout=5000)
    client, server = ends(world)
    while world.send(client, bytes(100_000)):
        world.run_for(100 * MS)
    world.run(lambda: client.state is State.CLOSED)
    assert client.error == ETIMEDOUT
    assert server.state is State.ESTABLISHED
    assert client.probing_since is not None
    assert world.now - client.probing_since == 5 * SECOND


def test_a_longer_user_timeout_outlives_the_retries() -> None:
    link = Link()
    world = opened(link, user_timeout=2_000_000)
    client, _ = ends(world)
    link.dark = True
    start = world.now
    world.send(client, b"x")
    world.run(lambda: client.state is State.CLOSED)
    assert 2000 * SECOND < world.now - start < 2001 * SECOND


# --- closed windows -----------------------------------------------------------------------------


def test_probes_wait_from_their_answers_on() -> None:
    world = opened()
    client, _ = ends(world)
    while world.send(client, bytes(100_000)):
        world.run_for(100 * MS)
    world.run(lambda: client.snd_wnd == 0 and not client.sent)
    mark = len(world.log)
    world.run_for(60 * SECOND)
    probes = [when for when, who, _ in world.log[mark:] if who == A]
    rto = client.rtt.rto
    gaps = [b - a for a, b in pairwise(probes)]
    # The answer comes after a round trip, and begins the wait anew.
    assert gaps[:4] == [100 * MS + (rto << n) for n in range(1, 5)]


def test_an_orphan_does_not_probe_for_ever_though_it_is_answered() -> None:
    world = opened()
    client, server = ends(world)
    while world.send(client, bytes(100_000)):
        world.run_for(100 * MS)
    world.run_for(SECOND)
    world.close(client)
    start = world.now
    world.run(lambda: client.state is State.CLOSED)
    assert world.now - start < 600 * SECOND
    assert server.state is State.ESTABLISHED


# --- keep-alive ---------------------------------------------------------------------------------


def test_keepalive_gives_up_after_its_probes() -> None:
    link = Link()
    world = opened(link)
    client, _ = ends(world)
    for name, value in (("keepidle", 10), ("keepintvl", 2), ("keepcnt", 3)):
        set_option(world, client, name, value)
    quiet_since = client.last_received_at
    link.dark = True
    mark = len(world.log)
    set_option(world, client, "keepalive", True)
    start = world.now
    world.run(lambda: client.state is State.CLOSED)
    probes = [when - start for when, who, s in world.log[mark:] if who == A and not s.flags & RST]
    assert [when // SECOND for when in probes] == [10, 12, 14]
    assert world.now - start == 16 * SECOND
    assert quiet_since < start
    assert client.error == ETIMEDOUT
    world.next_instant()
    assert world.log[-1][2].flags & RST


def test_keepalive_is_turned_off_and_on_while_it_runs() -> None:
    world = opened(keepalive=True, keepidle=10)
    client, _ = ends(world)
    deadline = client.keepalive_timer.deadline
    set_option(world, client, "keepalive", True)
    assert client.keepalive_timer.deadline == deadline, "it runs already"
    set_option(world, client, "keepalive", False)
    assert client.keepalive_timer.deadline is None
    set_option(world, client, "keepidle", 5)
    assert client.keepalive_timer.deadline is None
    set_option(world, client, "keepalive", True)
    assert client.keepalive_timer.deadline == world.now + 5 * SECOND


def test_another_idle_time_counts_the_silence_so_far() -> None:
    world = opened(keepalive=True, keepidle=100)
    client, _ = ends(world)
    world.run_for(20 * SECOND)
    set_option(world, client, "keepidle", 30)
    assert client.keepalive_timer.deadline == client.last_received_at + 30 * SECOND
    set_option(world, client, "keepidle", 10)
    assert client.keepalive_timer.deadline == world.now


def test_the_user_timeout_takes_the_place_of_the_count_of_probes() -> None:
    link = Link()
    world = opened(link, keepidle=10, keepintvl=2, keepcnt=1, user_timeout=25_000)
    client, _ = ends(world)
    set_option(world, client, "keepalive", True)
    link.dark = True
    since = client.last_received_at
    world.run(lambda: client.state is State.CLOSED)
    assert 25 * SECOND <= world.now - since < 28 * SECOND
    assert client.error == ETIMEDOUT


# --- the size of segments -----------------------------------------------------------------------


def test_maxseg_counts_both_ways_and_only_before_the_handshake() -> None:
    world = opened(maxseg=700)
    client, server = ends(world)
    assert world.log[0][2].options.mss == 700
    assert client.effective_mss == server.effective_mss == 700 - 12
    set_option(world, client, "maxseg", 100)
    mark = len(world.log)
    world.send(client, bytes(688))
    assert texts(world, mark) == [688]


# --- how long is waited -------------------------------------------------------------------------


def gaps_of_retransmissions(world: World, link: Link, count: int) -> list[int]:
    """Cut the link, send an octet, and give the ms between its transmissions."""
    client, _ = ends(world)
    link.dark = True
    mark = len(world.log)
    world.send(client, b"x")
    world.run(lambda: len(sent_since(world, mark)) > count)
    times = [time for time, *_ in sent_since(world, mark)]
    return [later - sooner for sooner, later in pairwise(times)]


def test_the_longest_timeout_is_the_user_s() -> None:
    link = Link()
    world = opened(link, rto_max=1000 * MS)
    assert gaps_of_retransmissions(world, link, 8)[-3:] == [1000] * 3


def test_the_longest_timeout_may_be_set_later() -> None:
    link = Link()
    world = opened(link)
    set_option(world, ends(world)[0], "rto_max", 2000 * MS)
    assert gaps_of_retransmissions(world, link, 9)[-3:] == [2000] * 3


def test_the_least_variance_is_the_user_s() -> None:
    world = opened()
    client, server = ends(world)
    set_option(world, client, "rto_min", 8 * MS)
    for _ in range(30):
        world.transfer(client, server, bytes(100))
        world.run_for(SECOND)
    assert client.rtt.srtt < client.rtt.rto < client.rtt.srtt + 50 * MS


def test_thin_streams_may_time_out_without_backing_off() -> None:
    link = Link()
    world = opened(link, thin_linear_timeouts=True)
    client, _ = ends(world)
    client.window.ssthresh = 20  # as after a loss: the first slow start is over
    gaps = gaps_of_retransmissions(world, link, 9)
    linear = gaps[1:7]  # the first is the tail loss probe's
    assert len(set(linear)) == 1
    assert gaps[-1] > linear[-1]


@pytest.mark.parametrize(("longest", "delay"), [(8 * MS, 8), (0, 40)])
def test_the_longest_delay_of_an_ack_is_the_user_s(longest: int, delay: int) -> None:
    world = opened(delay=0)
    client, server = ends(world)
    server.options.delack_max = longest
    set_option(world, server, "quickack", False)
    mark = len(world.log)
    world.send(client, b"x")
    world.run(lambda: bool(sent_since(world, mark, B)))
    times = [when for when, who, _ in world.log[mark:]]
    assert (times[-1] - times[0]) // MS == delay
