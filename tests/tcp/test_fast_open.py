"""TCP Fast Open (RFC 7413) at both ends, as Linux has it."""

from __future__ import annotations

from errno import ECONNRESET

import pytest

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.fast_open_client import Failure
from tapstack.tcp.fast_open_keys import cookie_for, parse_keys
from tapstack.tcp.info import OPT_SYN_DATA
from tapstack.tcp.listener import Listener
from tapstack.tcp.options import build_options, parse_options
from tapstack.tcp.segment import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    FastOpen,
    Options,
    Segment,
    Timestamps,
    format_flags,
)
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host, World
from tests.tcp.test_syn_queue import IRS, T0, final_ack, until_silence

KEY = "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"
OTHER_KEY = "1-2-3-4"
BOTH = 0x3
COOKIE = cookie_for(parse_keys(KEY)[0], B, A)
"""What host A gives to B."""
REQUEST = FastOpen(b"")
MSS = Options(mss=1460)


# --- cookies and options ------------------------------------------------------------------------


def test_a_cookie_is_what_linux_makes_of_the_key_and_the_addresses() -> None:
    client, server = parse_ipv4("192.0.2.1"), parse_ipv4("192.168.0.1")
    assert cookie_for(parse_keys(KEY)[0], client, server).hex() == "3021b9d889017eeb"


