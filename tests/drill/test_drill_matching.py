from collections import deque

import pytest

from tapstack.base.address import Endpoint
from tapstack.drill.contract import Captured
from tapstack.drill.language.syntax import IcmpMessage, IpInfo, Ports, Quoted, TcpOption, TcpSegment
from tapstack.drill.reports.failure import Difference
from tapstack.drill.settings import Settings
from tapstack.drill.wire.matching import Matcher, Outcome, Verdict
from tapstack.drill.wire.numbering import Payload
from tapstack.drill.wire.packets import build
from tapstack.drill.wire.reading import read
from tapstack.drill.wire.tcp_options import NOWHERE
from tapstack.ip.wire import PROTOCOL_ICMP
from tapstack.tcp.wire import PROTOCOL_TCP
from tapstack.udp.wire import PROTOCOL_UDP
from tests.drill.packet_trees import (
    ADDRESSES,
    LOCAL,
    NOP,
    REMOTE,
    expected,
    icmp,
    injected,
    ip,
    option,
    quoted,
    segment,
    sent,
    udp,
)

ISN = 0xFFFFFF00
"""Live, of the host: it wraps within the first few hundred octets."""
PLAIN = Settings()


def matcher(settings: Settings) -> Matcher:
    made = Matcher(ADDRESSES, settings)
    made.conversations.on_socket(PROTOCOL_TCP)
    made.conversations.on_listen()
    return made


def passive(settings: Settings = PLAIN, irs: int = 0) -> Matcher:
    """Play the opening of a connection that the script makes."""
    made = matcher(settings)
    made.inject(injected(segment("S", irs, 0, None, 1000, option("mss", 1000))))
    mss = option("mss", 1460)
    outcome = made.take(
        expected(segment("S.", 0, 0, irs + 1, None, any_options=True)),
        deque([sent(segment("S.", ISN, 0, irs + 1, 65535, mss))]),
    )
    assert outcome.verdict is Verdict.MATCHED
    made.inject(injected(segment(".", 1, 0, 1, 1000)))
    return made


def live(flags: str, offset: int, length: int, ack: int = 1, win: int = 500) -> TcpSegment:
    """What the host sends, so far behind its ISN."""
    return segment(flags, (ISN + offset) % 2**32, length, ack, win)


def take(made: Matcher, want: Payload, *came: Payload) -> Outcome:
    queue = deque(sent(payload, time=10 * place) for place, payload in enumerate(came))
    outcome = made.take(expected(want), queue)
    assert len(queue) == len(came) - (
        0 if outcome.verdict is Verdict.WAITING else len(outcome.pieces)
    )
    return outcome


# --- numbers --------------------------------------------------------------------------------------


def test_text_is_counted_from_the_isn_across_the_wrap() -> None:
    made = passive()
    outcome = take(made, segment("P.", 1, 1000, 1), live("P.", 1, 1000))
    assert outcome.verdict is Verdict.MATCHED
    assert outcome.actual == "P. 1:1001(1000) ack 1 win 500"


def test_what_is_injected_acknowledges_the_hosts_numbers() -> None:
    made = passive()
    sack = (NOP, NOP, option("sack", 501, 1001))
    octets = made.inject(injected(segment(".", 1, 10, 301, 1000, *sack)))
    reading = read(octets)
    assert reading.source == Endpoint(REMOTE, 53055)
    assert reading.destination == Endpoint(LOCAL, 8080)
    assert not reading.faults
    assert isinstance(reading.payload, TcpSegment)
    assert (reading.payload.seq, reading.payload.ack) == (1, (ISN + 301) % 2**32)
    assert reading.payload.options is not None
    edges = reading.payload.options[2].numbers
    assert edges == ((ISN + 501) % 2**32, (ISN + 1001) % 2**32)


