"""arpcache, ifconfig, ip, route and stat: what they show of a stack, to the letter."""

import pytest

from tapstack.arp.neighbour import Neighbour, NeighbourState
from tapstack.base.address import Network, parse_ipv4, parse_mac, parse_network
from tapstack.base.contracts import Capabilities, Frame, NetDevice
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop
from tapstack.base.timers import TimerQueue
from tapstack.base.units import SECOND
from tapstack.runtime.runtime import Runtime
from tapstack.shell.command import UsageError
from tapstack.shell.commands import arpcache, stat
from tapstack.shell.commands.route import Wish, parse_wish
from tests.shell.conftest import Shell

MAC = parse_mac("02:00:00:00:00:01")


class SilentDevice(NetDevice):
    """An Ethernet link on which nobody ever says anything."""

    name = "tap0"
    mtu = 1500
    mac = MAC
    capabilities = Capabilities()

    def fileno(self) -> int:
        return -1

    def read(self, now: int) -> Frame | None:
        return None

    def write(self, frame: Frame, now: int) -> None:
        pass

    def next_deadline(self) -> int | None:
        return None

    def close(self) -> None:
        pass


@pytest.fixture
def linked(shell: Shell) -> Shell:
    """A shell whose stack has 10.0.0.1/24 on a link too."""
    runtime = shell.runtime

    def attach(*, now: int) -> None:
        runtime.stack.attach(SilentDevice(), parse_network("10.0.0.1/24"), now)

    runtime.call(attach)
    return shell


# --- arpcache ---


def neighbour(address: str, state: NeighbourState, mac: str = "", left: int = 0) -> Neighbour:
    timer = TimerQueue().timer(None, lambda owner, now: None)
    if left:
        timer.arm(left)
    known = parse_mac(mac) if mac else None
    return Neighbour(
        parse_ipv4(address), timer, state=state, mac=known, confirmed=0, reachable_time=left or 0
    )


def test_neighbours_are_shown_with_state_and_time_left() -> None:
    there = "02:00:00:00:00:02"
    assert arpcache.render(
        "tap0",
        [
            neighbour("10.0.0.2", NeighbourState.REACHABLE, there, 28 * SECOND + 250_000),
            neighbour("10.0.0.9", NeighbourState.INCOMPLETE, left=SECOND + 700_000),
            neighbour("10.0.0.7", NeighbourState.FAILED),
            neighbour("10.0.0.8", NeighbourState.PERMANENT, there),
        ],
        now=SECOND,
    ) == [
        "10.0.0.2 dev tap0 lladdr 02:00:00:00:00:02 REACHABLE expires 27.2s",
        "10.0.0.9 dev tap0 INCOMPLETE expires 0.7s",
        "10.0.0.7 dev tap0 FAILED",
        "10.0.0.8 dev tap0 lladdr 02:00:00:00:00:02 PERMANENT",
    ]


def test_a_neighbour_that_is_being_asked_for_is_shown(linked: Shell) -> None:
    assert linked.run("ping", "-c", "1", "-w", "0.01", "10.0.0.9") == 1
    assert linked.output_of("arpcache").startswith("10.0.0.9 dev tap0 INCOMPLETE expires ")


def test_without_neighbours_nothing_is_shown(shell: Shell) -> None:
    assert shell.output_of("arpcache") == ""


# --- ifconfig ---


def test_interfaces_are_shown_with_addresses_and_counters(linked: Shell) -> None:
    linked.output_of("ping", "-c", "1", "127.0.0.1")
    lines = linked.output_of("ifconfig").splitlines()
    assert lines[:7] == [
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default "
        "qlen 1000",
        "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00",
        "    inet 127.0.0.1/8 scope host lo",
        "    RX:       bytes     packets     dropped",
        "                196           2           0",
        "    TX:       bytes     packets     dropped",
        "                196           2           0",
    ]
    assert lines[7:10] == [
        "2: tap0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default "
        "qlen 1000",
        "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff",
        "    inet 10.0.0.1/24 scope global tap0",
    ]


