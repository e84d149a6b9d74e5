"""What RFC 9293 requires of opening, of what users ask for, and of what is to be believed."""

from __future__ import annotations

from collections.abc import Sequence
from errno import EADDRINUSE, ECONNRESET

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.checksum import complete_checksum
from tapstack.base.contracts import Buffer, Offload, Path, SentCopy
from tapstack.base.units import SECOND
from tapstack.tcp.protocol import Tcp
from tapstack.tcp.segment import ACK, PSH, RST, SYN, Options, Segment, Timestamps, format_flags
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.transmission import build_segment_header
from tapstack.tcp.user_options import UserOptions
from tapstack.tcp.wire import PROTOCOL_TCP, parse
from tests.ip.rig import HOST, US, Rig, SeededEntropy, ipv4
from tests.tcp.pair import A, B, Host, World
from tests.tcp.test_state_segment_grid import T0, Peer

OTHER_OF_OURS = A + 100


class Multihomed(Host):
    """A host with two addresses, that notes from which, and how, it sends."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ours = A
        self.sent_as: list[tuple[int, int, int]] = []

    def path_to(self, destination: int, source: int = 0) -> Path:
        return Path(source or self.ours, self.mtu)

    def is_local(self, address: int) -> bool:
        return address in (A, OTHER_OF_OURS)

    def send_datagram(
        self,
        protocol: int,
        source: int,
        destination: int,
        parts: Sequence[Buffer],
        now: int,
        *,
        ttl: int = 64,
        tos: int = 0,
        dont_fragment: bool | None = False,
        offload: Offload | None = None,
        confirmed: bool = False,
        copy: SentCopy | None = None,
    ) -> None:
        self.sent_as.append((source, ttl, tos))
        super().send_datagram(protocol, source, destination, parts, now, offload=offload)


def connect(host: Host, options: UserOptions | None = None, local: Endpoint | None = None) -> Tcb:
    """Open a connection to B, and let B accept it."""
    binding = host.tcp.bind(local) if local else None
    tcb = host.tcp.open_active(Endpoint(B, 80), options or UserOptions(), T0, binding)
    host.tcp.flush(T0)
    host.sent()
    answer = Segment(
        80, tcb.local.port, 999, tcb.snd_nxt, SYN | ACK, 65535, 0, Options(mss=1460), b""
    )
    header = build_segment_header(answer, B, tcb.local.address, 0)
    host.receive(B, complete_checksum([header], Offload(0, 16, 0)), T0)
    return tcb


# --- addresses ----------------------------------------------------------------------------------


def test_an_open_that_names_no_address_takes_the_one_that_the_network_layer_gives() -> None:
    host = Multihomed(A)
    host.ours = OTHER_OF_OURS
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(), T0)
    host.tcp.flush(T0)
    assert tcb.local.address == OTHER_OF_OURS
    assert [source for source, _, _ in host.sent_as] == [OTHER_OF_OURS]


def test_an_open_may_name_its_address() -> None:
    host = Multihomed(A)
    binding = host.tcp.bind(Endpoint(OTHER_OF_OURS, 0))
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(), T0, binding)
    assert tcb.local == Endpoint(OTHER_OF_OURS, binding.local.port)


def test_a_connection_keeps_its_address_though_the_way_changes() -> None:
    host = Multihomed(A)
    tcb = host.tcp.open_active(Endpoint(B, 80), UserOptions(), T0)
    host.tcp.flush(T0)
    host.ours = OTHER_OF_OURS
    for _ in range(3):
        deadline = host.timers.next_deadline()
        assert deadline is not None
        host.expire(deadline)
    assert [source for source, _, _ in host.sent_as] == [A] * 4
    assert tcb.local.address == A


# --- TTL and DiffServ ---------------------------------------------------------------------------


def test_the_users_ttl_and_diffserv_field_are_in_every_segment_and_may_change() -> None:
    host = Multihomed(A)
    tcb = connect(host, UserOptions(ttl=7, tos=0x28))
    assert tcb.state is State.ESTABLISHED
    assert host.sent_as == [(A, 7, 0x28)] * 2
    tcb.options.tos = 0x88
    tcb.options.ttl = 200
    host.tcp.send(tcb, b"text", T0)
    host.tcp.flush(T0)
    assert host.sent_as[2:] == [(A, 200, 0x88)]


# --- IP options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(b"\x99\x04\x00\x00", id="unknown"),
        pytest.param(b"\x07\x07\x04\x00\x00\x00\x00\x00", id="record route"),
        pytest.param(b"\x44\x08\x05\x00\x00\x00\x00\x00", id="timestamp"),
    ],
)
def test_ip_options_in_front_of_a_segment_change_nothing(options: bytes) -> None:
    rig = Rig()
    tcp = Tcp(
        ip=rig.ip,
        timers=rig.timers,
        entropy=SeededEntropy(),
        counters=rig.counters,
        events=rig,
        tracer=rig.tracer,
    )
    rig.ip.register(PROTOCOL_TCP, tcp)
    tcp.open_passive(tcp.bind(Endpoint(0, 80)), 5, UserOptions())
    syn = Segment(5000, 80, 1, 0, SYN, 65535, 0, Options(mss=1460), b"")
    header = build_segment_header(syn, HOST, US, 0)
    text = complete_checksum([header], Offload(0, 16, 0))
    rig.receive(ipv4(text, protocol=PROTOCOL_TCP, options=options))
    tcp.flush(rig.now)
    (answer,) = rig.drain()
    assert format_flags(parse(answer.payload).flags) == "S."


# --- ports --------------------------------------------------------------------------------------


def test_a_passive_open_leaves_what_there_is_alone() -> None:
    world = World()
    client, server = world.pair()
    with pytest.raises(OSError, match="in use") as caught:
        world.b.tcp.bind(Endpoint(0, 80))
    assert caught.value.errno == EADDRINUSE
    again = world.connect()
    world.run(lambda: again.state is State.ESTABLISHED)
    assert world.transfer(client, server, b"still here") == b"still here"


@pytest.mark.parametrize("state", ["SYN_SENT", "SYN_RECEIVED active"])
def test_a_port_can_be_listened_on_while_a_connection_from_it_is_opening(state: str) -> None:
    host = Host(A)
    opening = host.tcp.bind(Endpoint(0, 80), reuse_address=True)
    tcb = host.tcp.open_active(Endpoint(B, 5000), UserOptions(), T0, opening)
    host.tcp.flush(T0)
    if state != "SYN_SENT":
        host.inject(T0, flags=SYN, seq=1000)
    before = tcb.state
    binding = host.tcp.bind(Endpoint(0, 80), reuse_address=True)
    listener = host.tcp.open_passive(binding, 5, UserOptions())
    host.sent()
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, sport=6000)
    host.inject(T0, flags=ACK, seq=1001, ack=syn_ack.seq + 1, sport=6000)
    assert len(listener.accept_queue) == 1
    assert tcb.state is before


def test_a_reset_in_syn_received_ends_as_it_began() -> None:
    passive, active = Peer("SYN_RECEIVED", 1000), Peer("SYN_RECEIVED active", 1000)
    for peer in (passive, active):
        peer.inject(RST, peer.rcv_nxt)
        assert peer.state() == "-"
    # Who listens goes on listening, and nobody is told; who has connected is told
    # of the reset (Deviation: the RFC has it refused).
    assert passive.tcb is not None
    assert passive.tcb.error == 0
    assert not passive.listener.syn_queue
    assert passive.inject(SYN, 5000) == ["S."]
    assert active.tcb is not None
    assert active.tcb.error == ECONNRESET


# --- initial sequence numbers -------------------------------------------------------------------


def test_nobody_without_the_secret_can_tell_an_initial_sequence_number() -> None:
    """Of two hosts that differ in their secret alone, one tells nothing of the other."""
    numbers = set()
    for seed in range(1, 50):
        host = Host(A, seed=seed)
        binding = host.tcp.bind(Endpoint(A, 80))
        numbers.add(host.tcp.open_active(Endpoint(B, 5000), UserOptions(), T0, binding).iss)
    assert len(numbers) == 49
    assert len({number >> 28 for number in numbers}) > 8, "in all of the space"


# --- TIME-WAIT ----------------------------------------------------------------------------------


def time_wait_with_timestamps() -> tuple[Peer, Tcb]:
    """A connection with timestamps that we have closed first."""
    peer = Peer("LISTEN", 1000)
    host = peer.host
    stamps = Options(mss=1460, timestamps=Timestamps(5000, 0))
    (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, options=stamps)
    una = syn_ack.seq + 1
    plain = Options(timestamps=Timestamps(5001, 0))
    host.inject(T0, flags=ACK, seq=1001, ack=una, options=plain)
    tcb = host.tcp.accept(peer.listener)
    assert tcb is not None
    host.tcp.close(tcb, T0)
    host.tcp.flush(T0)
    host.inject(T0, flags=ACK | 0x01, seq=1001, ack=una + 1, options=plain)
    assert tcb.state is State.TIME_WAIT
    return peer, tcb


@pytest.mark.parametrize(
    ("stamp", "flags"), [(Timestamps(5002, 0), "S."), (Timestamps(5001, 0), "."), (None, ".")]
)
def test_a_newer_timestamp_reopens_a_connection_in_time_wait_whatever_its_number(
    stamp: Timestamps | None, flags: str
) -> None:
    peer, _ = time_wait_with_timestamps()
    options = Options(mss=1460, timestamps=stamp)
    (answer,) = peer.host.inject(T0, flags=SYN, seq=1, options=options)
    assert format_flags(answer.flags) == flags
    assert peer.state() == ("SYN_RECEIVED" if flags == "S." else "TIME_WAIT")


# --- text that somebody else made up ------------------------------------------------------------


@pytest.mark.parametrize(
    ("acknowledged", "below", "taken"),
    [
        pytest.param(100_000, 0, True, id="new"),
        pytest.param(100_000, 65_535, True, id="within the largest window"),
        pytest.param(100_000, 65_536, False, id="beyond it"),
        pytest.param(100_000, 2**30, False, id="far beyond it"),
        pytest.param(500, 500, True, id="all that there ever was"),
        pytest.param(500, 501, False, id="never sent"),
        pytest.param(0, 1, False, id="our SYN again"),
    ],
)
def test_text_whose_acknowledgment_is_too_old_is_not_believed(
    acknowledged: int, below: int, taken: bool
) -> None:
    peer = Peer("ESTABLISHED", 1000)
    host, tcb = peer.host, peer.tcb
    assert tcb is not None
    for at in range(0, acknowledged, 50_000):
        host.tcp.send(tcb, bytes(min(50_000, acknowledged - at)), T0)
        host.tcp.flush(T0)
        while tcb.unsent():
            host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=tcb.snd_nxt, wnd=65_535)
    host.inject(T0, flags=ACK, seq=peer.rcv_nxt, ack=tcb.snd_nxt, wnd=65_535)
    (answer,) = host.inject(
        T0, flags=ACK | PSH, seq=peer.rcv_nxt, ack=tcb.snd_una - below, text=b"text"
    )
    assert answer.ack == (peer.rcv_nxt + 4 * taken) % 2**32
    assert host.tcp.receive_text(tcb, 10, T0) == (b"text" if taken else None)


def test_challenges_of_one_connection_tell_nothing_of_another() -> None:
    """RFC 5961 §7: a count that all share could be measured by a third party."""
    host = Host(A)
    host.tcp.open_passive(host.tcp.bind(Endpoint(0, 80)), 50, UserOptions())
    for sport in range(5000, 5030):
        (syn_ack,) = host.inject(T0, flags=SYN, seq=1000, sport=sport, options=Options(mss=1460))
        host.inject(T0, flags=ACK, seq=1001, ack=syn_ack.seq + 1, sport=sport)
        for _ in range(20):
            challenges = host.inject(T0, flags=RST, seq=1500, sport=sport)
            challenges += host.inject(T0, flags=SYN, seq=1500, sport=sport)
        assert challenges == [], "each has had its one"
    assert host.counters["TcpExtTCPChallengeACK"] == 30
    assert len(list(host.tcp.connections)) == 30


# --- keep-alive ---------------------------------------------------------------------------------


def kept_alive(**options: int) -> tuple[World, Tcb, Tcb]:
    world = World()
    listener = world.listen()
    client = world.connect(options=UserOptions(keepalive=True, **options))  # type: ignore[arg-type]
    world.run(lambda: bool(listener.accept_queue))
    server = world.b.tcp.accept(listener)
    assert server is not None
    world.run_for(SECOND)
    return world, client, server


@pytest.mark.parametrize("who", ["we send", "the peer sends"])
def test_no_probe_leaves_within_the_interval_after_anything_came(who: str) -> None:
    world, client, server = kept_alive(keepidle=10, keepintvl=5, keepcnt=3)
    for _ in range(10):
        world.run_for(8 * SECOND)
        source, sink = (client, server) if who == "we send" else (server, client)
        assert world.transfer(source, sink, b"x") == b"x"
    assert world.a.counters["TcpExtTCPKeepAlive"] == 0
    world.run_for(11 * SECOND)
    assert world.a.counters["TcpExtTCPKeepAlive"] == 1


def test_one_answer_is_enough_however_many_probes_were_lost() -> None:
    world, client, _ = kept_alive(keepidle=10, keepintvl=5, keepcnt=4)
    world.fate = lambda octets, chance: []
    world.run_for(23 * SECOND)
    assert world.a.counters["TcpExtTCPKeepAlive"] == 3
    assert client.state is State.ESTABLISHED
    world.fate = None
    world.run_for(600 * SECOND)
    assert client.state is State.ESTABLISHED, "given up for lost answers"


def test_without_another_interval_the_first_probe_comes_after_two_hours() -> None:
    world, _, _ = kept_alive()
    world.run_for(7198 * SECOND)
    assert world.a.counters["TcpExtTCPKeepAlive"] == 0
    world.run_for(2 * SECOND)
    assert world.a.counters["TcpExtTCPKeepAlive"] == 1
