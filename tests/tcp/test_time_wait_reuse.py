"""Who may follow on a connection in TIME-WAIT (RFC 6191, RFC 1337), and FIN-WAIT-2 with no user."""

from __future__ import annotations

from errno import EADDRNOTAVAIL

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.segment import ACK, FIN, PSH, RST, SYN, Options, Timestamps, format_flags
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, World
from tests.tcp.test_state_segment_grid import T0, Peer

STAMPS = Options(timestamps=Timestamps(5000, 0))
ONE_PORT = (40_000, 40_000)


# --- opened by us -------------------------------------------------------------------------------


def over(**settings: object) -> tuple[World, Tcb]:
    """A world whose A has one port for connections, and that in TIME-WAIT."""
    world = World(config=TcpConfig(ip_local_port_range=ONE_PORT))
    for name, value in settings.items():
        setattr(world.a.config, name, value)
    client, server = world.pair()
    world.close(client)
    world.run_for(SECOND)
    world.close(server)
    world.run(lambda: client.state is State.TIME_WAIT)
    return world, client


@pytest.mark.parametrize(
    ("settings", "wait", "reused"),
    [
        ({"tcp_tw_reuse": 1}, 1001 * MILLISECOND, True),
        ({"tcp_tw_reuse": 1}, 999 * MILLISECOND, False),
        ({"tcp_tw_reuse": 1, "tcp_tw_reuse_delay": 0}, 1 * MILLISECOND, True),
        ({"tcp_tw_reuse": 1, "tcp_timestamps": False}, 5 * SECOND, False),
        ({"tcp_tw_reuse": 2}, 5 * SECOND, False),
        ({"tcp_tw_reuse": 0}, 5 * SECOND, False),
        ({"tcp_tw_reuse": 0}, 61 * SECOND, True),
    ],
)
def test_a_port_in_time_wait_is_taken_again_if_timestamps_tell_and_it_is_allowed(
    settings: dict[str, object], wait: int, reused: bool
) -> None:
    world, old = over(**settings)
    world.run_for(wait)
    if reused:
        again = world.connect()
        assert again.local == old.local
        world.run(lambda: again.state is State.ESTABLISHED)
    else:
        with pytest.raises(OSError, match="assign") as caught:
            world.connect()
        assert caught.value.errno == EADDRNOTAVAIL
        assert old.state is State.TIME_WAIT


def test_the_successor_begins_beyond_all_that_its_predecessor_sent() -> None:
    world, old = over(tcp_tw_reuse=1)
    world.run_for(2 * SECOND)
    again = world.connect()
    assert again.iss == (old.snd_nxt + 65537) % 2**32
    assert again.ts_recent == old.ts_recent
    assert world.a.counters["TcpExtTWRecycled"] == 1
    assert old.state is State.CLOSED
    world.run(lambda: again.state is State.ESTABLISHED)


@pytest.mark.parametrize("timestamps", [True, False])
def test_who_binds_the_port_may_succeed_at_once_if_timestamps_tell(timestamps: bool) -> None:
    world = World(config=TcpConfig(tcp_tw_reuse=0, tcp_timestamps=timestamps))
    listener = world.listen()

    def connect() -> Tcb:
        binding = world.a.tcp.bind(Endpoint(A, 5000), reuse_address=True)
        tcb = world.a.tcp.open_active(Endpoint(B, 80), UserOptions(), world.now, binding)
        world.a.tcp.flush(world.now)
        return tcb

    client = connect()
    world.run(lambda: bool(listener.accept_queue))
    server = world.b.tcp.accept(listener)
    assert server is not None
    world.close(client)
    world.run_for(SECOND)
    world.close(server)
    world.run(lambda: client.state is State.TIME_WAIT)
    if timestamps:
        again = connect()
        world.run(lambda: again.state is State.ESTABLISHED)
    else:
        with pytest.raises(OSError, match="assign"):
            connect()


# --- opened by the peer -------------------------------------------------------------------------