def test_one_interface_is_shown_alone(linked: Shell) -> None:
    whole = linked.output_of("ifconfig")
    assert linked.output_of("ifconfig", "-a") == whole
    assert linked.output_of("ifconfig", "lo") + linked.output_of("ifconfig", "tap0") == whole
    with pytest.raises(UsageError, match="ifconfig: there is no device eth7"):
        linked.run("ifconfig", "eth7")


# --- ip ---

LO = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN{} group default qlen 1000"
LO_LINK = "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00"
LO_COUNTERS = [
    "    RX:       bytes     packets     dropped",
    "                  0           0           0",
    "    TX:       bytes     packets     dropped",
    "                  0           0           0",
]
TAP = "2: tap0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP{} group default "
TAP_LINES = [
    TAP.format("") + "qlen 1000",
    "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff",
    "    inet 10.0.0.1/24 scope global tap0",
]


@pytest.mark.parametrize(
    "line", ["addr show dev tap0", "a s tap0", "address list tap0", "-4 -d a sh dev tap0"]
)
def test_an_interface_is_shown_as_by_iproute2(linked: Shell, line: str) -> None:
    assert linked.output_of("ip", *line.split()).splitlines() == TAP_LINES


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("-s link show lo", [LO.format(" mode DEFAULT"), LO_LINK, *LO_COUNTERS]),
        (
            "-s addr show lo",
            [LO.format(""), LO_LINK, "    inet 127.0.0.1/8 scope host lo", *LO_COUNTERS],
        ),
        (
            "-br addr",
            [
                "lo               UNKNOWN        127.0.0.1/8",
                "tap0             UP             10.0.0.1/24",
            ],
        ),
        (
            "-br l",
            [
                "lo               UNKNOWN        00:00:00:00:00:00 <LOOPBACK,UP,LOWER_UP>",
                "tap0             UP             02:00:00:00:00:01 "
                "<BROADCAST,MULTICAST,UP,LOWER_UP>",
            ],
        ),
        ("r", ["10.0.0.0/24 dev tap0 proto kernel scope link src 10.0.0.1"]),
        ("route show", ["10.0.0.0/24 dev tap0 proto kernel scope link src 10.0.0.1"]),
        ("route add default via 10.0.0.2", []),
        ("neigh", []),
    ],
)
def test_ip_shows_what_there_is(linked: Shell, line: str, lines: list[str]) -> None:
    assert linked.output_of("ip", *line.split()).splitlines() == lines


