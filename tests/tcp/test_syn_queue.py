"""Half-open connections and the accept queue, as Linux keeps them (RFC 9293 §3.5, RFC 4987)."""

from __future__ import annotations

from itertools import count

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.listener import Listener
from tapstack.tcp.segment import ACK, PSH, RST, SYN, Options, Segment, Timestamps, format_flags
from tapstack.tcp.state import State
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, Host, World

T0 = SECOND
IRS = 1000


def listening(backlog: int = 5, config: TcpConfig | None = None) -> tuple[Host, Listener]:
    host = Host(A, config=config or TcpConfig())
    return host, host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), backlog, UserOptions())


def syn(host: Host, now: int = T0, sport: int = 5000, **fields: object) -> list[Segment]:
    return host.inject(now, flags=SYN, seq=IRS, sport=sport, **fields)


def final_ack(host: Host, syn_ack: Segment, now: int = T0, **fields: object) -> list[Segment]:
    usual = {"flags": ACK, "seq": IRS + 1, "ack": syn_ack.seq + 1}
    return host.inject(now, **{"sport": syn_ack.destination_port, **usual, **fields})


def until_silence(host: Host) -> list[tuple[int, Segment]]:
    """Let every timer expire, and give (ms since T0, what was sent)."""
    log = []
    while (deadline := host.timers.next_deadline()) is not None:
        host.expire(deadline)
        log += [((deadline - T0) // MILLISECOND, segment) for segment in host.sent()]
    return log


# --- the SYN-ACK, again -------------------------------------------------------------------------


def test_a_syn_that_comes_again_is_answered_with_the_same_syn_ack() -> None:
    host, listener = listening()
    (first,) = syn(host)
    (again,) = syn(host, T0 + 600 * MILLISECOND)
    assert again._replace(options=first.options) == first
    assert len(listener.syn_queue) == 1
    assert host.counters["TcpRetransSegs"] == 1
    final_ack(host, first, T0 + 700 * MILLISECOND)
    assert len(listener.accept_queue) == 1


def test_syns_that_come_again_are_not_answered_more_often_than_twice_a_second() -> None:
    host, _ = listening()
    syn(host)
    answers = [len(syn(host, T0 + ms * MILLISECOND)) for ms in (100, 200, 599, 600, 700)]
    assert answers == [1, 0, 0, 1, 0]
    assert host.counters["TcpExtTCPACKSkippedSynRecv"] == 3


def test_a_syn_soon_after_the_opening_is_challenged_even_if_the_first_came_twice() -> None:
    host, _ = listening()
    (syn_ack,) = syn(host)
    syn(host, T0 + 10 * MILLISECOND)
    final_ack(host, syn_ack, T0 + 20 * MILLISECOND)
    (challenge,) = host.inject(T0 + 30 * MILLISECOND, flags=SYN, seq=9999, sport=5000)
    assert (challenge.flags, challenge.ack) == (ACK, IRS + 1)


def test_an_answer_to_a_syn_that_came_again_puts_the_timer_off() -> None:
    host, _ = listening()
    syn(host)
    syn(host, T0 + 900 * MILLISECOND)
    assert [ms for ms, _ in until_silence(host)] == [1900, 3900, 7900, 15900, 31900]


def test_a_half_open_connection_ends_after_63_seconds() -> None:
    host, listener = listening()
    syn(host)
    assert [ms for ms, _ in until_silence(host)] == [1000, 3000, 7000, 15000, 31000]
    assert not listener.syn_queue
    assert listener.young == 0
    assert host.counters["TcpExtTCPTimeouts"] == 6
    assert host.counters["TcpRetransSegs"] == 5


@pytest.mark.parametrize(("syncnt", "times"), [(1, [1000]), (2, [1000, 3000])])
def test_a_listeners_syncnt_is_the_number_of_retransmissions(syncnt: int, times: list[int]) -> None:
    host, listener = listening()
    listener.options.syncnt = syncnt
    syn(host)
    assert [ms for ms, _ in until_silence(host)] == times


def test_the_round_trip_is_measured_from_a_syn_ack_that_was_sent_once() -> None:
    host, listener = listening()
    (answer,) = syn(host)
    final_ack(host, answer, T0 + 80 * MILLISECOND)
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert tcb.rtt.srtt == 80 * MILLISECOND


@pytest.mark.parametrize(("late", "cwnd"), [(False, 1), (True, 10)])
def test_two_lost_syn_acks_shrink_the_window_unless_the_echo_says_they_were_late(
    late: bool, cwnd: int
) -> None:
    host, listener = listening()
    (answer,) = syn(host, options=Options(timestamps=Timestamps(7, 0)))
    host.expire(T0 + SECOND)
    host.expire(T0 + 3 * SECOND)
    last = host.sent()[-1]
    assert answer.options.timestamps is not None
    assert last.options.timestamps is not None
    echo = (answer if late else last).options.timestamps
    assert echo is not None
    stamps = Options(timestamps=Timestamps(8, echo.value))
    final_ack(host, answer, T0 + 3100 * MILLISECOND, options=stamps)
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert tcb.window.cwnd == cwnd


# --- full queues --------------------------------------------------------------------------------


def test_without_cookies_the_backlog_bounds_the_syn_queue() -> None:
    host, listener = listening(3, TcpConfig(tcp_syncookies=0))
    answers = [len(syn(host, sport=port)) for port in range(1, 7)]
    assert answers == [1, 1, 1, 1, 0, 0]
    assert len(listener.syn_queue) == 4
    assert host.counters["TcpExtTCPReqQFullDrop"] == 2
    assert host.counters["TcpExtListenDrops"] == 2


def test_without_cookies_the_last_quarter_is_not_for_strangers() -> None:
    host, listener = listening(100, TcpConfig(tcp_syncookies=0, tcp_max_syn_backlog=16))
    for port in range(1, 40):
        syn(host, sport=port)
    assert len(listener.syn_queue) == 13
    assert host.counters["TcpExtListenDrops"] == 26
    assert host.counters["TcpExtTCPReqQFullDrop"] == 0


def test_a_full_accept_queue_drops_syns() -> None:
    host, listener = listening(1)
    for port in (1, 2):
        final_ack(host, *syn(host, sport=port))
    assert syn(host, sport=3) == []
    assert host.counters["TcpExtListenOverflows"] == 1
    assert host.counters["TcpExtListenDrops"] == 1
    assert host.tcp.accept(listener) is not None
    assert len(syn(host, sport=3)) == 1


def overflowing(config: TcpConfig) -> tuple[Host, Listener, Segment, list[Segment]]:
    """Three handshakes at once, and room for two: the third ends with its final ACK."""
    host, listener = listening(3, config)
    answers = [answer for port in (1, 2, 3) for answer in syn(host, sport=port)]
    listener.backlog = 1
    for answer in answers[:2]:
        final_ack(host, answer)
    return host, listener, answers[2], final_ack(host, answers[2])


def test_a_final_ack_that_finds_no_room_is_ignored_and_asked_for_again() -> None:
    host, listener, answer, sent = overflowing(TcpConfig())
    assert sent == []
    assert host.counters["TcpExtListenOverflows"] == 1
    assert host.counters["TcpExtListenDrops"] == 1
    assert len(listener.syn_queue) == 1
    host.expire(T0 + SECOND)
    (again,) = host.sent()
    assert (format_flags(again.flags), again.seq) == ("S.", answer.seq)
    host.tcp.accept(listener)
    final_ack(host, again, T0 + SECOND)
    assert len(listener.accept_queue) == 2
    assert not listener.syn_queue
    assert host.counters["TcpPassiveOpens"] == 3


def test_a_final_ack_that_finds_no_room_is_reset_if_so_configured() -> None:
    _, listener, answer, (reset,) = overflowing(TcpConfig(tcp_abort_on_overflow=True))
    assert (reset.flags, reset.seq) == (RST, answer.seq + 1)
    assert not listener.syn_queue


def test_the_old_are_given_up_sooner_in_a_crowded_queue() -> None:
    host, listener = listening(10)
    for port in range(1, 10):
        syn(host, sport=port)
    left = []
    for seconds in (1, 3, 7):
        host.expire(T0 + seconds * SECOND)
        left.append(len(listener.syn_queue))
    assert left == [9, 9, 5], "after two retransmissions, until it is crowded no more"


def test_the_young_keep_the_old_alive_in_a_crowded_queue() -> None:
    host, listener = listening(10)
    for port in range(1, 4):
        syn(host, sport=port)
    host.expire(T0 + SECOND)
    host.expire(T0 + 3 * SECOND)
    for port in range(4, 10):
        syn(host, T0 + 6500 * MILLISECOND, sport=port)
    host.expire(T0 + 7 * SECOND)
    assert len(host.sent()) == 3
    assert len(listener.syn_queue) == 9


def test_a_reset_gives_its_place_in_the_queue_back() -> None:
    host, listener = listening()
    syn(host)
    host.inject(T0, flags=RST, seq=IRS + 1)
    assert not listener.syn_queue
    assert listener.young == 0
    assert host.counters["TcpExtEmbryonicRsts"] == 1
    assert host.counters["TcpAttemptFails"] == 1


def test_everyone_gets_in_at_last_through_a_narrow_door() -> None:
    world = World(config=TcpConfig(tcp_syncookies=0))
    listener = world.listen(backlog=1)
    clients = [world.connect() for _ in range(6)]
    for _ in clients:
        world.run(lambda: bool(listener.accept_queue))
        assert world.b.tcp.accept(listener) is not None
        world.run_for(5 * SECOND)
    assert all(client.state is State.ESTABLISHED for client in clients)


# --- TCP_DEFER_ACCEPT ---------------------------------------------------------------------------


def deferring(timeouts: int) -> tuple[Host, Listener, Segment]:
    host, listener = listening()
    listener.options.defer_accept = timeouts
    (answer,) = syn(host)
    return host, listener, answer


def test_an_ack_without_text_does_not_complete_a_deferred_connection_but_text_does() -> None:
    host, listener, answer = deferring(3)
    assert final_ack(host, answer) == []
    assert not listener.accept_queue
    assert host.counters["TcpExtTCPDeferAcceptDrop"] == 1
    final_ack(host, answer, T0 + 5 * SECOND, flags=ACK | PSH, text=b"GET")
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert host.tcp.receive_text(tcb, 10, T0) == b"GET"


def test_a_deferred_connection_is_asked_again_only_when_the_time_is_nearly_over() -> None:
    host, listener, answer = deferring(3)
    final_ack(host, answer)
    deadlines = (T0 + seconds * SECOND for seconds in (1, 3, 7))
    asked = []
    for deadline in deadlines:
        host.expire(deadline)
        asked.append(len(host.sent()))
    assert asked == [0, 0, 1]
    final_ack(host, answer, T0 + 7 * SECOND)
    assert len(listener.accept_queue) == 1, "now a bare ACK will do"


def test_a_deferred_connection_that_was_heard_outlives_the_usual_patience() -> None:
    host, listener, answer = deferring(8)
    final_ack(host, answer)
    times = [ms // 1000 for ms, _ in until_silence(host)]
    assert times == [1 + 2 + 4 + 8 + 16 + 32 + 64 + 120], "asked once, before the last timeout"
    assert not listener.syn_queue


def test_a_deferred_connection_that_was_not_heard_is_asked_as_any() -> None:
    host, _, _ = deferring(8)
    assert [ms // 1000 for ms, _ in until_silence(host)] == [1, 3, 7, 15, 31]


# --- edge cases of SYNs -------------------------------------------------------------------------


def test_text_in_a_syn_is_neither_kept_nor_acknowledged() -> None:
    host, listener = listening()
    (answer,) = syn(host, text=b"early")
    assert answer.ack == IRS + 1
    final_ack(host, answer, text=b"early")
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert host.tcp.receive_text(tcb, 10, T0) == b"early"


def test_text_in_a_syn_ack_is_not_acknowledged() -> None:
    host = Host(A)
    tcb = host.tcp.open_active(
        Endpoint(0x0A000002, 80), UserOptions(), T0, host.tcp.bind(Endpoint(A, 5000))
    )
    host.tcp.flush(T0)
    (ours,) = host.sent()
    (ack,) = host.inject(
        T0, flags=SYN | ACK, seq=9, ack=ours.seq + 1, sport=80, dport=5000, text=b"early"
    )
    assert ack.ack == 10
    assert host.tcp.receive_text(tcb, 10, T0) is None


def test_a_flood_from_many_ports_leaves_little_more_than_the_backlog_behind() -> None:
    host, listener = listening(16)
    ports = count(1)
    for _ in range(2000):
        syn(host, sport=next(ports))
    assert len(list(host.tcp.connections)) == len(listener.syn_queue) == 17
    until_silence(host)
    assert list(host.tcp.connections) == []
    assert list(host.timers.armed()) == []
