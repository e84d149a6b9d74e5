"""What TCP tells the link of its next hop: that it is alive, when something has arrived there.

RFC 4861 §7.3.1, with which acknowledgments count as in Linux.
"""

from __future__ import annotations

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.segment import ACK, Options, SackBlock
from tapstack.tcp.state import State
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import World
from tests.tcp.test_acknowledging import T0, Sender


def test_the_answer_to_our_syn_is_told_with_its_ack_and_once() -> None:
    world = World()
    client, server = world.pair()
    assert world.a.confirmations == 1
    assert client.state is server.state is State.ESTABLISHED
    assert world.b.confirmations == 0


def test_who_sends_knows_and_who_only_receives_does_not() -> None:
    world = World()
    client, server = world.pair()
    before = world.a.confirmations
    world.transfer(client, server, bytes(1_000_000))
    assert world.a.confirmations > before + 5
    assert world.b.confirmations == 0


def test_question_and_answer_tell_both_ends() -> None:
    world = World()
    client, server = world.pair()
    world.a.confirmations = 0
    for _ in range(10):
        assert world.transfer(client, server, b"question") == b"question"
        assert world.transfer(server, client, b"answer") == b"answer"
    world.run_for(SECOND)
    assert world.a.confirmations == 10
    assert world.b.confirmations == 9  # the last time it has nothing more to send


def test_nothing_is_told_while_nothing_comes_back() -> None:
    world = World()
    client, _ = world.pair()
    world.run_for(SECOND)
    before = world.a.confirmations
    world.fate = lambda _octets, _random: []
    world.send(client, bytes(10_000))
    world.run_for(30 * SECOND)
    assert world.a.confirmations == before


def test_what_answers_nothing_in_flight_tells_nothing() -> None:
    world = World()
    options = UserOptions(keepalive=True, keepidle=1, keepintvl=1)
    listener = world.listen()
    client = world.connect(options=options)
    world.run(lambda: bool(listener.accept_queue))
    world.run_for(30 * SECOND)
    assert client.state is State.ESTABLISHED
    assert world.a.confirmations == 1
    assert len(world.log) > 50


def confirmations(sender: Sender, **fields: object) -> int:
    """What is told after our text was in flight, and an ACK came that moves nothing on."""
    sender.host.tcp.send(sender.tcb, bytes(2000), T0)
    sender.host.tcp.flush(T0)
    sender.host.confirmations = 0
    sender.host.inject(T0, **{"seq": 1001, "ack": sender.ack, "flags": ACK, **fields})
    sender.host.tcp.send(sender.tcb, bytes(3000), T0 + MILLISECOND)
    sender.host.tcp.flush(T0 + MILLISECOND)
    return sender.host.confirmations


def test_a_duplicate_ack_and_a_sack_tell_that_something_has_arrived() -> None:
    assert confirmations(Sender(sack=False)) == 1
    sender = Sender()
    options = Options(sack=(SackBlock(sender.ack + 1000, sender.ack + 2000),))
    assert confirmations(sender, options=options, wnd=60_000) == 1


def test_text_and_window_updates_tell_nothing_of_what_we_sent() -> None:
    assert confirmations(Sender(), text=b"text of his own") == 0
    sender = Sender()
    sender.host.inject(T0, flags=ACK, seq=1001, ack=sender.ack, text=b".")
    sender.host.inject(T0, flags=ACK, seq=1002, ack=sender.ack, wnd=50_000)
    assert confirmations(sender, wnd=60_000, seq=1002) == 0