@pytest.mark.parametrize("line", ["n", "neigh show", "neighbor", "neighbour show dev tap0"])
def test_ip_shows_neighbours(linked: Shell, line: str) -> None:
    linked.run("ping", "-c", "1", "-w", "0.01", "10.0.0.9")
    assert linked.output_of("ip", *line.split()) == "10.0.0.9 dev tap0 INCOMPLETE\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "ip: of what? Give address or route or neighbour or link"),
        ("tunnel", "ip: 'tunnel' is none of address, route, neighbour, link"),
        ("-j addr", "ip: unrecognized arguments: -j"),
        ("addr show dev eth7", "ip: there is no device eth7"),
        ("addr show lo tap0", "ip address: 'lo tap0' is not the name of one device"),
        ("addr add 10.0.0.3/24 dev lo", "ip address: 'add' is not to be had here, only show"),
        ("link set lo down", "ip link: 'set' is not to be had here, only show"),
        ("route get 10.0.0.2", "route: 'get' is neither add nor del"),
    ],
)
def test_what_ip_has_not_is_told_in_one_sentence(linked: Shell, line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        linked.run("ip", *line.split())
    assert str(refused.value) == sentence


# --- route ---


def test_a_route_comes_and_goes(linked: Shell) -> None:
    connected = "10.0.0.0/24 dev tap0 proto kernel scope link src 10.0.0.1\n"
    assert linked.output_of("route") == connected
    assert linked.output_of("route", "add", "10.5.0.0/16", "via", "10.0.0.2") == ""
    linked.output_of("route", "add", "default", "via", "10.0.0.3", "metric", "5")
    linked.output_of("route", "add", "10.7.0.7", "dev", "tap0")
    assert linked.output_of("route") == (
        "default via 10.0.0.3 dev tap0 metric 5\n"
        + connected
        + "10.5.0.0/16 via 10.0.0.2 dev tap0\n10.7.0.7 dev tap0 scope link\n"
    )
    for words in (("10.5.0.0/16",), ("default", "metric", "5"), ("10.7.0.7", "dev", "tap0")):
        linked.output_of("route", "del", *words)
    assert linked.output_of("route") == connected


def test_a_route_is_used(linked: Shell) -> None:
    linked.output_of("route", "add", "10.5.0.0/16", "via", "10.0.0.2")
    linked.run("ping", "-c", "1", "-w", "0.01", "10.5.6.7")
    assert linked.output_of("arpcache").startswith("10.0.0.2 dev tap0 INCOMPLETE")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("show", "route: 'show' is neither add nor del"),
        ("add", "route: to which network? Give NETWORK/LENGTH or default"),
        ("add nonsense", "route: 'nonsense' is not an IPv4 address such as 10.0.0.1"),
        ("add 10.5.0.0/16", "route: where to? Give via GATEWAY or dev DEVICE"),
        ("add 10.5.0.0/16 via", "route: nothing follows 'via'"),
        ("add 10.5.0.0/16 by 10.0.0.2", "route: 'by 10.0.0.2' is none of via GATEWAY, dev"),
        ("add 10.5.0.1/16 via 10.0.0.2", "route: 10.5.0.1/16 has host bits: the network is"),
        ("add 10.5.0.0/16 via 10.9.0.2", "route: the gateway 10.9.0.2 is no neighbour of ours"),
        ("add 10.5.0.0/16 via 10.0.0.1", "route: 10.0.0.1 is not another host's address"),
        ("add 10.5.0.0/16 via 10.0.0.255", "route: 10.0.0.255 is not another host's address"),
        ("add default via 0.0.0.0 dev tap0", "route: 0.0.0.0 is not another host's address"),
        ("add default via 224.0.0.1 dev tap0", "route: 224.0.0.1 is not another host's address"),
        ("add 10.5.0.0/16 dev eth7", "route: there is no device eth7"),
        ("add 10.0.0.0/24 via 10.0.0.2", "route: there is a route to 10.0.0.0/24 already"),
        ("del 10.5.0.0/16", "route: there is no such route to 10.5.0.0/16"),
        ("del 10.0.0.0/24 via 10.0.0.2", "route: there is no such route to 10.0.0.0/24"),
        ("del default", "route: there is no such route to default"),
    ],
)
def test_a_mistaken_change_is_told_in_one_sentence(linked: Shell, line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        linked.run("route", *line.split())
    assert str(refused.value).startswith(sentence)


def test_a_wish_is_read_in_any_order() -> None:
    expected = Wish(Network(parse_ipv4("10.5.0.0"), 16), parse_ipv4("10.0.0.2"), "tap0", 7)
    for line in ("via 10.0.0.2 dev tap0 metric 7", "metric 7 dev tap0 via 10.0.0.2"):
        assert parse_wish(["10.5.0.0/16", *line.split()]) == expected


# --- stat ---


def test_counters_speak_as_netstat_does(shell: Shell) -> None:
    shell.output_of("ping", "-c", "1", "127.0.0.1")
    text = shell.output_of("stat")
    assert text.startswith(
        "Ip:\n"
        "    Forwarding: 2\n"
        "    2 total packets received\n"
        "    0 forwarded\n"
        "    0 incoming packets discarded\n"
        "    2 incoming packets delivered\n"
        "    2 requests sent out\n"
        "Icmp:\n"
        "    2 ICMP messages received\n"
        "    0 input ICMP message failed\n"
        "    ICMP input histogram:\n"
        "        echo requests: 1\n"
        "        echo replies: 1\n"
        "    2 ICMP messages sent\n"
        "    0 ICMP messages failed\n"
        "    ICMP output histogram:\n"
        "        echo requests: 1\n"
        "        echo replies: 1\n"
        "Tcp:\n"
        "    0 active connection openings\n"
    )
    assert "\nUdp:\n    0 packets received\n" in text


def test_every_counter_that_is_not_zero_is_shown() -> None:
    counters = Counters()
    for number, name in enumerate(counters, 1001):
        counters[name] = number
    text = "\n".join(stat.render_counters(counters, []))
    shown = [name for name, number in counters.items() if str(number) in text]
    assert set(counters) - set(shown) == {
        name for name in counters if name.startswith(("If", "IcmpOutRateLimit"))
    }
    assert f"    TCPTimeouts: {counters['TcpExtTCPTimeouts']}" in text.splitlines()


def test_drops_are_told_by_reason() -> None:
    counters = Counters()
    counters.drop(Drop.IP_BAD_CHECKSUM)
    counters.drop(Drop.ETH_TRUNCATED)
    counters.drop(Drop.IP_BAD_CHECKSUM)
    assert list(stat.render_drops(counters)) == [
        "Dropped:",
        "    Ethernet: frame shorter than its header: 1",
        "    IPv4: wrong header checksum: 2",
    ]


def test_live_objects_are_counted(runtime: Runtime) -> None:
    from tapstack import socket

    with (
        socket.create_server(("127.0.0.1", 5000)) as listener,
        socket.create_connection(("127.0.0.1", 5000)) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 5001))
        accepted, _ = listener.accept()
        lines = list(stat.count_live_objects(runtime.stack))
        client.close()
        accepted.close()
    assert lines[:5] == [
        "2 TCP connections (2 ESTAB)",
        "0 TCP reassembly queues (0 octets)",
        "1 TCP listeners",
        "1 UDP sockets",
        "0 raw sockets",
    ]