@pytest.mark.parametrize("text", ["", "1-2-3", "1-2-3-4-5", "x-2-3-4", "1-2-3-123456789", "1,2,3"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        parse_keys(text)


@pytest.mark.parametrize(
    ("option", "octets"),
    [
        (REQUEST, "22020101"),
        (FastOpen(COOKIE), "220a" + COOKIE.hex() + "0101"),
        (FastOpen(b"", experimental=True), "fe04f989"),
        (FastOpen(COOKIE, experimental=True), "fe0cf989" + COOKIE.hex()),
        (FastOpen(b"1234"), "22063132 33340101"),
    ],
)
def test_the_option_comes_last_and_its_padding_behind_it(option: FastOpen, octets: str) -> None:
    built = build_options(MSS._replace(fast_open=option))
    assert built == bytes.fromhex("020405b4" + octets)
    assert parse_options(built).fast_open == option


@pytest.mark.parametrize("octets", ["2203aa", "2204aabb", "2214" + 18 * "a1", "fe04f988", "fe03f9"])
def test_what_is_no_fast_open_option(octets: str) -> None:
    assert parse_options(bytes.fromhex(octets)).fast_open is None


# --- the server ---------------------------------------------------------------------------------


def serving(limit: int = 5, **settings: object) -> tuple[Host, Listener]:
    config = TcpConfig(tcp_fastopen=BOTH, tcp_fastopen_key=KEY)
    for name, value in settings.items():
        setattr(config, name, value)
    host = Host(A, config=config)
    options = UserOptions(fastopen=limit)
    return host, host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 5, options)


def syn(
    host: Host, option: FastOpen | None, text: bytes = b"", now: int = T0, sport: int = 5000
) -> Segment:
    options = Options(mss=1460, fast_open=option)
    (answer,) = host.inject(now, flags=SYN, seq=IRS, options=options, text=text, sport=sport)
    assert answer.flags == SYN | ACK
    return answer


def opened_early(text: bytes = b"GET /") -> tuple[Host, Listener, Tcb, Segment]:
    host, listener = serving()
    answer = syn(host, FastOpen(COOKIE), text)
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    return host, listener, tcb, answer


@pytest.mark.parametrize("experimental", [False, True])
def test_who_asks_for_a_cookie_gets_one(experimental: bool) -> None:
    host, listener = serving()
    answer = syn(host, FastOpen(b"", experimental))
    assert answer.options.fast_open == FastOpen(COOKIE, experimental)
    assert answer.ack == IRS + 1
    assert not listener.accept_queue
    assert host.counters["TcpExtTCPFastOpenCookieReqd"] == 1
    assert host.counters["TcpExtTCPFastOpenPassiveFail"] == 0


def test_text_with_a_good_cookie_can_be_read_before_the_handshake_is_done() -> None:
    host, listener = serving()
    answer = syn(host, FastOpen(COOKIE), b"GET /")
    assert answer.ack == IRS + 6
    assert answer.options.fast_open is None
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert tcb.state is State.SYN_RECEIVED
    assert host.tcp.receive_text(tcb, 100, T0) == b"GET /"
    assert host.counters["TcpExtTCPFastOpenPassive"] == 1
    assert host.counters["TcpPassiveOpens"] == 1


def test_an_answer_can_leave_before_the_handshake_is_done_and_is_acknowledged_with_it() -> None:
    host, _, tcb, answer = opened_early()
    host.tcp.send(tcb, b"x" * 2000, T0)
    host.tcp.flush(T0)
    text = host.sent()
    assert [(s.seq - answer.seq - 1, len(s.text)) for s in text] == [(0, 1460), (1460, 540)]
    assert all(segment.ack == IRS + 6 for segment in text)
    assert tcb.state is State.SYN_RECEIVED
    host.inject(T0 + 100_000, flags=ACK, seq=IRS + 6, ack=answer.seq + 2001)
    assert tcb.state is State.ESTABLISHED
    assert not tcb.sent
    assert tcb.rtt.srtt == 100_000
    assert list(host.timers.armed()) == []
    assert tcb.syn_text_acked


def test_only_the_syn_ack_is_sent_again_while_it_is_not_acknowledged() -> None:
    host, _, tcb, answer = opened_early()
    host.tcp.send(tcb, b"x" * 100, T0)
    host.tcp.flush(T0)
    host.sent()
    log = until_silence(host)
    assert [ms for ms, _ in log] == [1000, 3000, 7000, 15000, 31000, 63000], "once more than others"
    assert all((s.flags, s.seq, s.ack) == (SYN | ACK, answer.seq, IRS + 6) for _, s in log)
    assert tcb.state is State.CLOSED


def test_text_that_was_lost_is_sent_again_once_the_handshake_is_done() -> None:
    host, _, tcb, answer = opened_early()
    host.tcp.send(tcb, b"x" * 100, T0)
    host.tcp.flush(T0)
    host.sent()
    host.inject(T0 + 50_000, flags=ACK, seq=IRS + 6, ack=answer.seq + 1)
    assert tcb.state is State.ESTABLISHED
    deadline = host.timers.next_deadline()
    assert deadline is not None
    host.expire(deadline)
    (again,) = host.sent()
    assert (again.seq, len(again.text)) == (answer.seq + 1, 100)


@pytest.mark.parametrize("offered", [b"12345678", b"1234", COOKIE[:6]])
def test_a_bad_cookie_is_answered_with_a_good_one_and_the_text_is_not_taken(
    offered: bytes,
) -> None:
    host, listener = serving()
    answer = syn(host, FastOpen(offered), b"GET /")
    assert answer.options.fast_open == FastOpen(COOKIE)
    assert answer.ack == IRS + 1
    assert not listener.accept_queue
    assert host.counters["TcpExtTCPFastOpenPassiveFail"] == 1


def test_a_cookie_of_the_second_key_is_good_and_replaced() -> None:
    host, listener = serving(tcp_fastopen_key=f"{OTHER_KEY},{KEY}")
    answer = syn(host, FastOpen(COOKIE), b"GET /")
    fresh = cookie_for(parse_keys(OTHER_KEY)[0], B, A)
    assert answer.options.fast_open == FastOpen(fresh)
    assert answer.ack == IRS + 6
    assert len(listener.accept_queue) == 1
    assert host.counters["TcpExtTCPFastOpenPassiveAltKey"] == 1


def test_a_listener_may_have_a_key_of_its_own() -> None:
    host, listener = serving()
    listener.options.fastopen_key = parse_keys(OTHER_KEY)[0]
    fresh = cookie_for(parse_keys(OTHER_KEY)[0], B, A)
    assert syn(host, REQUEST).options.fast_open == FastOpen(fresh)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [({"tcp_fastopen": 1}, 5), ({"tcp_fastopen": 0}, 5), ({}, 0), ({"tcp_fastopen": 0x401}, 0)],
)
def test_who_does_not_serve_it_ignores_the_option(settings: dict[str, int], limit: int) -> None:
    host, _ = serving(limit, **settings)
    answer = syn(host, FastOpen(COOKIE), b"GET /")
    assert answer.options.fast_open is None
    assert answer.ack == IRS + 1


@pytest.mark.parametrize(("mode", "no_cookie"), [(0x203, False), (3, True)])
def test_text_without_a_cookie_where_none_is_needed(mode: int, no_cookie: bool) -> None:
    host, listener = serving(tcp_fastopen=mode)
    listener.options.fastopen_no_cookie = no_cookie
    answer = syn(host, None, b"GET /")
    assert answer.ack == IRS + 6
    assert len(listener.accept_queue) == 1