def test_a_syn_is_absolute_and_all_else_counts_from_it() -> None:
    made = passive(irs=4000)
    payload = read(made.inject(injected(segment(".", 1, 10, 1, 1000)))).payload
    assert isinstance(payload, TcpSegment)
    assert payload.seq == 4001
    outcome = take(made, segment(".", 1, 0, 11), live(".", 1, 0, 4011))
    assert outcome.verdict is Verdict.MATCHED


def test_a_syn_into_a_connection_changes_no_numbers() -> None:
    made = passive(irs=4000)
    made.inject(injected(segment("S", 9000, 0, None, 1000)))
    assert take(made, segment(".", 1, 0, 1), live(".", 1, 0, 4001)).verdict is Verdict.MATCHED


def test_a_syn_that_is_answered_begins_the_connection_anew() -> None:
    made = passive(irs=4000)
    made.inject(injected(segment("S", 9000, 0, None, 1000)))
    answer = segment("S.", 777, 0, 9001, 65535)
    assert take(made, segment("S.", 0, 0, 9001), answer).verdict is Verdict.MATCHED
    payload = read(made.inject(injected(segment(".", 1, 0, 1, 1000)))).payload
    assert isinstance(payload, TcpSegment)
    assert (payload.seq, payload.ack) == (9001, 778)


def test_an_active_opening_learns_its_ends_and_numbers() -> None:
    made = Matcher(ADDRESSES, PLAIN)
    made.conversations.on_socket(PROTOCOL_TCP)
    made.conversations.on_connect(Endpoint(REMOTE, 8080))
    queue = deque([sent(segment("S", ISN, 0, None, 65535), (41000, 8080))])
    assert made.take(expected(segment("S", 0, 0)), queue).verdict is Verdict.MATCHED
    reading = read(made.inject(injected(segment("S.", 100, 0, 1, 5000))))
    assert (reading.source.port, reading.destination.port) == (8080, 41000)
    assert isinstance(reading.payload, TcpSegment)
    assert (reading.payload.seq, reading.payload.ack) == (100, ISN + 1)
    queue.append(sent(segment(".", ISN + 1, 0, 101, 100), (41000, 8080)))
    assert made.take(expected(segment(".", 1, 0, 1)), queue).verdict is Verdict.MATCHED


def test_without_a_connection_numbers_are_as_written() -> None:
    made = matcher(PLAIN)
    made.inject(injected(segment(".", 1, 0, 7, 1000)))
    assert take(made, segment("R", 7, 0), segment("R", 7, 0, None, 0)).verdict is Verdict.MATCHED


# --- timestamps -----------------------------------------------------------------------------------


def stamped(value: int, echo: int) -> tuple[TcpOption, ...]:
    return NOP, NOP, option("TS", value, echo)


def with_stamps(made: Matcher, script: int, value: int) -> Outcome:
    want = segment(".", 1, 0, 1, None, *stamped(script, 5))
    came = live(".", 1, 0)._replace(options=stamped(value, 5))
    return take(made, want, came)


def echoed(made: Matcher, echo: int) -> int:
    """Inject an echo, and tell what it is on the wire."""
    packet = injected(segment(".", 1, 0, 1, 9, *stamped(6, echo)))
    payload = read(made.inject(packet)).payload
    assert isinstance(payload, TcpSegment)
    assert payload.options is not None
    return payload.options[2].numbers[1]


def test_an_echo_is_of_what_the_host_sent() -> None:
    made = passive()
    assert with_stamps(made, 100, 70_000).verdict is Verdict.MATCHED
    assert with_stamps(made, 200, 70_020).verdict is Verdict.MATCHED
    assert (echoed(made, 100), echoed(made, 200)) == (70_000, 70_020)
    assert echoed(made, 333) == 333


def test_scaled_echoes_count_from_the_first() -> None:
    made = passive(Settings(tcp_ts_ecr_scaled=True))
    with_stamps(made, 100, 70_000)
    assert echoed(made, 333) == 70_233


