"""Which socket a datagram is for, against a search through all of them."""

from __future__ import annotations

from hypothesis import given, strategies as st

from tapstack.base.address import ANY_ENDPOINT, Endpoint
from tapstack.udp.sockets import EPHEMERAL_PORTS, SocketTable, UdpSocket

ADDRESSES = [1, 2, 3]
PORTS = [7, 8]
ends = st.builds(Endpoint, st.sampled_from(ADDRESSES), st.sampled_from(PORTS))
wild_ends = st.builds(Endpoint, st.sampled_from([0, *ADDRESSES]), st.sampled_from(PORTS))


class Counting:
    """Entropy that says what it is told."""

    def __init__(self, value: int) -> None:
        self.value = value

    def random_bits(self, count: int) -> int:
        return self.value


def score(socket: UdpSocket, local: Endpoint, remote: Endpoint) -> int:
    """How closely a socket matches, 0: not at all. A connected one beats any address."""
    if not socket.hears(local, remote):
        return 0
    return 1 + (socket.local.address != 0) + 2 * socket.is_connected


@st.composite
def tables(draw: st.DrawFn) -> tuple[SocketTable, list[UdpSocket]]:
    table, sockets = SocketTable(), []
    for _ in range(draw(st.integers(0, 12))):
        remote = draw(st.just(ANY_ENDPOINT) | ends)
        local = draw(wild_ends if remote == ANY_ENDPOINT else ends)
        socket = UdpSocket(local, remote)
        table.insert(socket)
        sockets.append(socket)
    for socket in draw(st.lists(st.sampled_from(sockets), unique=True) if sockets else st.just([])):
        table.remove(socket)
        sockets.remove(socket)
    return table, sockets


@given(tables(), ends, ends)
def test_the_closest_match_receives_and_of_equals_the_last(
    made: tuple[SocketTable, list[UdpSocket]], local: Endpoint, remote: Endpoint
) -> None:
    table, sockets = made
    assert sorted(map(id, table)) == sorted(map(id, sockets))
    scores = [score(socket, local, remote) for socket in sockets]
    best = max(scores, default=0)
    expected = None
    if best:
        expected = [each for each, its in zip(sockets, scores, strict=True) if its == best][-1]
    assert table.find(local, remote) is expected


@given(tables(), ends, ends)
def test_what_is_sent_to_a_group_reaches_every_match(
    made: tuple[SocketTable, list[UdpSocket]], local: Endpoint, remote: Endpoint
) -> None:
    table, sockets = made
    assert table.find_all(local, remote) == [s for s in sockets if score(s, local, remote)]


@given(
    tables(),
    wild_ends,
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=12, max_size=12),
)
def test_a_place_is_free_unless_a_clash_is_not_agreed_on(
    made: tuple[SocketTable, list[UdpSocket]],
    local: Endpoint,
    address: bool,
    port: bool,
    agreements: list[tuple[bool, bool]],
) -> None:
    table, sockets = made
    for socket, agreed in zip(sockets, agreements, strict=False):
        socket.reuse_address, socket.reuse_port = agreed
    clashes = [
        socket
        for socket in sockets
        if socket.local.port == local.port
        and (0 in (socket.local.address, local.address) or socket.local.address == local.address)
        and not (address and socket.reuse_address)
        and not (port and socket.reuse_port)
    ]
    asking = UdpSocket(reuse_address=address, reuse_port=port)
    assert table.is_free(asking, local) == (not clashes)


def test_sharers_of_a_port_each_keep_their_senders() -> None:
    table = SocketTable()
    sharing = [UdpSocket(Endpoint(0, 7), reuse_port=True) for _ in range(4)]
    for socket in sharing:
        table.insert(socket)
    senders = [Endpoint(9, port) for port in range(200)]
    first = [table.find(Endpoint(1, 7), sender) for sender in senders]
    assert first == [table.find(Endpoint(1, 7), sender) for sender in senders]
    assert set(map(id, first)) == set(map(id, sharing))


def test_an_ephemeral_port_is_drawn_and_taken_ones_are_passed_over() -> None:
    table = SocketTable()
    table.insert(UdpSocket(Endpoint(0, 32768)))
    table.insert(UdpSocket(Endpoint(1, 32769)))
    assert table.choose_port(0, Counting(5)) == 32773
    assert table.choose_port(1, Counting(0)) == 32770
    assert table.choose_port(2, Counting(0)) == 32769
    assert table.choose_port(0, Counting(len(EPHEMERAL_PORTS) - 1)) == 60999


def test_lookup_does_not_depend_on_how_many_there_are() -> None:
    table = SocketTable()
    sockets = [UdpSocket(Endpoint(1, 7), Endpoint(2, port)) for port in range(1, 5000)]
    for socket in sockets:
        table.insert(socket)
    assert table.find(Endpoint(1, 7), Endpoint(2, 4321)) is sockets[4320]
    for socket in sockets:
        table.remove(socket)
    assert list(table) == []