def test_every_listener_serves_it_where_so_configured() -> None:
    host, listener = serving(0, tcp_fastopen=0x403)
    assert listener.options.fastopen == 5
    assert syn(host, FastOpen(COOKIE), b"GET /").ack == IRS + 6


def test_no_more_than_the_limit_are_pending() -> None:
    host, listener = serving(2)
    answers = [syn(host, FastOpen(COOKIE), b"hi", sport=port) for port in (1, 2, 3)]
    assert [answer.ack - IRS for answer in answers] == [3, 3, 1]
    assert answers[2].options.fast_open is None
    assert host.counters["TcpExtTCPFastOpenListenOverflow"] == 1
    final_ack(host, answers[0], seq=IRS + 3)
    assert syn(host, FastOpen(COOKIE), b"hi", sport=4).ack == IRS + 3
    assert listener.fast_opens.count == 2


def test_one_that_was_reset_counts_for_a_minute() -> None:
    host, listener, tcb, _ = opened_early()
    listener.options.fastopen = 1
    host.inject(T0, flags=RST, seq=IRS + 6)
    assert tcb.state is State.CLOSED
    assert tcb.error == ECONNRESET
    assert syn(host, FastOpen(COOKIE), b"hi", sport=2).ack == IRS + 1
    later = T0 + 60 * SECOND
    assert syn(host, FastOpen(COOKIE), b"hi", later, sport=3).ack == IRS + 3
    assert syn(host, FastOpen(COOKIE), b"hi", later, sport=4).ack == IRS + 1


def test_one_that_was_reset_before_it_was_accepted_is_still_handed_out() -> None:
    host, listener = serving()
    syn(host, FastOpen(COOKIE), b"GET /")
    host.inject(T0, flags=RST, seq=IRS + 6)
    assert listener.fast_opens.count == 0
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert host.tcp.receive_text(tcb, 100, T0) == b"GET /"
    with pytest.raises(ConnectionResetError):
        host.tcp.receive_text(tcb, 100, T0)


def test_a_syn_without_text_but_with_a_cookie_opens_early_too() -> None:
    host, listener = serving()
    assert syn(host, FastOpen(COOKIE)).ack == IRS + 1
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert host.tcp.receive_text(tcb, 100, T0) is None
    assert host.tcp.is_writable(tcb)


def test_the_syn_comes_again() -> None:
    host, _, tcb, answer = opened_early()
    assert syn(host, FastOpen(COOKIE), b"GET /", T0 + 600_000)._replace(options=MSS) == answer
    assert host.tcp.receive_text(tcb, 100, T0) == b"GET /"
    assert host.tcp.receive_text(tcb, 100, T0) is None


@pytest.mark.parametrize("flags", [SYN, SYN | ACK])
def test_a_syn_in_the_window_is_reset_and_changes_nothing(flags: int) -> None:
    host, _, tcb, answer = opened_early()
    (reset,) = host.inject(T0, flags=flags, seq=IRS + 6, ack=answer.seq + 1)
    assert reset.flags & RST
    assert tcb.state is State.SYN_RECEIVED


def test_closing_early_sends_what_waits_and_the_fin() -> None:
    host, _, tcb, answer = opened_early()
    assert host.tcp.receive_text(tcb, 100, T0) == b"GET /"
    host.tcp.send(tcb, b"bye", T0)
    host.tcp.close(tcb, T0)
    host.tcp.flush(T0)
    (last,) = host.sent()
    assert (format_flags(last.flags), last.text) == ("FP.", b"bye")
    assert tcb.state is State.FIN_WAIT_1
    host.inject(T0 + 50_000, flags=ACK, seq=IRS + 6, ack=answer.seq + 5)
    assert tcb.state is State.FIN_WAIT_2
    host.inject(T0 + 50_000, flags=ACK | FIN, seq=IRS + 6, ack=answer.seq + 5)
    assert tcb.state is State.TIME_WAIT


def test_shutting_down_early_waits_for_the_handshake() -> None:
    host, _, tcb, answer = opened_early()
    host.tcp.shutdown(tcb, read=False, write=True)
    host.tcp.flush(T0)
    assert host.sent() == []
    (fin,) = host.inject(T0, flags=ACK, seq=IRS + 6, ack=answer.seq + 1)
    assert fin.flags == FIN | ACK
    assert tcb.state is State.FIN_WAIT_1