# --- sysctl ---


def test_settings_are_shown_and_set_by_linuxs_names(shell: Shell) -> None:
    assert shell.output_of("sysctl", "net.ipv4.tcp_ecn") == "net.ipv4.tcp_ecn = 2\n"
    assert shell.output_of("sysctl", "-w", "net.ipv4.tcp_ecn=1") == "net.ipv4.tcp_ecn = 1\n"
    assert shell.runtime.stack.tcp.config.tcp_ecn == 1
    assert shell.output_of("sysctl", "-n", "net.ipv4.tcp_ecn") == "1\n"
    assert shell.output_of("sysctl", "-q", "net.ipv4.tcp_ecn=2") == ""
    assert shell.output_of("sysctl", "-q", "net.ipv4.tcp_ecn") == "net.ipv4.tcp_ecn = 2\n"
    every = shell.output_of("sysctl", "-a").splitlines()
    assert "net.ipv4.ip_default_ttl = 64" in every


def test_a_setting_that_is_none_is_told_with_the_nearest(shell: Shell) -> None:
    assert shell.run("sysctl", "tcp_sack", "net.ipv4.tcp_sak", "net.ipv4.tcp_sack=x") == 1
    assert shell.err.getvalue().splitlines() == [
        "sysctl: tcp_sack: there is no such setting; did you mean net.ipv4.tcp_sack?",
        "sysctl: net.ipv4.tcp_sak: there is no such setting; did you mean net.ipv4.tcp_sack?",
        "sysctl: net.ipv4.tcp_sack=x: Invalid argument",
    ]