def waiting(**settings: object) -> Peer:
    """A connection in TIME-WAIT that had timestamps, the last of which was 5000."""
    peer = Peer("LISTEN", 1000)
    for name, value in settings.items():
        setattr(peer.host.config, name, value)
    (answer,) = peer.host.inject(
        T0, flags=SYN, seq=1000, options=Options(mss=1460, timestamps=Timestamps(4000, 0))
    )
    una = answer.seq + 1
    peer.host.inject(T0, flags=ACK, seq=1001, ack=una, options=STAMPS)
    tcb = peer.host.tcp.accept(peer.listener)
    assert tcb is not None
    peer.tcb = tcb
    peer.host.tcp.close(tcb, T0)
    peer.host.tcp.flush(T0)
    peer.host.inject(T0, flags=ACK | FIN, seq=1001, ack=una + 1, options=STAMPS)
    assert tcb.state is State.TIME_WAIT
    peer.rcv_nxt, peer.snd_nxt = 1002, una + 1
    return peer


@pytest.mark.parametrize(
    ("seq", "value", "flags"),
    [
        (1003, 5001, "S."),
        (1, 5001, "S."),
        (1003, 5000, "S."),
        (1, 5000, "."),
        (1003, 4999, "."),
        (2**31, 4999, "."),
    ],
)
def test_a_syn_with_a_newer_timestamp_or_number_begins_anew(
    seq: int, value: int, flags: str
) -> None:
    peer = waiting()
    options = Options(mss=1460, timestamps=Timestamps(value, 0))
    (answer,) = peer.host.inject(T0, flags=SYN, seq=seq, options=options)
    assert format_flags(answer.flags) == flags
    if flags == "S.":
        assert answer.seq == (peer.snd_nxt + 65537) % 2**32
    else:
        assert answer.ack == 1002


def test_a_syn_is_dropped_and_the_wait_over_if_the_accept_queue_is_full() -> None:
    peer = waiting()
    peer.listener.backlog = -1
    options = Options(mss=1460, timestamps=Timestamps(5001, 0))
    assert peer.host.inject(T0, flags=SYN, seq=1003, options=options) == []
    assert peer.state() == "-"
    assert peer.host.counters["TcpExtListenOverflows"] == 1


def test_an_old_duplicate_is_answered_and_counted_and_the_wait_begins_anew() -> None:
    peer = waiting()
    tcb = peer.tcb
    assert tcb is not None
    old = Options(timestamps=Timestamps(4999, 0))
    (answer,) = peer.host.inject(
        T0 + SECOND, flags=ACK, seq=1002, ack=peer.snd_nxt, options=old, text=b"old"
    )
    assert answer.ack == 1002
    assert peer.host.counters["TcpExtPAWSTimewait"] == 1
    assert tcb.wait_timer.deadline == T0 + 61 * SECOND


@pytest.mark.parametrize("fixed", [False, True])
def test_a_reset_ends_the_wait_unless_rfc_1337_is_heeded(fixed: bool) -> None:
    peer = waiting(tcp_rfc1337=fixed)
    peer.host.inject(T0, flags=RST, seq=1002)
    assert peer.state() == ("TIME_WAIT" if fixed else "-")


# --- FIN-WAIT-2 without a user ------------------------------------------------------------------


def orphan(**options: int) -> Peer:
    """A connection whose user has closed it, and whose peer has not."""
    peer = Peer("ESTABLISHED", 1000)
    tcb = peer.tcb
    assert tcb is not None
    for name, value in options.items():
        setattr(tcb.options, name, value)
    peer.host.tcp.close(tcb, T0)
    peer.host.tcp.flush(T0)
    peer.host.sent()
    peer.snd_nxt = tcb.snd_nxt
    return peer


def waiting_for_fin(**options: int) -> Peer:
    peer = orphan(**options)
    assert peer.inject(ACK, peer.rcv_nxt, peer.snd_nxt) == []
    assert peer.state() == "FIN_WAIT_2"
    return peer