@pytest.mark.parametrize(
    ("second", "differs"),
    [(1000, []), (1004, []), (1005, [Difference("TS val", "1000", "1005")])],
)
def test_timestamps_are_checked_by_their_tick(second: int, differs: list[Difference]) -> None:
    made = passive(Settings(tcp_ts_tick_usecs=1000))
    assert with_stamps(made, 100, 70_000).verdict is Verdict.MATCHED
    outcome = with_stamps(made, 1000, 69_900 + second)
    assert list(outcome.differences) == differs


# --- differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came", "difference"),
    [
        (live(".", 1, 10), ("flags", "P.", ".")),
        (live("PE.", 1, 10), ("flags", "P.", "PE.")),
        (live("PA.", 1, 10), ("flags", "P.", "PA.")),
        (live("P.", 2, 10), ("seq", "1", "2")),
        (live("P.", 1, 11), ("length", "10", "11")),
        (live("P.", 1, 10, 2), ("ack", "1", "2")),
        (live("P.", 1, 10, 1, 501), ("win", "500", "501")),
        (live("P.", 1, 10)._replace(urgent=3), ("urg", "0", "3")),
        (live("P.", 1, 10)._replace(options=(NOP,) * 4), ("options", "<>", "<nop,nop,nop,nop>")),
    ],
)
def test_one_wrong_field_is_one_difference(came: TcpSegment, difference: tuple[str, ...]) -> None:
    outcome = take(passive(), segment("P.", 1, 10, 1, 500), came)
    assert outcome.verdict is Verdict.DIFFERS
    assert outcome.differences == (Difference(*difference),)


def test_what_is_not_given_is_not_checked() -> None:
    made = passive()
    came = live("P.", 1, 10)._replace(options=(NOP,) * 4)
    want = segment("P.", 1, 10, 1, any_options=True)
    assert take(made, want, came).verdict is Verdict.MATCHED


def test_a_count_of_accurate_ecn_is_three_flags() -> None:
    made = passive()
    want = segment(".", 1, 0, 1, ace=5)
    assert take(made, want, live("EA.", 1, 0)).verdict is Verdict.MATCHED
    outcome = take(made, want, live("WA.", 1, 0))
    assert outcome.differences == (Difference("flags", "EA.", "WA."),)


@pytest.mark.parametrize(
    ("want", "came", "difference"),
    [
        (ip("ect0"), ip("ce"), ("ecn", "ect0", "ce")),
        (ip("ect01"), ip("noecn"), ("ecn", "ect01", "noecn")),
        (ip(tos=0x10), ip(tos=0x20), ("tos", "0x10", "0x20")),
        (ip("ce", tos=0x10), ip("ce", tos=0x20), ("tos", "0x10", "0x20")),
        (ip(ttl=64), ip(ttl=63), ("ttl", "64", "63")),
    ],
)
def test_the_ip_header_is_checked_where_the_script_gives_it(
    want: IpInfo, came: IpInfo, difference: tuple[str, ...]
) -> None:
    queue = deque([sent(live(".", 1, 0), info=came)] * 2)
    made = passive()
    assert made.take(expected(segment(".", 1, 0, 1), came), queue).verdict is Verdict.MATCHED
    outcome = made.take(expected(segment(".", 1, 0, 1), want), queue)
    assert outcome.differences == (Difference(*difference),)


def test_a_wrong_checksum_and_a_cut_datagram_differ() -> None:
    good = sent(live(".", 1, 0)).octets
    wrong = good[:36] + b"\x00\x00" + good[38:]
    outcome = passive().take(expected(segment(".", 1, 0, 1)), deque([Captured(0, wrong, "")]))
    assert outcome.differences == (Difference("checksum", "correct", "wrong"),)
    outcome = passive().take(expected(segment(".", 1, 0, 1)), deque([Captured(0, good[:30], "")]))
    assert outcome.verdict is Verdict.DIFFERS
    assert outcome.differences[0].what == "datagram"


