"""Accurate ECN feedback (RFC 9768): asked for, agreed on, counted at one end and read at the other.

What a single end says is in the scripts of `tests/drill/accecn`, most of which Linux passes, too.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.expected_turn import take_expected_turn
from tapstack.tcp.options import MAX_LENGTH, build_options, counters_length, parse_options
from tapstack.tcp.segment import (
    ACE,
    ACE_SHIFT,
    ACK,
    AE,
    CE,
    CWR,
    ECE,
    ECT_0,
    ECT_1,
    NOT_ECT,
    SYN,
    EcnCounters,
    Options,
    SackBlock,
    Segment,
    Timestamps,
)
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tapstack.tcp.wire import parse
from tests.tcp.pair import A, B, Host, Wire, World, tos_of

RTT = 20 * MILLISECOND
ASKS = AE | CWR | ECE
OLDER = CWR | ECE


def ace(flags: int) -> int:
    return (flags & ACE) >> ACE_SHIFT


class Router:
    """A link that marks some segments, or every so many, that can be marked."""

    def __init__(self, every: int = 0) -> None:
        self.every = every
        self.loses: Callable[[Segment], bool] = lambda seg: False
        self.marks: set[int] = set()
        self.passed = 0
        self.marked = 0
        self.octets = 0

    def __call__(self, octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        seg = parse(octets)
        assert isinstance(octets, Wire)
        if self.loses(seg):
            return []
        if not seg.text or tos_of(octets) & 3 == NOT_ECT:
            return [(0, octets)]
        self.passed += 1
        if self.passed not in self.marks and (not self.every or self.passed % self.every):
            return [(0, octets)]
        self.marked += 1
        self.octets += len(seg.text)
        return [(0, octets.marked(tos_of(octets) | CE))]


def connected(
    client_ecn: int = 3, server_ecn: int = 3, every: int = 0
) -> tuple[World, Router, Tcb, Tcb]:
    router = Router(every)
    world = World(delay=RTT // 2, fate=router)
    world.a.config.tcp_ecn = client_ecn
    world.b.config.tcp_ecn = server_ecn
    return world, router, *world.pair()


def sent_by(world: World, address: int) -> list[Segment]:
    return [seg for _, sender, seg in world.log if sender == address]


# --- the handshake (§3.1) -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "server", "offer", "feedback"),
    [
        *((3, server, ASKS, "accurate") for server in (3, 4, 5)),
        *((3, server, ASKS, "older") for server in (1, 2)),
        (3, 0, ASKS, "none"),
        *((client, 3, OLDER, "older") for client in (1, 4)),
        *((client, 3, 0, "none") for client in (0, 2, 5)),
    ],
)
def test_both_ends_settle_on_what_both_can(
    client: int, server: int, offer: int, feedback: str
) -> None:
    world, _, ours, theirs = connected(client, server)
    syn, syn_ack = world.log[0][2], world.log[1][2]
    assert syn.flags == SYN | offer
    assert syn.ecn == syn_ack.ecn == NOT_ECT
    for end in (ours, theirs):
        assert end.ecn is (feedback != "none")
        assert (end.accecn is not None) is (feedback == "accurate")
    assert syn_ack.flags & ACE == {"accurate": CWR, "older": ECE, "none": 0}[feedback]


@pytest.mark.parametrize("codepoint", [NOT_ECT, ECT_1, ECT_0, CE])
@pytest.mark.parametrize("bits", [AE, CWR, ECE, AE | CWR, AE | ECE, ASKS])
def test_whatever_else_a_syn_says_asks_and_is_told_how_it_came(bits: int, codepoint: int) -> None:
    host = Host(A)
    host.tcp.config.tcp_ecn = 5
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 8, UserOptions())
    (syn_ack,) = host.inject(0, flags=SYN | bits, tos=codepoint)
    assert syn_ack.flags & ~ACE == SYN | ACK
    assert ace(syn_ack.flags) == {NOT_ECT: 2, ECT_1: 3, ECT_0: 4, CE: 6}[codepoint]
    assert syn_ack.options.ecn == EcnCounters((1, 0, 1))


def test_a_simultaneous_open_agrees_by_two_askers() -> None:
    host = Host(A)
    host.tcp.config.tcp_ecn = 3
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(), 0)
    host.tcp.flush(0)
    (syn,) = host.sent()
    (syn_ack,) = host.inject(0, sport=80, dport=syn.source_port, flags=SYN | ASKS, seq=7, tos=ECT_0)
    assert ace(syn_ack.flags) == 4
    assert tcb.accecn is not None


def test_a_syn_asks_twice_before_it_goes_without() -> None:
    router = Router()
    world = World(fate=router)
    world.a.config.tcp_ecn = world.b.config.tcp_ecn = 3
    router.loses = lambda seg: bool(seg.flags & AE and seg.flags & SYN and not seg.flags & ACK)
    client, server = world.pair()
    assert [ace(seg.flags) for seg in sent_by(world, A)[:3]] == [7, 7, 0]
    assert not client.ecn
    assert not server.ecn


# --- all the way --------------------------------------------------------------------------------


def test_what_one_end_counts_the_other_reads() -> None:
    world, router, client, server = connected(every=7)
    octets = world.transfer(client, server, bytes(300_000))
    assert octets == bytes(300_000)
    world.run_for(RTT)
    assert router.marked > 20
    assert server.statistics.received_ce == router.marked
    assert client.statistics.delivered_ce == router.marked
    assert client.accecn is not None
    assert client.accecn.delivered_octets[CE] == router.octets
    assert client.accecn.delivered_octets[ECT_0] == 300_000 - router.octets
    assert not client.accecn.failures
    assert client.statistics.total_retrans == 0


@pytest.mark.slow
@given(
    marks=st.sets(st.integers(1, 120)),
    acks_lost=st.sets(st.integers(1, 60)),
    option=st.sampled_from([1, 2]),
    stamped=st.booleans(),
)
@settings(max_examples=60)
def test_lost_acks_do_not_make_the_ends_differ(
    marks: set[int], acks_lost: set[int], option: int, stamped: bool
) -> None:
    router = Router()
    router.marks = marks
    seen = 0

    def loses(seg: Segment) -> bool:
        nonlocal seen
        if seg.source_port != 80 or seg.flags & SYN:
            return False
        seen += 1
        return seen in acks_lost

    router.loses = loses
    world = World(delay=RTT // 2, fate=router)
    for host in (world.a, world.b):
        host.config.tcp_ecn, host.config.tcp_ecn_option = 3, option
        host.config.tcp_timestamps = int(stamped)
    client, server = world.pair()
    world.transfer(client, server, bytes(150_000))
    acks_lost.clear()
    world.transfer(client, server, bytes(1000))
    world.run_for(SECOND)
    # What came again for want of an ACK may lie below the window, where nothing is counted.
    received = server.statistics
    assert received.received_ce <= router.marked
    # "safest": where ACE may have wrapped unseen, too many are supposed rather than too few.
    surplus = client.statistics.delivered_ce - received.received_ce
    assert surplus % 8 == 0
    assert surplus >= 0 or option == 2
    if option == 2:
        assert client.accecn is not None
        assert client.accecn.delivered_octets[CE] == received.received_octets[CE]


def test_every_mark_is_a_reduction_at_most_once_a_round_trip() -> None:
    world, _, client, server = connected(every=40)
    reductions, ssthresh = [], client.window.ssthresh
    end = world.now + 2 * SECOND
    while world.now < end:
        world.send(client, bytes(100_000))
        world.receive(server)
        assert world.step()
        if client.window.ssthresh != ssthresh:
            reductions.append(world.now)
        ssthresh = client.window.ssthresh
    assert len(reductions) > 3
    assert all(later - earlier >= RTT for earlier, later in pairwise(reductions))


def test_ace_belongs_to_every_segment_of_a_unit() -> None:
    world, router, client, server = connected()
    router.every = 1
    world.transfer(server, client, bytes(1000))  # ACE is 6 then, which has the bit of CWR
    router.every, seen = 0, len(world.log)
    world.transfer(client, server, bytes(20_000))
    unit = [seg for _, sender, seg in world.log[seen:] if sender == A and seg.text]
    assert len(unit) > 10
    assert {ace(seg.flags) for seg in unit} == {6}


def test_nothing_is_capable_where_the_handshake_was_tampered_with() -> None:
    host = Host(A)
    host.tcp.config.tcp_ecn = 3
    listener = host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 8, UserOptions())
    (syn_ack,) = host.inject(0, flags=SYN | ASKS, seq=9)
    host.inject(0, flags=ACK, seq=10, ack=syn_ack.seq + 1)
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    host.tcp.send(tcb, b"text", 0)
    host.tcp.flush(0)
    (text,) = host.sent()
    assert text.ecn == NOT_ECT
    assert ace(text.flags) == 5
    (answer,) = host.inject(0, flags=ACK, seq=10, ack=syn_ack.seq + 5, text=b"x", tos=CE)
    assert ace(answer.flags) == 6


def test_the_short_way_has_the_steps_look_at_a_final_ack() -> None:
    host = Host(A)
    host.tcp.config.tcp_ecn = 5
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 8, UserOptions())
    options = Options(1460, 7, True, Timestamps(100, 0))
    (syn_ack,) = host.inject(0, flags=SYN | ASKS, seq=9, options=options)
    stamps = syn_ack.options.timestamps
    assert stamps is not None
    (tcb,) = host.tcp.connections
    turn = 10, syn_ack.seq + 1, ACK, 500, 101, stamps.value
    assert not take_expected_turn(host.tcp.context, tcb, *turn, 0)


# --- the option (§3.2.3) ------------------------------------------------------------------------

COUNTS = st.lists(st.integers(0, 2**24 - 1), max_size=3).map(tuple)
BLOCKS = st.lists(st.builds(SackBlock, *[st.integers(0, 2**32 - 1)] * 2), max_size=2).map(tuple)


@given(COUNTS, st.booleans(), st.booleans(), BLOCKS)
def test_the_option_is_read_as_it_was_written(
    counts: tuple[int, ...], ect_1_first: bool, stamped: bool, blocks: tuple[SackBlock, ...]
) -> None:
    stamps = Timestamps(1, 2) if stamped else None
    options = Options(timestamps=stamps, sack=blocks, ecn=EcnCounters(counts, ect_1_first))
    octets = build_options(options)
    without = len(build_options(options._replace(ecn=None)))
    assert len(octets) == without + counters_length(len(counts), 2 if blocks else 0)
    if len(octets) <= MAX_LENGTH:
        assert parse_options(octets) == options


@pytest.mark.parametrize(
    ("counts", "scale", "octets"),
    [
        ((1, 2, 3), 7, "020405b4 ae0b000001000002 00000301 01010402 01030307"),
        ((1, 2), 7, "020405b4 ae08000001000002 01010402 01030307"),
        ((1,), 7, "020405b4 ae050000 01010402 01030307"),
        ((), 7, "020405b4 ae020402 01030307"),
        ((), None, "020405b4 ae020402"),
    ],
)
def test_it_takes_the_place_of_nops_as_in_linux(
    counts: tuple[int, ...], scale: int | None, octets: str
) -> None:
    options = Options(1460, scale, True, ecn=EcnCounters(counts))
    assert build_options(options) == bytes.fromhex(octets)


def test_a_scale_s_nop_gives_way_too() -> None:
    options = Options(1460, 7, True, Timestamps(1, 2), ecn=EcnCounters((1,)))
    octets = build_options(options)
    assert octets[16:] == bytes.fromhex("ae05000001030307")


def test_what_is_no_whole_counter_is_let_be() -> None:
    octets = bytes.fromhex("ac07 000001 0000 01")
    assert parse_options(octets).ecn == EcnCounters((1,), ect_1_first=False)


def test_full_segments_make_room_for_it() -> None:
    world, _, client, server = connected()
    world.transfer(client, server, bytes(100_000))
    full = max(len(seg.text) for seg in sent_by(world, A))
    assert full == client.effective_mss - 12
    assert all(seg.options.ecn for seg in sent_by(world, A) if not seg.flags & SYN)


def test_a_burst_that_is_interrupted_leaves_the_next_one_room_for_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, router, client, server = connected()
    world.a.config.tcp_ecn_option, world.a.config.tcp_ecn_option_beacon = 1, 0
    world.transfer(client, server, bytes(5000))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(world.a, "send_datagram", interrupted)
        with pytest.raises(KeyboardInterrupt):
            world.send(client, bytes(5000))
    router.every = 1
    world.transfer(server, client, bytes(100))
    seen = len(world.log)
    world.transfer(client, server, bytes(5000))
    counters = [seg.options.ecn for _, sender, seg in world.log[seen:] if sender == A and seg.text]
    assert any(counters)