@pytest.mark.parametrize(
    ("flags", "ahead", "text", "answer", "state"),
    [
        (ACK, 0, b"", [], "FIN_WAIT_2"),
        (ACK | PSH, 0, b"text", ["R"], "-"),
        (ACK | FIN, 0, b"text", ["R"], "-"),
        (ACK | PSH, 10, b"text", ["R"], "-"),
        (ACK | PSH, -4, b"text", ["."], "FIN_WAIT_2"),
        (ACK | PSH, 1 << 24, b"text", ["."], "FIN_WAIT_2"),
        (ACK | FIN, 0, b"", ["."], "TIME_WAIT"),
        (FIN, 0, b"", [], "FIN_WAIT_2"),
        (PSH, 0, b"text", [], "FIN_WAIT_2"),
        (SYN, 0, b"", ["R."], "-"),
        (SYN, -1000, b"", ["."], "FIN_WAIT_2"),
        (RST, 0, b"", [], "-"),
        (RST, 10, b"", [], "-"),
        (RST, -10, b"", ["."], "FIN_WAIT_2"),
    ],
)
def test_what_comes_for_a_connection_that_nobody_will_read(
    flags: int, ahead: int, text: bytes, answer: list[str], state: str
) -> None:
    peer = waiting_for_fin()
    ack = peer.snd_nxt if flags & ACK else 0
    assert peer.inject(flags, peer.rcv_nxt + ahead, ack, text) == answer
    assert peer.state() == state


def test_answers_are_limited() -> None:
    peer = waiting_for_fin()
    for _ in range(5):
        peer.inject(ACK, peer.rcv_nxt - 10, peer.snd_nxt)
    assert peer.host.counters["TcpExtTCPACKSkippedFinWait2"] == 4


@pytest.mark.parametrize(("linger2", "seconds"), [(0, 60), (5, 5), (100, 100)])
def test_how_long_the_peer_s_fin_is_waited_for(linger2: int, seconds: int) -> None:
    peer = waiting_for_fin(linger2=linger2)
    assert peer.host.timers.next_deadline() == T0 + seconds * SECOND
    peer.host.expire(T0 + seconds * SECOND)
    assert peer.state() == "-"
    assert peer.host.sent() == []


def test_who_does_not_linger_resets_at_once() -> None:
    peer = orphan(linger2=-1)
    (reset,) = peer.inject(ACK, peer.rcv_nxt, peer.snd_nxt)
    assert reset == "R"
    assert peer.state() == "-"
    assert peer.host.counters["TcpExtTCPAbortOnData"] == 1


def test_the_fin_that_comes_at_last_begins_time_wait() -> None:
    peer = waiting_for_fin()
    later = T0 + 59 * SECOND
    (answer,) = peer.host.inject(later, flags=ACK | FIN, seq=peer.rcv_nxt, ack=peer.snd_nxt)
    assert answer.ack == peer.rcv_nxt + 1
    assert peer.host.timers.next_deadline() == later + 60 * SECOND


# --- SYN-SENT -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "state"), [(0, "ESTABLISHED"), (1, "SYN_SENT"), (-1, "SYN_SENT")])
def test_a_syn_ack_that_echoes_what_we_never_sent_is_reset(off: int, state: str) -> None:
    peer = Peer("CLOSED", 1000)
    peer.host.tcp.open_active(
        Endpoint(B, 5000), UserOptions(), T0, peer.host.tcp.bind(Endpoint(A, 80))
    )
    peer.host.tcp.flush(T0)
    (syn,) = peer.host.sent()
    assert syn.options.timestamps is not None
    echo = (syn.options.timestamps.value + off) % 2**32
    options = Options(mss=1460, timestamps=Timestamps(1, echo))
    (answer,) = peer.host.inject(T0, flags=SYN | ACK, seq=1000, ack=syn.seq + 1, options=options)
    assert format_flags(answer.flags) == ("R" if off else ".")
    assert peer.state() == state
    assert peer.host.counters["TcpExtPAWSActive"] == bool(off)


@pytest.mark.parametrize("option", [{"defer_accept": 1}, {"quickack": False}])
def test_the_final_ack_may_wait_for_text(option: dict[str, int]) -> None:
    for text in (b"GET /", b""):
        world = World()
        listener = world.listen()
        client = world.connect(options=UserOptions(**option))  # type: ignore[arg-type]
        world.run(lambda client=client: client.state is State.ESTABLISHED)
        start = world.now
        world.run_for(10 * MILLISECOND)
        assert not listener.accept_queue
        if text:
            world.send(client, text)
        world.run(lambda listener=listener: bool(listener.accept_queue))
        late = world.now - start
        assert late == (10 if text else 200) * MILLISECOND + world.delay
        assert len([s for _, sender, s in world.log if sender == A]) == 2