def test_another_protocol_differs() -> None:
    made = matcher(PLAIN)
    outcome = take(made, segment("S", 0, 0), udp(10))
    assert outcome.differences == (Difference("protocol", "tcp", "udp"),)


def test_what_is_nobodys_is_passed_over() -> None:
    made = passive()
    stray = sent(segment(".", 5, 0, 5, 5), ports=(1, 2))
    neighbour = Captured(0, b"\x60" + bytes(60), "")
    message = sent(icmp("unreachable", "port_unreachable", quoted("udp", 5)))
    queue = deque([stray, neighbour, message, sent(live(".", 1, 0))])
    assert made.take(expected(segment(".", 1, 0, 1)), queue).verdict is Verdict.MATCHED
    assert not queue


# --- joining --------------------------------------------------------------------------------------


def test_pieces_are_joined_up_to_the_length() -> None:
    came = live(".", 1, 400), live(".", 401, 400), live("P.", 801, 200), live("P.", 1001, 9)
    outcome = take(passive(), segment("P.", 1, 1000, 1), *came)
    assert outcome.verdict is Verdict.MATCHED
    assert [piece.time for piece in outcome.pieces] == [0, 10, 20]
    assert outcome.time == 20
    assert outcome.actual == "P. 1:1001(1000) ack 1 win 500"


def test_pieces_that_come_later_are_waited_for() -> None:
    made = passive()
    want = expected(segment("P.", 1, 1000, 1))
    queue: deque[Captured] = deque()
    assert made.take(want, queue).verdict is Verdict.WAITING
    queue.append(sent(live(".", 1, 400), time=5))
    outcome = made.take(want, queue)
    assert (outcome.verdict, outcome.actual) == (
        Verdict.WAITING,
        ". 1:401(400) ack 1 win 500",
    )
    queue += [sent(live(".", 401, 400), time=7), sent(live("P.", 801, 200), time=9)]
    outcome = made.take(want, queue)
    assert (outcome.verdict, outcome.time) == (Verdict.MATCHED, 9)


def test_the_joined_segment_has_the_last_ones_header_and_the_first_ones_cwr() -> None:
    came = live("W.", 1, 400), live("FP.", 401, 400)
    assert take(passive(), segment("FPW.", 1, 800, 1), *came).verdict is Verdict.MATCHED
    came = live(".", 1, 400), live("FPW.", 401, 400)
    assert take(passive(), segment("FP.", 1, 800, 1), *came).verdict is Verdict.MATCHED


@pytest.mark.parametrize(
    ("came", "difference"),
    [
        ((live(".", 1, 400), live(".", 401, 300), live("P.", 701, 300)), ("length", "1000", "700")),
        ((live(".", 1, 400), live("P.", 401, 700)), ("length", "1000", "1100")),
        ((live(".", 1, 400), live("P.", 402, 600)), ("length", "1000", "400")),
        ((live("P.", 1, 1100),), ("length", "1000", "1100")),
        ((live("P.", 1, 0),), ("length", "1000", "0")),
        ((live(".", 1, 400, 3), live("P.", 401, 600)), ("ack", "1", "3")),
        ((live("E.", 1, 400), live("P.", 401, 600)), ("flags", ".", "E.")),
    ],
)
def test_pieces_that_do_not_fit_differ(
    came: tuple[TcpSegment, ...], difference: tuple[str, ...]
) -> None:
    outcome = take(passive(), segment("P.", 1, 1000, 1), *came)
    assert outcome.verdict is Verdict.DIFFERS
    assert Difference(*difference) in outcome.differences


def test_a_wrong_front_is_not_waited_behind() -> None:
    outcome = take(passive(), segment("P.", 1, 1000, 1), live(".", 5, 400))
    assert outcome.differences == (Difference("seq", "1", "5"),)


def test_strict_segments_are_not_joined() -> None:
    came = live("P.", 1, 400), live("P.", 401, 600)
    outcome = take(passive(Settings(strict_segments=True)), segment("P.", 1, 1000, 1), *came)
    assert outcome.differences == (Difference("length", "1000", "400"),)


