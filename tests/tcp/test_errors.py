"""What goes wrong: ICMP errors, silent peers, old duplicates, bad segments, mistaken users."""

from __future__ import annotations

from errno import EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT
from struct import pack

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Endpoint
from tapstack.base.contracts import IcmpError
from tapstack.base.error_queue import ORIGIN_ICMP
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.segment import ACK, PSH, RST, SYN, Options, Timestamps, format_flags
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host, World
from tests.tcp.test_state_segment_grid import T0, Peer


def report(world: World, tcb: Tcb, type_: int, code: int, *, seq: int, mtu: int = 0) -> None:
    """Deliver an ICMP error about a segment of a connection."""
    host = world.host_of(tcb)
    quote = pack("!HHI", tcb.local.port, tcb.remote.port, seq % 2**32)
    error = IcmpError(
        type=type_,
        code=code,
        mtu=mtu,
        reporter=0x0A0000FE,
        source=tcb.local.address,
        destination=tcb.remote.address,
        protocol=6,
        quote=quote,
    )
    host.tcp.on_icmp_error(error, world.now)
    host.tcp.flush(world.now)


# --- ICMP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"), [(0, ENETUNREACH), (1, EHOSTUNREACH), (13, EHOSTUNREACH)]
)
def test_an_icmp_error_ends_an_attempt_to_connect(code: int, expected: int) -> None:
    world = World(fate=lambda octets, chance: [])
    tcb = world.connect()
    report(world, tcb, 3, code, seq=tcb.iss)
    assert tcb.state is State.CLOSED
    assert tcb.error == expected


def test_an_icmp_error_about_something_never_sent_is_ignored() -> None:
    world = World(fate=lambda octets, chance: [])
    tcb = world.connect()
    report(world, tcb, 3, 1, seq=tcb.iss + 5000)
    assert tcb.state is State.SYN_SENT
    assert world.a.counters["TcpExtOutOfWindowIcmps"] == 1


def test_an_icmp_error_does_not_end_a_connection_but_explains_its_timeout() -> None:
    world = World()
    client, _ = world.pair()
    world.fate = lambda octets, chance: []
    world.send(client, b"lost")
    report(world, client, 3, 3, seq=client.snd_una)
    assert client.state is State.ESTABLISHED
    report(world, client, 3, 1, seq=client.snd_una)
    world.run(lambda: client.state is State.CLOSED)
    assert client.error == EHOSTUNREACH


def test_who_asks_is_told_of_an_icmp_error_at_once() -> None:
    """IP_RECVERR, as Linux: the connection stands, and the error is pending."""
    world = World()
    client, _ = world.pair()
    client.options.recverr = True
    world.fate = lambda octets, chance: []
    world.send(client, b"lost")
    report(world, client, 3, 1, seq=client.snd_una)
    assert (client.state, client.error) == (State.ESTABLISHED, EHOSTUNREACH)


def test_what_ended_an_attempt_is_queued() -> None:
    world = World(fate=lambda octets, chance: [])
    tcb = world.connect()
    report(world, tcb, 3, 1, seq=tcb.iss)
    assert tcb.errors is not None
    told = tcb.errors.take()
    assert told is not None
    assert (told.errno, told.origin, told.type, told.code) == (EHOSTUNREACH, ORIGIN_ICMP, 3, 1)
    assert (told.destination, told.offender) == (tcb.remote, 0x0A0000FE)


def test_who_does_not_want_it_is_not_fitted_to_the_path() -> None:
    """IP_PMTUDISC_DONT: segments stay as they are, and routers may fragment them."""
    world = World()
    client, _ = world.pair()
    client.options.discovery = 0
    mss = client.effective_mss
    world.fate = lambda octets, chance: []
    world.send(client, b"lost")
    report(world, client, 3, 4, seq=client.snd_una, mtu=1000)
    assert client.effective_mss == mss


def test_fragmentation_needed_makes_segments_smaller_at_once() -> None:
    world = World(delay=MILLISECOND)
    client, server = world.pair()
    data = bytes(range(256)) * 40
    world.send(client, data)
    world.a.outbox.clear()  # a router dropped them
    report(world, client, 3, 4, seq=client.snd_una, mtu=1000)
    mss = 1000 - 40 - 12
    assert client.effective_mss == mss
    got = b""
    while len(got) < len(data):
        got += world.receive(server) or b""
        assert world.step()
    assert got == data
    assert max(len(s.text) for _, who, s in world.log if who == A) == mss
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