def test_closing_the_listener_resets_those_that_opened_early() -> None:
    host, listener = serving()
    answer = syn(host, FastOpen(COOKIE), b"GET /")
    host.tcp.close(listener, T0)
    host.tcp.flush(T0)
    (reset,) = host.sent()
    assert (reset.flags & RST, reset.seq) == (RST, answer.seq + 1)
    assert list(host.tcp.connections) == []
    assert list(host.timers.armed()) == []


# --- the client ---------------------------------------------------------------------------------


class Client:
    """Host A, which opens connections to B's port 80 with text, and B's answers by hand."""

    def __init__(self, **settings: object) -> None:
        self.host = Host(A)
        for name, value in settings.items():
            setattr(self.host.config, name, value)
        self.now = T0
        self.sport = 40_000

    def open(self, text: bytes = b"GET /", **options: object) -> tuple[Tcb, Segment]:
        """Open with text; give the SYN that leaves."""
        self.sport += 1
        self.tcb = self.host.tcp.open_active(
            Endpoint(B, 80),
            UserOptions(**options),  # type: ignore[arg-type]
            self.now,
            self.host.tcp.bind(Endpoint(A, self.sport)),
            with_text=True,
        )
        self.taken = self.host.tcp.send(self.tcb, text, self.now)
        self.host.tcp.flush(self.now)
        (self.syn,) = self.host.sent()
        return self.tcb, self.syn

    def answer(self, acked: int = 0, text: bytes = b"", **fields: object) -> list[Segment]:
        """Answer with a SYN-ACK for the SYN and so many octets behind it."""
        ack = self.syn.seq + 1 + acked
        options = Options(mss=1000, **fields)  # type: ignore[arg-type]
        return self.host.inject(
            self.now, sport=80, dport=self.sport, flags=SYN | ACK, seq=IRS, ack=ack,
            options=options, text=text,
        )  # fmt: skip

    def learn(self, option: FastOpen = FastOpen(b"cookie!!")) -> None:  # noqa: B008
        """Get a cookie."""
        tcb, _ = self.open()
        self.answer(fast_open=option)
        self.host.tcp.abort(tcb)
        self.host.tcp.flush(self.now)
        self.host.sent()


def test_without_a_cookie_the_syn_asks_for_one_and_carries_no_text() -> None:
    client = Client()
    tcb, first = client.open()
    assert client.taken == 0
    assert (first.text, first.options.fast_open) == (b"", REQUEST)
    (ack,) = client.answer(fast_open=FastOpen(b"cookie!!"))
    assert ack.flags == ACK
    assert tcb.state is State.ESTABLISHED
    assert client.host.tcp.send(tcb, b"GET /", T0) == 5


def test_with_a_cookie_the_text_goes_with_the_syn() -> None:
    client = Client()
    client.learn()
    tcb, first = client.open()
    assert client.taken == 5
    assert (first.flags, first.text) == (SYN, b"GET /")
    assert first.options.fast_open == FastOpen(b"cookie!!")
    (ack,) = client.answer(5)
    assert (ack.flags, ack.seq, ack.text) == (ACK, first.seq + 6, b"")
    assert tcb.state is State.ESTABLISHED
    assert not tcb.sent
    assert tcb.send_buffer.octets == 0
    info = client.host.tcp.info(tcb, T0)
    assert (info.options & OPT_SYN_DATA, info.fastopen_client_fail) == (OPT_SYN_DATA, 0)
    assert client.host.counters["TcpExtTCPFastOpenActive"] == 1
    assert client.host.counters["TcpExtTCPOrigDataSent"] == 1


def test_text_that_the_syn_ack_does_not_acknowledge_is_sent_again_at_once() -> None:
    client = Client()
    client.learn()
    tcb, first = client.open()
    (again,) = client.answer(0)
    assert (format_flags(again.flags), again.seq, again.text) == ("P.", first.seq + 1, b"GET /")
    assert client.host.counters["TcpExtTCPFastOpenActiveFail"] == 1
    assert client.host.tcp.info(tcb, T0).fastopen_client_fail == Failure.NOT_ACKNOWLEDGED
    client.host.inject(
        T0 + 1000, sport=80, dport=client.sport, flags=ACK, seq=IRS + 1, ack=first.seq + 6
    )
    assert not tcb.sent
    assert tcb.window.cwnd >= 10
    assert list(client.host.timers.armed()) == []


def test_text_of_which_some_is_acknowledged() -> None:
    client = Client()
    client.learn()
    _, first = client.open(b"0123456789")
    (again,) = client.answer(4)
    assert (again.seq, again.text) == (first.seq + 5, b"456789")


