"""Explicit congestion notification (RFC 3168): agreed on, marked, echoed, answered once."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.segment import ACK, AE, CWR, ECE, RST, SYN, Segment
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tapstack.tcp.wire import parse
from tests.tcp.pair import A, B, Host, Wire, World, tos_of

NOT_ECT, ECT_1, ECT_0, CE = range(4)
RTT = 20 * MILLISECOND


class Router:
    """A link that marks the segments with text that a rule picks, counting new ones from 1."""

    def __init__(self) -> None:
        self.marks: Callable[[int], bool] = lambda index: False
        self.loses: Callable[[int], bool] = lambda index: False
        self.loses_syns = 0
        self.texts = 0

    def __call__(self, octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        seg = parse(octets)
        if seg.flags & SYN and not seg.flags & ACK and self.loses_syns:
            self.loses_syns -= 1
            return []
        if not seg.text:
            return [(0, octets)]
        self.texts += 1
        if self.loses(self.texts):
            return []
        assert isinstance(octets, Wire)
        capable = tos_of(octets) & CE
        marked = self.marks(self.texts) and capable
        return [(0, octets.marked(tos_of(octets) | CE) if marked else octets)]


def connected(client_ecn: int = 1, server_ecn: int = 2) -> tuple[World, Router, Tcb, Tcb]:
    router = Router()
    world = World(delay=RTT // 2, fate=router)
    world.a.config.tcp_ecn = client_ecn
    world.b.config.tcp_ecn = server_ecn
    return world, router, *world.pair()


def sent_by(world: World, address: int) -> list[Segment]:
    return [seg for _, sender, seg in world.log if sender == address]


def flags_of(world: World, address: int, bit: int) -> list[bool]:
    return [bool(seg.flags & bit) for seg in sent_by(world, address)]


def stream(world: World, source: Tcb, sink: Tcb, duration: int) -> list[int]:
    """Send as much as goes for some time, and give every ssthresh that there was."""
    end, seen = world.now + duration, [source.window.ssthresh]
    while world.now < end:
        world.send(source, bytes(100_000))
        world.receive(sink)
        assert world.step()
        if source.window.ssthresh != seen[-1]:
            seen.append(source.window.ssthresh)
    return seen


# --- the handshake ---


@pytest.mark.parametrize(
    ("client_ecn", "server_ecn", "agreed"),
    [(0, 2, False), (2, 2, False), (2, 1, False), (1, 0, False), (1, 2, True), (1, 1, True)],
)
def test_both_ends_must_want_it(client_ecn: int, server_ecn: int, agreed: bool) -> None:
    world, _, client, server = connected(client_ecn, server_ecn)
    syn, synack = world.log[0][2], world.log[1][2]
    assert syn.flags == SYN | (ECE | CWR if client_ecn == 1 else 0)
    assert synack.flags == SYN | ACK | (ECE if agreed else 0)
    assert syn.ecn == synack.ecn == NOT_ECT
    assert (client.ecn, server.ecn) == (agreed, agreed)


def test_a_lost_syn_is_sent_again_without_the_offer() -> None:
    router = Router()
    world = World(fate=router)
    world.a.config.tcp_ecn = 1
    router.loses_syns = 1
    client, server = world.pair()
    first, second = sent_by(world, A)[:2]
    assert (first.flags, second.flags) == (SYN | ECE | CWR, SYN)
    assert (client.ecn, server.ecn) == (False, False)


def test_without_the_fallback_the_offer_stands() -> None:
    router = Router()
    world = World(fate=router)
    world.a.config.tcp_ecn, world.a.config.tcp_ecn_fallback = 1, False
    router.loses_syns = 1
    client, server = world.pair()
    assert sent_by(world, A)[1].flags == SYN | ECE | CWR
    assert (client.ecn, server.ecn) == (True, True)


@pytest.mark.parametrize("tos", [ECT_0, ECT_1, CE])
def test_a_syn_that_claims_to_be_capable_itself_gets_no_consent(tos: int) -> None:
    host = Host(A)
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 8, UserOptions())
    (synack,) = host.inject(0, flags=SYN | ECE | CWR, tos=tos)
    assert synack.flags == SYN | ACK


@pytest.mark.parametrize(
    ("answer", "agreed", "accurate"),
    [
        (0, False, False),
        (ECE, True, False),
        (AE | ECE, True, False),
        (AE | CWR | ECE, False, False),
        # As Linux takes what only a server gives that was asked for accurate feedback.
        (CWR, True, True),
        (ECE | CWR, True, True),
    ],
)
def test_a_syn_ack_agrees_if_it_says_no_more_than_ece(
    answer: int, agreed: bool, accurate: bool
) -> None:
    host = Host(A)
    host.tcp.config.tcp_ecn = 1
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(), 0)
    host.tcp.flush(0)
    (syn,) = host.sent()
    host.inject(
        0, sport=80, dport=syn.source_port, flags=SYN | ACK | answer, seq=7, ack=syn.seq + 1
    )
    assert tcb.state is State.ESTABLISHED
    assert tcb.ecn is agreed
    assert (tcb.accecn is not None) is accurate


@pytest.mark.parametrize(("offer", "agreed"), [(ECE | CWR, True), (0, False), (ECE, False)])
def test_a_simultaneous_open_agrees_by_two_offers(offer: int, agreed: bool) -> None:
    host = Host(A)
    host.tcp.config.tcp_ecn = 1
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(), 0)
    host.tcp.flush(0)
    (syn,) = host.sent()
    (synack,) = host.inject(0, sport=80, dport=syn.source_port, flags=SYN | offer, seq=7)
    assert synack.flags == SYN | ACK | (ECE if agreed else 0)
    assert tcb.ecn is agreed


# --- who is marked as capable ---


def test_new_text_is_capable_and_nothing_else_is() -> None:
    """RFC 3168 §6.1.4 to 6.1.6: no ACK, no retransmission, no FIN without text."""
    world, router, client, server = connected()
    router.loses = lambda index: index == 20
    world.transfer(client, server, bytes(100_000))
    world.transfer(server, client, b"and back")
    world.close(client)
    world.close(server)
    world.run_for(SECOND)
    seen: set[tuple[int, int]] = set()
    retransmitted = 0
    for address in (A, B):
        for seg in sent_by(world, address):
            again = (address, seg.seq) in seen and bool(seg.text)
            retransmitted += again
            new_text = bool(seg.text) and not again
            assert seg.ecn == (ECT_0 if new_text else NOT_ECT)
            if seg.text:
                seen.add((address, seg.seq))
    assert retransmitted == 1


def test_without_consent_nothing_is_capable() -> None:
    world, _, client, server = connected(server_ecn=0)
    world.transfer(client, server, bytes(20_000))
    assert {seg.ecn for _, _, seg in world.log} == {NOT_ECT}


def test_the_user_s_tos_keeps_its_other_bits() -> None:
    world, _, client, _ = connected()
    client.options.tos = 0xB8 | CE  # as if something had let the ECN field through
    world.send(client, b"x")
    assert [tos_of(octets) for _, octets in world.a.outbox] == [0xB8 | ECT_0]


# --- mark, echo, answer ---


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_one_mark_makes_one_reduction_and_no_retransmission(name: str) -> None:
    world, router, client, server = connected()
    client.options.congestion = name
    world.a.tcp.option_changed(client, "congestion", world.now)
    router.marks = lambda index: index == 100
    thresholds = stream(world, client, server, 20 * RTT)
    assert len(thresholds) == 2
    assert world.a.counters["TcpRetransSegs"] == 0


def test_the_window_comes_down_to_ssthresh_within_a_round_trip() -> None:
    world, router, client, _ = connected()
    router.marks = lambda index: index == 30
    world.send(client, bytes(1_000_000))
    world.run(lambda: client.recovery.phase is Phase.CWR)
    before, start = client.recovery.prr.prior_cwnd, world.now
    assert client.window.ssthresh == before * 717 // 1024
    world.run(lambda: client.recovery.phase is not Phase.CWR)
    assert world.now - start <= 2 * RTT
    assert abs(client.window.cwnd - client.window.ssthresh) <= 1
    assert world.a.counters["TcpRetransSegs"] == 0


def test_the_echo_lasts_until_the_answer() -> None:
    world, router, client, server = connected()
    router.marks = lambda index: index == 50
    world.transfer(client, server, bytes(1460 * 300))
    world.run_for(SECOND)
    cwr = [seg for seg in sent_by(world, A) if seg.flags & CWR and not seg.flags & SYN]
    assert len(cwr) == 1
    assert cwr[0].text
    assert cwr[0].ecn == ECT_0
    echoes = [seg for seg in sent_by(world, B) if seg.flags & ECE and not seg.flags & SYN]
    assert echoes
    # All in one run, and none that acknowledges the answer.
    acks = sent_by(world, B)[1:]
    first, last = acks.index(echoes[0]), acks.index(echoes[-1])
    assert all(seg.flags & ECE for seg in acks[first : last + 1])
    assert (acks[last + 1].ack - cwr[0].seq) & 0xFFFFFFFF <= 2 * 1460
    assert not server.ecn_echo


def test_marks_on_everything_reduce_once_a_round_trip() -> None:
    world, router, client, server = connected()
    world.transfer(client, server, bytes(1460 * 100))
    router.marks = lambda index: True
    thresholds = stream(world, client, server, 10 * RTT)
    assert 5 <= len(thresholds) - 1 <= 10
    assert client.window.cwnd >= 1
    assert world.a.counters["TcpRetransSegs"] == 0


def test_a_loss_is_told_with_cwr_too() -> None:
    """RFC 3168 §6.1.2: so that the receiver stops to echo marks from the same window."""
    world, router, client, server = connected()
    router.loses = lambda index: index == 50
    world.transfer(client, server, bytes(1460 * 300))
    cwr = [seg for seg in sent_by(world, A) if seg.flags & CWR and not seg.flags & SYN]
    assert len(cwr) == 1
    assert cwr[0].ecn == ECT_0


def test_an_echo_is_not_undone() -> None:
    world, router, client, _ = connected()
    router.marks = lambda index: index == 30
    world.send(client, bytes(500_000))
    world.run(lambda: client.recovery.phase is Phase.CWR)
    assert client.recovery.undo.prior_ssthresh == 0


def test_an_echo_means_nothing_to_a_connection_without_ecn() -> None:
    world, _, client, server = connected(server_ecn=0)
    server.ecn, server.ecn_echo = True, True  # a peer that has it all wrong
    world.transfer(client, server, bytes(200_000))
    assert any(flags_of(world, B, ECE))
    assert client.window.ssthresh > 1000
    assert not any(flags_of(world, A, CWR)[1:])


def test_a_mark_is_acknowledged_at_once() -> None:
    """Like Linux: the sender's window may be so low that a delayed ACK would stall it."""
    world, router, client, server = connected()
    world.transfer(client, server, bytes(1460 * 60))
    world.run_for(SECOND)
    server.acks.quick, server.acks.interactive = 0, True
    for marked in (False, True):
        router.marks = lambda index, marked=marked: marked  # type: ignore[misc]
        world.log.clear()
        world.send(client, b"x")
        world.run_for(RTT // 2)
        assert len(sent_by(world, B)) == marked
        world.run_for(SECOND)
        server.acks.quick, server.acks.interactive = 0, True


def test_a_reset_and_a_pure_ack_of_an_ecn_connection_are_plain() -> None:
    world, _, client, server = connected()
    world.transfer(client, server, b"hello")
    world.a.tcp.abort(client)
    world.a.tcp.flush(world.now)
    world.run_for(SECOND)
    last = sent_by(world, A)[-1]
    assert last.flags & RST
    assert last.ecn == NOT_ECT


def test_what_came_with_marks_is_counted() -> None:
    world, router, client, server = connected()
    router.marks = lambda index: index == 5
    world.transfer(client, server, bytes(1460 * 40))
    world.run_for(SECOND)
    assert client.statistics.delivered_ce > 0
    assert world.a.counters["TcpExtTCPDeliveredCE"] == client.statistics.delivered_ce
    assert world.a.counters["TcpExtTCPDelivered"] >= 40
    assert server.ecn_seen
    assert not client.ecn_seen
