"""SYN cookies (RFC 4987 §3.6): the SYN queue overflows, and who is real still gets in."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Endpoint
from tapstack.base.units import MINUTE, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.isn import KeyedHash
from tapstack.tcp.segment import ACK, CWR, ECE, RST, SYN, Options, Segment, Timestamps, format_flags
from tapstack.tcp.state import State
from tapstack.tcp.syn_cookies import MSS_VALUES, check_cookie, make_cookie
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host, SeededEntropy, World
from tests.tcp.test_syn_queue import IRS, T0, final_ack, listening, syn

ALWAYS = TcpConfig(tcp_syncookies=2)
NUMBERS = st.integers(0, 2**32 - 1)
EVERYTHING = Options(mss=1460, window_scale=7, sack_permitted=True, timestamps=Timestamps(500, 0))


def bring_back(host: Host, answer: Segment, now: int = T0, stamp: bool = True) -> list[Segment]:
    """Send the final ACK, which echoes the timestamp, if there is one."""
    stamps = answer.options.timestamps
    options = Options(timestamps=Timestamps(501, stamps.value)) if stamps and stamp else Options()
    return final_ack(host, answer, now, options=options)


def through_cookie(options: Options, config: TcpConfig = ALWAYS, flags: int = 0) -> Tcb:
    host, listener = listening(config=config)
    (answer,) = host.inject(T0, flags=SYN | flags, seq=IRS, options=options)
    assert list(host.tcp.connections) == []
    assert bring_back(host, answer) == []
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert tcb.state is State.ESTABLISHED
    return tcb


# --- the cookie ---------------------------------------------------------------------------------


@given(NUMBERS, NUMBERS, st.integers(0, 65535), st.integers(0, 2**40), st.integers(0, 59))
def test_a_cookie_tells_the_mss_for_as_long_as_it_is_good(
    irs: int, key: int, mss: int, now: int, later: int
) -> None:
    keyed_hash = KeyedHash(SeededEntropy(key))
    local, remote = Endpoint(A, 80), Endpoint(B, 5000)
    cookie = make_cookie(keyed_hash, local, remote, irs, mss, now)
    expected = max((value for value in MSS_VALUES if value <= mss), default=MSS_VALUES[0])
    for at in (now, now + later * SECOND):
        assert check_cookie(keyed_hash, local, remote, irs, cookie, at) == expected
    for at in (now + 2 * MINUTE, now + 200 * MINUTE):
        assert check_cookie(keyed_hash, local, remote, irs, cookie, at) is None


@given(NUMBERS, st.integers(1, 2**32 - 1))
def test_a_cookie_is_good_for_nobody_else(irs: int, error: int) -> None:
    keyed_hash = KeyedHash(SeededEntropy())
    local, remote = Endpoint(A, 80), Endpoint(B, 5000)
    cookie = make_cookie(keyed_hash, local, remote, irs, 1460, T0)
    assert check_cookie(keyed_hash, local, Endpoint(B, 5001), irs, cookie, T0) is None
    assert check_cookie(keyed_hash, Endpoint(A, 81), remote, irs, cookie, T0) is None
    assert check_cookie(KeyedHash(SeededEntropy(2)), local, remote, irs, cookie, T0) is None
    guess = (cookie + error) % 2**32
    mss = check_cookie(keyed_hash, local, remote, irs, guess, T0)
    assert mss in {None, *MSS_VALUES}
    assert mss is None or error % 2**32 in {*range(4), *range(2**32 - 3, 2**32)}


@given(NUMBERS, st.integers(1, 3000) | st.integers(-3000, -1))
def test_a_cookie_is_good_for_nothing_but_the_octet_behind_its_syn(irs: int, ahead: int) -> None:
    """Text that overtakes the ACK before it would begin a connection amid the stream."""
    keyed_hash = KeyedHash(SeededEntropy())
    local, remote = Endpoint(A, 80), Endpoint(B, 5000)
    cookie = make_cookie(keyed_hash, local, remote, irs, 1460, T0)
    assert check_cookie(keyed_hash, local, remote, (irs + ahead) % 2**32, cookie, T0) is None


# --- what is remembered -------------------------------------------------------------------------


def test_with_timestamps_every_option_is_remembered() -> None:
    tcb = through_cookie(EVERYTHING)
    assert (tcb.window_scaling, tcb.snd_wind_shift) == (True, 7)
    assert tcb.sack_permitted
    assert tcb.timestamps
    assert tcb.ts_recent == 501
    assert tcb.peer_mss == 1460
    assert tcb.snd_wnd == 65535 << 7


def test_without_timestamps_only_the_mss_is() -> None:
    options = Options(mss=1400, window_scale=7, sack_permitted=True)
    host, _ = listening(config=ALWAYS)
    (answer,) = host.inject(T0, flags=SYN, seq=IRS, options=options)
    assert answer.options == Options(mss=1460)
    tcb = through_cookie(options)
    assert (tcb.peer_mss, tcb.window_scaling, tcb.sack_permitted) == (1300, False, False)
    assert tcb.snd_wnd == 65535


@pytest.mark.parametrize("scale", [None, 0, 1, 14])
@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("ecn", [False, True])
def test_any_combination_of_options(scale: int | None, sack: bool, ecn: bool) -> None:
    options = EVERYTHING._replace(window_scale=scale, sack_permitted=sack)
    tcb = through_cookie(options, flags=(ECE | CWR) if ecn else 0)
    assert (tcb.window_scaling, tcb.snd_wind_shift) == (scale is not None, scale or 0)
    assert (tcb.sack_permitted, tcb.ecn) == (sack, ecn)


def test_an_answer_with_a_cookie_looks_as_any() -> None:
    plain, _ = listening()
    baked, _ = listening(config=ALWAYS)
    ordinary, cookie = (
        host.inject(T0, flags=SYN | ECE | CWR, seq=IRS, options=EVERYTHING)[0]
        for host in (plain, baked)
    )
    stamps = cookie.options.timestamps
    assert stamps is not None
    assert ordinary.options.timestamps is not None
    behind = (ordinary.options.timestamps.value - stamps.value) % 2**32
    assert 0 <= behind < 128, "its options cost the clock a little"
    same = cookie._replace(seq=ordinary.seq, options=ordinary.options)
    assert same == ordinary
    assert cookie.options._replace(timestamps=None) == ordinary.options._replace(timestamps=None)


def test_options_that_are_off_now_cannot_have_been_agreed_on() -> None:
    host, _ = listening(config=TcpConfig(tcp_syncookies=2))
    (answer,) = syn(host, options=EVERYTHING)
    host.config.tcp_sack = False
    (reset,) = bring_back(host, answer)
    assert reset.flags == RST


def test_text_that_comes_with_the_cookie_is_taken() -> None:
    host, listener = listening(config=ALWAYS)
    (answer,) = syn(host)
    (ack,) = final_ack(host, answer, text=b"hello")
    assert ack.ack == IRS + 6
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    assert host.tcp.receive_text(tcb, 10, T0) == b"hello"


# --- when there are cookies ---------------------------------------------------------------------


def test_cookies_begin_when_the_syn_queue_is_full_and_that_is_told_once() -> None:
    host, listener = listening(2)
    lines: list[str] = []
    host.tracer.watch(frozenset({"tcp"}), lambda _, line: lines.append(line))
    answers = [syn(host, sport=port)[0] for port in range(1, 6)]
    assert len(listener.syn_queue) == 3
    assert host.counters["TcpExtSyncookiesSent"] == 2
    assert host.counters["TcpExtTCPReqQFullDoCookies"] == 2
    assert host.counters["TcpExtListenDrops"] == 0
    assert len([line for line in lines if "possible SYN flooding" in line]) == 1
    bring_back(host, answers[4])
    assert host.counters["TcpExtSyncookiesRecv"] == 1
    assert len(listener.accept_queue) == 1
    assert host.counters["TcpPassiveOpens"] == 1


@pytest.mark.parametrize(("minutes", "good"), [(1, True), (2, False), (3, False)])
def test_a_cookie_grows_stale(minutes: int, good: bool) -> None:
    host, listener = listening(config=ALWAYS)
    (answer,) = syn(host, 0)
    sent = final_ack(host, answer, minutes * MINUTE)
    assert len(listener.accept_queue) == good
    assert [format_flags(segment.flags) for segment in sent] == ([] if good else ["R"])


def test_an_ack_is_no_cookie_where_none_was_sent_lately() -> None:
    host, _ = listening(config=ALWAYS)
    (reset,) = host.inject(T0, flags=ACK, seq=1, ack=2)
    assert reset.flags == RST
    assert host.counters["TcpExtSyncookiesFailed"] == 0
    syn(host)
    host.inject(T0, flags=ACK, seq=1, ack=2)
    assert host.counters["TcpExtSyncookiesFailed"] == 1


def test_a_cookie_that_finds_the_accept_queue_full_is_dropped() -> None:
    host, listener = listening(0, ALWAYS)
    answers = [syn(host, sport=port)[0] for port in (1, 2)]
    assert [bring_back(host, answer) for answer in answers] == [[], []]
    assert len(listener.accept_queue) == 1
    assert host.counters["TcpExtListenOverflows"] == 1
    assert len(list(host.tcp.connections)) == 1


# --- floods -------------------------------------------------------------------------------------


def test_a_flood_of_acks_makes_no_connection() -> None:
    host, _ = listening(config=ALWAYS)
    syn(host)
    numbers = random.Random(4987)
    for _ in range(20_000):
        (reset,) = host.inject(
            T0,
            flags=ACK,
            sport=numbers.randrange(65536),
            seq=numbers.getrandbits(32),
            ack=numbers.getrandbits(32),
        )
        assert reset.flags == RST
    assert list(host.tcp.connections) == []
    assert list(host.timers.armed()) == []
    assert host.counters["TcpExtSyncookiesFailed"] == 20_000


def test_who_is_real_gets_in_through_a_flood_of_syns() -> None:
    world = World()
    listener = world.listen(backlog=64)
    numbers = random.Random(4987)
    clients: list[Tcb] = []
    accepted = 0
    for _ in range(200):
        for _ in range(30):
            world.b.inject(world.now, flags=SYN, sport=numbers.randrange(65536), seq=1)
        options = UserOptions()
        clients.append(world.a.tcp.open_active(Endpoint(B, 80), options, world.now))
        world.a.tcp.flush(world.now)
        world.run_for(20_000)
        while (server := world.b.tcp.accept(listener)) is not None:
            accepted += 1
            assert world.transfer(server, clients[-1], b"welcome") == b"welcome"
    assert [client.state for client in clients].count(State.ESTABLISHED) == 200
    assert accepted == 200
    assert len(listener.syn_queue) == 65
    assert len(list(world.b.tcp.connections)) == 265