def test_a_syn_carries_as_much_as_the_server_s_mss_and_all_options_leave_room_for() -> None:
    client = Client()
    client.learn()
    _, first = client.open(b"x" * 5000)
    assert client.taken == len(first.text) == 1000 - 40
    client.answer(960)
    without = Client(tcp_fastopen=0x5)
    _, first = without.open(b"x" * 5000)
    assert len(first.text) == 1460 - 40
    assert first.options.fast_open is None


def test_text_that_does_not_fit_the_server_s_mss_any_more_is_cut() -> None:
    client = Client(tcp_fastopen=0x5)
    client.open(b"x" * 1420)
    again = client.answer(0)
    assert [len(segment.text) for segment in again] == [1000, 420]


def test_a_syn_that_is_sent_again_has_neither_cookie_nor_text() -> None:
    client = Client()
    client.learn()
    tcb, first = client.open()
    client.host.expire(T0 + SECOND)
    (again,) = client.host.sent()
    assert (again.flags, again.seq, again.text) == (SYN, first.seq, b"")
    assert again.options.fast_open is None
    client.now = T0 + SECOND + 1000
    (text,) = client.answer(0)
    assert text.text == b"GET /"
    assert tcb.state is State.ESTABLISHED


def test_text_in_a_syn_ack_is_taken_if_fast_open_was_used() -> None:
    client = Client()
    client.learn()
    tcb, _ = client.open()
    (ack,) = client.answer(5, b"200 OK")
    assert ack.ack == IRS + 7
    assert client.host.tcp.receive_text(tcb, 100, T0) == b"200 OK"


def test_a_server_that_ignores_the_option_is_asked_with_the_experimental_one_next() -> None:
    client = Client()
    offers = []
    for _ in range(4):
        tcb, first = client.open()
        offers.append(first.options.fast_open)
        client.answer()
        client.host.tcp.abort(tcb)
        client.host.tcp.flush(T0)
        client.host.sent()
    experimental = FastOpen(b"", experimental=True)
    assert offers == [REQUEST, experimental, REQUEST, REQUEST]


def test_a_cookie_that_came_in_the_experimental_option_goes_back_in_it() -> None:
    client = Client()
    client.learn(FastOpen(b"cookie!!", experimental=True))
    _, first = client.open()
    assert first.options.fast_open == FastOpen(b"cookie!!", experimental=True)


def test_an_unasked_cookie_is_not_kept() -> None:
    client = Client()
    tcb = client.host.tcp.open_active(
        Endpoint(B, 80), UserOptions(), T0, client.host.tcp.bind(Endpoint(A, client.sport))
    )
    client.host.tcp.flush(T0)
    (client.syn,) = client.host.sent()
    client.answer(fast_open=FastOpen(b"cookie!!"))
    assert tcb.state is State.ESTABLISHED
    _, first = client.open()
    assert first.options.fast_open == REQUEST


def test_a_connection_may_wait_for_the_text_of_its_user() -> None:
    client = Client()
    client.learn()
    host = client.host
    options = UserOptions(fastopen_connect=True)
    tcb = host.tcp.open_active(Endpoint(B, 80), options, T0)
    host.tcp.flush(T0)
    assert host.sent() == []
    assert tcb.state is State.SYN_SENT
    assert host.tcp.is_writable(tcb)
    assert host.tcp.send(tcb, b"GET /", T0) == 5
    host.tcp.flush(T0)
    (first,) = host.sent()
    assert first.text == b"GET /"
    assert not host.tcp.is_writable(tcb)


def test_a_connection_does_not_wait_where_there_is_no_cookie() -> None:
    client = Client()
    options = UserOptions(fastopen_connect=True)
    client.host.tcp.open_active(Endpoint(B, 80), options, T0)
    client.host.tcp.flush(T0)
    (first,) = client.host.sent()
    assert first.options.fast_open == REQUEST


def test_a_connection_that_waits_can_be_given_up() -> None:
    client = Client()
    client.learn()
    host = client.host
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(fastopen_connect=True), T0)
    host.tcp.close(tcb, T0)
    host.tcp.flush(T0)
    assert host.sent() == []
    assert list(host.tcp.connections) == []
    assert host.tcp.bound_ports == 0


# --- paths that swallow it ----------------------------------------------------------------------