# --- a silent peer ------------------------------------------------------------------------------


def test_keep_alive_probes_an_idle_peer_and_gives_up_on_a_dead_one() -> None:
    world = World()
    world.listen()
    options = UserOptions(keepalive=True, keepidle=10, keepintvl=5, keepcnt=3)
    client = world.connect(options=options)
    world.run(lambda: client.state is State.ESTABLISHED)
    world.run_for(SECOND)
    mark, start = len(world.log), world.now
    world.run_for(35 * SECOND)
    probes = [s for _, who, s in world.log[mark:] if who == A]
    assert len(probes) == 3
    assert all(s.seq == client.snd_nxt - 1 and not s.text for s in probes)
    assert client.state is State.ESTABLISHED
    world.fate = lambda octets, chance: []
    world.run(lambda: client.state is State.CLOSED)
    assert client.error == ETIMEDOUT
    assert 35 * SECOND + 10 * SECOND <= world.now - start <= 35 * SECOND + 30 * SECOND


def test_an_idle_connection_is_left_alone_without_keep_alive() -> None:
    world = World()
    client, server = world.pair()
    world.run_for(SECOND)
    mark = len(world.log)
    world.run_for(100_000 * SECOND)
    assert world.log[mark:] == []
    assert world.transfer(client, server, b"still there") == b"still there"


# --- old duplicates -----------------------------------------------------------------------------


def established_with_timestamps() -> tuple[Host, Tcb, int, int]:
    host = Host(A)
    listener = host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 5, UserOptions())
    options = Options(mss=1460, timestamps=Timestamps(1000, 0))
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1, options=options)
    una = syn_ack.seq + 1
    host.inject(T0, flags=ACK, seq=2, ack=una, options=Options(timestamps=Timestamps(1001, 0)))
    tcb = host.tcp.accept(listener)
    assert tcb is not None
    return host, tcb, 2, una


def test_paws_drops_a_segment_with_an_old_timestamp_and_answers() -> None:
    host, tcb, seq, una = established_with_timestamps()
    old = Options(timestamps=Timestamps(999, 0))
    answer = host.inject(T0, flags=ACK | PSH, seq=seq, ack=una, text=b"old", options=old)
    assert [format_flags(s.flags) for s in answer] == ["."]
    assert host.counters["TcpExtPAWSEstab"] == 1
    assert host.tcp.receive_text(tcb, 10, T0) is None


def test_paws_never_stops_a_reset() -> None:
    host, tcb, seq, _ = established_with_timestamps()
    host.inject(T0, flags=RST, seq=seq, options=Options(timestamps=Timestamps(1, 0)))
    assert tcb.state is State.CLOSED


def test_a_timestamp_beyond_the_window_is_not_remembered() -> None:
    host, tcb, seq, una = established_with_timestamps()
    far = Options(timestamps=Timestamps(50_000, 0))
    host.inject(T0, flags=ACK, seq=seq + (1 << 24), ack=una, options=far)
    host.inject(T0, flags=ACK, seq=seq + 100, ack=una, text=b"gap", options=far)
    assert tcb.ts_recent == 1001


# --- TIME-WAIT ----------------------------------------------------------------------------------


def test_a_new_syn_reopens_a_connection_in_time_wait_beyond_its_old_numbers() -> None:
    peer = Peer("TIME_WAIT", 1000)
    assert peer.tcb is not None
    (answer,) = peer.host.inject(T0, flags=SYN, seq=peer.rcv_nxt + 1000)
    assert format_flags(answer.flags) == "S."
    assert 65535 < (answer.seq - peer.snd_nxt) % 2**32 < 2**17
    assert peer.tcb.state is State.CLOSED


def test_rfc_1337_keeps_time_wait_from_being_reset() -> None:
    peer = Peer("TIME_WAIT", 1000)
    peer.host.config.tcp_rfc1337 = True
    peer.inject(RST, peer.rcv_nxt)
    assert peer.state() == "TIME_WAIT"