# --- conversations --------------------------------------------------------------------------------


def test_the_next_connection_of_a_script_has_another_port() -> None:
    made = passive()
    made.conversations.on_socket(PROTOCOL_TCP)
    made.conversations.on_bind(Endpoint(0, 9000))
    made.conversations.on_listen()
    reading = read(made.inject(injected(segment("S", 0, 0, None, 1000))))
    assert (reading.source.port, reading.destination) == (53056, Endpoint(LOCAL, 9000))
    again = read(made.inject(injected(segment("S", 0, 0, None, 1000))))
    assert again.source.port == 53056


def test_a_syn_to_a_socket_that_does_not_listen_is_a_connection_of_its_own() -> None:
    made = passive()
    made.conversations.on_socket(PROTOCOL_TCP)
    made.inject(injected(segment("S", 0, 0, None, 1000)))
    queue = deque([sent(segment("R.", 0, 0, 1, 0), ports=(8080, 53056))])
    assert made.take(expected(segment("R.", 0, 0, 1)), queue).verdict is Verdict.MATCHED


def test_a_socket_that_connects_hears_nothing_before_its_syn() -> None:
    made = passive()
    made.conversations.on_socket(PROTOCOL_TCP)
    made.conversations.on_connect(Endpoint(REMOTE, 8080))
    reading = read(made.inject(injected(segment(".", 1, 0, 1, 1000))))
    assert reading.source.port == 53055


def test_the_same_ends_can_be_connected_again() -> None:
    made = Matcher(ADDRESSES, PLAIN)
    for isn in (ISN, 5):
        made.conversations.on_socket(PROTOCOL_TCP)
        made.conversations.on_connect(Endpoint(REMOTE, 8080))
        queue = deque([sent(segment("S", isn, 0, None, 9), (41000, 8080))])
        assert made.take(expected(segment("S", 0, 0)), queue).verdict is Verdict.MATCHED
        payload = read(made.inject(injected(segment("S.", 0, 0, 1, 9)))).payload
        assert isinstance(payload, TcpSegment)
        assert payload.ack == isn + 1


def test_ports_that_are_written_choose_the_connection() -> None:
    made = matcher(PLAIN)
    for port in (1111, 2222):
        made.inject(injected(segment("S", 0, 0, None, 9, ports=Ports(port, 8080))))
    for port, isn in ((1111, 100), (2222, 200)):
        queue = deque([sent(segment("S.", isn, 0, 1, 9), ports=(8080, port))])
        want = expected(segment("S.", 0, 0, 1, ports=Ports(8080, port)))
        outcome = made.take(want, queue)
        assert outcome.verdict is Verdict.MATCHED
        assert outcome.actual == f"8080 > {port} S. 0:0(0) ack 1 win 9"
    queue = deque([sent(segment(".", 101, 0, 1, 9), ports=(8080, 1111))])
    want = expected(segment(".", 1, 0, 1, ports=Ports(8080, 2222)))
    ends = "192.168.0.1:8080 > 192.0.2.1:"
    assert made.take(want, queue).differences == (
        Difference("ports", f"{ends}2222", f"{ends}1111"),
    )


def test_datagrams_of_udp_cross() -> None:
    made = Matcher(ADDRESSES, PLAIN)
    made.conversations.on_socket(PROTOCOL_UDP)
    reading = read(made.inject(injected(udp(1000))))
    assert (reading.source.port, reading.destination.port) == (53055, 8080)
    assert take(made, udp(500), udp(500)).verdict is Verdict.MATCHED
    outcome = take(made, udp(500), udp(501))
    assert outcome.differences == (Difference("length", "500", "501"),)
    assert outcome.actual == "udp (501)"