def resting(pause: int = 60) -> Client:
    """A client whose third timeout in a row has just been met."""
    client = Client(tcp_fastopen_blackhole_timeout_sec=pause)
    client.learn()
    client.open()
    for second in (1, 2, 3):
        client.host.expire(T0 + second * SECOND)
    client.host.sent()
    client.now = T0 + 3 * SECOND
    return client


def test_fast_open_rests_after_three_timeouts_in_a_row() -> None:
    client = resting()
    assert client.host.counters["TcpExtTCPFastOpenBlackhole"] == 1
    _, first = client.open()
    assert (first.text, first.options.fast_open) == (b"", None)
    client.now += 60 * SECOND
    _, first = client.open()
    assert first.text == b"GET /"


def test_it_rests_longer_each_time_until_it_works_again() -> None:
    client = resting()
    client.host.tcp.abort(client.tcb)
    client.now += 60 * SECOND
    client.open()
    for _ in range(3):
        client.now += SECOND
        client.host.expire(client.now)
    client.host.sent()
    client.now += 119 * SECOND
    assert client.open()[1].text == b""
    client.now += SECOND
    tcb, first = client.open()
    assert first.text == b"GET /"
    client.answer(5)
    client.host.inject(
        client.now, sport=80, dport=client.sport, flags=ACK | PSH, seq=IRS + 1,
        ack=first.seq + 6, text=b"200 OK",
    )  # fmt: skip
    client.host.tcp.abort(tcb)
    assert not client.host.tcp._ctx.fast_open_peers.was_paused


def test_it_never_rests_by_default() -> None:
    client = resting(0)
    assert client.host.counters["TcpExtTCPFastOpenBlackhole"] == 0
    assert client.open()[1].text == b"GET /"


@pytest.mark.parametrize("flags", [RST, ACK | FIN])
def test_an_end_that_comes_before_any_text_makes_it_rest(flags: int) -> None:
    client = Client(tcp_fastopen_blackhole_timeout_sec=60)
    client.learn()
    tcb, first = client.open()
    client.answer(5)
    client.host.inject(
        T0, sport=80, dport=client.sport, flags=flags, seq=IRS + 101, ack=first.seq + 6
    )
    client.host.tcp.abort(tcb)
    assert client.host.counters["TcpExtTCPFastOpenBlackhole"] == 1


# --- both ---------------------------------------------------------------------------------------


def ask(world: World, listener: Listener) -> int:
    """Connect, ask, and be answered; tell how many ms that took."""
    start = world.now
    client = world.a.tcp.open_active(Endpoint(B, 80), UserOptions(), start, with_text=True)
    taken = world.a.tcp.send(client, b"ping", start)
    world.a.tcp.flush(start)
    if not taken:
        world.run(lambda: client.state is State.ESTABLISHED)
        world.send(client, b"ping")
    world.run(lambda: bool(listener.accept_queue))
    server = world.b.tcp.accept(listener)
    assert server is not None
    world.run(lambda: world.b.tcp.is_readable(server))
    assert world.receive(server) == b"ping"
    world.send(server, b"pong")
    world.run(lambda: world.a.tcp.is_readable(client))
    assert world.receive(client) == b"pong"
    duration = (world.now - start) // MILLISECOND
    assert world.transfer(server, client, b"y" * 50_000) == b"y" * 50_000
    world.close(client)
    world.run_for(SECOND)
    world.close(server)
    world.run_for(SECOND)
    return duration


def test_a_round_trip_is_saved_the_second_time() -> None:
    world = World(delay=50 * MILLISECOND, config=TcpConfig(tcp_fastopen=0x403))
    listener = world.listen()
    assert [ask(world, listener) for _ in range(3)] == [200, 100, 100]
    assert listener.fast_opens.count == 0


def test_timestamps_and_scaling_are_agreed_on_as_ever() -> None:
    host, listener = serving()
    offered = Options(
        mss=1460, window_scale=7, sack_permitted=True, timestamps=Timestamps(9, 0),
        fast_open=FastOpen(COOKIE),
    )  # fmt: skip
    (answer,) = host.inject(T0, flags=SYN, seq=IRS, options=offered, text=b"GET /", wnd=2000)
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert answer.options.window_scale == 7
    assert tcb.snd_wnd == 2000, "a SYN's window is not scaled"
    stamps = Options(timestamps=Timestamps(10, 0))
    host.inject(T0, flags=ACK, seq=IRS + 6, ack=answer.seq + 1, wnd=500, options=stamps)
    assert tcb.snd_wnd == 500 << 7