# --- bad segments -------------------------------------------------------------------------------


def test_a_wrong_checksum_is_counted_and_the_segment_dropped() -> None:
    host = Host(A)
    host.receive(B, bytes(12) + b"\x50\x02" + bytes(6), T0)
    assert host.sent() == []
    assert host.counters["TcpInCsumErrors"] == 1


@given(st.binary(max_size=100))
def test_any_octets_are_survived_in_any_state(octets: bytes) -> None:
    peer = Peer("ESTABLISHED", 1000)
    peer.host.receive(B, octets, T0)
    assert peer.host.counters["TcpInSegs"] > 0


FLAGS = st.integers(0, 255)
NEAR = st.integers(-70_000, 70_000)
ODD_OPTIONS = st.sampled_from(
    [Options(), Options(mss=1), Options(window_scale=99), Options(timestamps=Timestamps(5, 5))]
) | st.builds(
    lambda a, b: Options(sack=((a, b),)),  # type: ignore[arg-type]
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)


@given(
    state=st.sampled_from(
        ["LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "CLOSING", "TIME_WAIT"]
    ),
    segments=st.lists(
        st.tuples(FLAGS, NEAR, NEAR, st.binary(max_size=20), st.integers(0, 65535), ODD_OPTIONS),
        max_size=12,
    ),
)
def test_any_segments_leave_a_connection_sound(
    state: str, segments: list[tuple[int, int, int, bytes, int, Options]]
) -> None:
    peer = Peer(state, 2**32 - 10)
    now = T0
    for flags, seq, ack, text, wnd, options in segments:
        now += 50 * MILLISECOND
        peer.host.inject(
            now,
            flags=flags,
            seq=peer.rcv_nxt + seq,
            ack=peer.snd_nxt + ack,
            text=text,
            wnd=wnd,
            options=options,
        )
        peer.host.expire(now)
        for tcb in peer.host.tcp.connections:
            assert tcb.state is not State.CLOSED
            assert (tcb.snd_nxt - tcb.snd_una) % 2**32 < 2**31
            assert tcb.sent.packets_out >= tcb.sent.sacked_out + tcb.sent.lost_out


# --- mistaken users -----------------------------------------------------------------------------


def test_a_connection_that_exists_cannot_be_made_again() -> None:
    host = Host(A)
    binding = host.tcp.bind(Endpoint(0, 1), reuse_address=True)
    again = host.tcp.bind(Endpoint(0, 1), reuse_address=True)
    host.tcp.open_active(Endpoint(B, 2), UserOptions(), T0, binding)
    with pytest.raises(OSError, match="assign") as caught:
        host.tcp.open_active(Endpoint(B, 2), UserOptions(), T0, again)
    assert caught.value.errno == EADDRNOTAVAIL


@pytest.mark.parametrize("address", [0xE0000001, 0xFFFFFFFF])
def test_nobody_connects_to_a_group(address: int) -> None:
    with pytest.raises(OSError, match="unreachable"):
        Host(A).tcp.open_active(Endpoint(address, 80), UserOptions(), T0)


def test_a_segment_to_a_broadcast_address_is_dropped() -> None:
    peer = Peer("LISTEN", 1)
    peer.host.address = 0xFFFFFFFF
    assert peer.inject(SYN, 1) == []
    assert peer.host.counters.drops[Drop.TCP_BROADCAST] == 1


def test_a_flush_that_is_interrupted_goes_on_with_the_next_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    listener = world.listen()
    clients = [world.connect() for _ in range(3)]
    world.run(lambda: len(listener.accept_queue) == 3)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for client in clients:
        world.a.tcp.send(client, b"text", world.now)
    with monkeypatch.context() as patched:
        patched.setattr(world.a, "send_datagram", interrupted)
        with pytest.raises(KeyboardInterrupt):
            world.a.tcp.flush(world.now)
    world.a.tcp.flush(world.now)
    assert [len(client.sent.segments) for client in clients] == [1, 1, 1]
    world.run_for(SECOND)
    assert [client.snd_una for client in clients] == [client.snd_nxt for client in clients]