def test_a_connected_udp_socket_keeps_its_ends() -> None:
    made = Matcher(ADDRESSES, PLAIN)
    made.conversations.on_socket(PROTOCOL_UDP)
    made.conversations.on_connect(Endpoint(REMOTE, 8080))
    made.conversations.on_bind(Endpoint(LOCAL, 40000))
    queue = deque([sent(udp(5), ports=(40000, 8080))])
    assert made.take(expected(udp(5)), queue).verdict is Verdict.MATCHED
    reading = read(made.inject(injected(udp(7))))
    assert (reading.source.port, reading.destination.port) == (8080, 40000)


def test_echoes_of_icmp_need_no_socket() -> None:
    made = Matcher(ADDRESSES, PLAIN)
    reading = read(made.inject(injected(icmp("echo_request", None, quoted("raw", 56), id=7))))
    assert (reading.protocol, reading.source.address) == (PROTOCOL_ICMP, REMOTE)
    reply = icmp("echo_reply", None, quoted("raw", 56), id=7)
    outcome = take(made, reply, reply)
    assert (outcome.verdict, outcome.actual) == (
        Verdict.MATCHED,
        "icmp echo_reply id 7 [raw(56)]",
    )
    outcome = take(made, reply, icmp("echo_reply", None, quoted("raw", 55), id=7))
    assert outcome.differences == (Difference("carried", "[raw(56)]", "[raw(55)]"),)


def test_an_error_of_the_host_is_about_the_datagram_that_it_quotes() -> None:
    made = Matcher(ADDRESSES, PLAIN)
    echo = icmp("echo_reply", None, quoted("raw", 5))
    made.inject(injected(icmp("echo_request", None, quoted("raw", 5))))
    assert take(made, echo, echo).verdict is Verdict.MATCHED
    made.inject(injected(udp(100)))
    error = icmp("unreachable", "port_unreachable", quoted("udp", 100))
    assert take(made, error, error).verdict is Verdict.MATCHED


def test_an_icmp_error_quotes_what_the_host_sent() -> None:
    made = passive()
    take(made, segment("P.", 1, 1000, 1), live("P.", 1, 1000))
    too_big = icmp("unreachable", "frag_needed", quoted("tcp", 1000, 1), mtu=1200)
    message = read(made.inject(injected(too_big))).payload
    assert isinstance(message, IcmpMessage)
    assert message.mtu == 1200
    assert message.quoted == Quoted(NOWHERE, "tcp", ISN + 1, 1000)


def test_an_icmp_error_that_quotes_nothing_is_about_the_last_datagram() -> None:
    made = passive()
    take(made, segment("P.", 1, 1000, 1), live("P.", 1, 1000))
    message = read(made.inject(injected(icmp("unreachable", "host_unreachable")))).payload
    assert isinstance(message, IcmpMessage)
    assert message.quoted == Quoted(NOWHERE, "tcp", ISN + 1, 1000)


# --- the end --------------------------------------------------------------------------------------


def test_every_connection_is_reset_where_the_host_expects_it() -> None:
    made = passive()
    made.inject(injected(segment("P.", 1, 10, 1, 1000)))
    take(made, segment("P.", 1, 100, 11), live("P.", 1, 100, 11))
    (octets,) = made.resets()
    reading = read(octets)
    assert not reading.faults
    assert reading.source == Endpoint(REMOTE, 53055)
    reset = reading.payload
    assert isinstance(reset, TcpSegment)
    assert (reset.flags, reset.seq, reset.ack) == ("R.", 11, ISN + 101)


def test_what_is_left_is_described() -> None:
    made = passive()
    assert made.describe(sent(live("P.", 1, 10)).octets) == "P. 1:11(10) ack 1 win 500"
    stray = sent(segment(".", 5, 0, 5, 5), ports=(1, 2)).octets
    assert made.describe(stray) == "1 > 2 . 5:5(0) ack 5 win 5"
    strange = build(Endpoint(LOCAL, 0), Endpoint(REMOTE, 0), None, udp(0))
    assert made.describe(strange[:10]).startswith("malformed")
