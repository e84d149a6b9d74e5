"""`ip`, `tc`, `nstat`, `ss` and their like on the simulated stack; and files of /proc and /sys."""

from __future__ import annotations

import json

import pytest

from tapstack.base.address import format_ipv4, parse_ipv4
from tapstack.sim import World
from tapstack.tcp.segment import FastOpen
from tests.drill.command_bench import Bench, bench, has_files, needs_namespaces

__all__ = ["bench"]  # a fixture

CONNECTED = "10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.1 \n"
NO_GATEWAY = "Error: Nexthop has invalid gateway.\n"


def said(bench: Bench, command: str) -> str:
    shell = bench.run(command)
    assert shell.status == 0, shell
    return shell.output


# --- ip route -----------------------------------------------------------------------------------


def test_a_route_with_all_that_it_can_say(bench: Bench) -> None:
    words = (
        "mtu lock 1400 window 5000 rtt 100ms rttvar 50ms ssthresh 7 cwnd 10 advmss 1300 "
        "reordering 5 hoplimit 9 initcwnd 20 features ecn rto_min 5ms initrwnd 30 quickack 1 "
        "congctl reno fastopen_no_cookie 1"
    )
    assert said(bench, f"ip route add 192.0.2.0/24 via 10.0.0.2 dev eth0 {words}") == ""
    shown = words.replace("rto_min", "rto_min lock")
    line = f"192.0.2.0/24 via 10.0.0.2 dev eth0 {shown} \n"
    assert said(bench, "ip route show 192.0.2.0/24") == line
    assert said(bench, "ip route") == CONNECTED + line
    metrics = bench.host.stack.ip.path_to(parse_ipv4("192.0.2.1")).metrics
    assert (metrics.initcwnd, metrics.rto_min, metrics.congctl) == (20, 5000, "reno")
    assert (metrics.ecn, metrics.quickack, metrics.fastopen_no_cookie) == (True, True, True)
    assert said(bench, "ip route get 192.0.2.1") == (
        f"192.0.2.1 via 10.0.0.2 dev eth0 src 10.0.0.1 uid 0 \n    cache {shown} \n"
    )
    ignored = {name.split()[-1] for name in bench.surroundings.inert_used}
    assert ignored == {"rtt", "rttvar", "ssthresh", "cwnd", "reordering"}


def test_routes_are_changed_replaced_and_removed(bench: Bench) -> None:
    said(bench, "ip route add default via 10.0.0.2 initcwnd 5")
    said(bench, "ip ro change default via 10.0.0.3")
    assert said(bench, "ip r sh") == "default via 10.0.0.3 dev eth0 \n" + CONNECTED
    said(bench, "ip route replace default dev eth0 initcwnd 7")
    said(bench, "ip route replace 11.0.0.0/8 via 10.0.0.4 metric 3 src 10.0.0.1")
    assert said(bench, "ip route list") == (
        "default dev eth0 scope link initcwnd 7 \n"
        f"{CONNECTED}11.0.0.0/8 via 10.0.0.4 dev eth0 src 10.0.0.1 metric 3 \n"
    )
    said(bench, "ip route del 11.0.0.0/8")
    said(bench, "ip route flush default")
    assert said(bench, "ip -4 -o route") == CONNECTED


def test_a_route_that_is_refused_leaves_the_old_one(bench: Bench) -> None:
    said(bench, "ip route add default via 10.0.0.2 initcwnd 5")
    assert bench.run("ip route change default via 99.0.0.1") == (2, NO_GATEWAY)
    assert "initcwnd 5" in said(bench, "ip route")


def test_our_own_address_as_the_gateway_makes_neighbours_of_all(bench: Bench) -> None:
    said(bench, "ip route add 192.0.2.0/24 via 10.0.0.1 dev eth0 initcwnd 5")
    assert said(bench, "ip route get 192.0.2.1") == (
        "192.0.2.1 dev eth0 src 10.0.0.1 uid 0 \n    cache initcwnd 5 \n"
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("add 10.0.0.0/24 dev eth0", 2, "RTNETLINK answers: File exists"),
        ("del 11.0.0.0/8", 2, "RTNETLINK answers: No such process"),
        ("del 10.0.0.0/24 via 10.0.0.9", 2, "RTNETLINK answers: No such process"),
        ("change 11.0.0.0/8 dev eth0", 2, "RTNETLINK answers: No such file or directory"),
        ("add 11.0.0.0/8 via 99.0.0.1", 2, "Error: Nexthop has invalid gateway."),
        ("add 11.0.0.0/8 via 127.0.0.1 dev eth0 via 10.0.0.255", 2, "Error: Nexthop has invalid"),
        ("add 11.0.0.0/8 dev nope", 1, 'Cannot find device "nope"'),
        ("add 11.0.0.0/8", 2, "RTNETLINK answers: No such device"),
        ("add 11.0.0.1/8 dev eth0", 2, "Error: Invalid prefix for given prefix length."),
        ("add blah", 1, 'Error: any valid prefix is expected rather than "blah".'),
        ("add 11.0.0.0/8 dev eth0 initcwnd", 255, "Command line is not complete."),
        ("add 11.0.0.0/8 dev eth0 initcwnd x", 255, 'Error: argument "x" is wrong: "initcwnd"'),
        ("add 11.0.0.0/8 dev eth0 hoplimit 256", 255, 'Error: argument "256" is wrong'),
        ("add 11.0.0.0/8 dev eth0 quickack 2", 255, 'Error: argument "2" is wrong'),
        ("add 11.0.0.0/8 dev eth0 rto_min 5us", 255, 'Error: argument "5us" is wrong'),
        ("add 11.0.0.0/8 dev eth0 features foo", 255, 'Error: argument "foo" is wrong'),
        ("add 11.0.0.0/8 dev eth0 congctl foo", 2, "Error: Unknown tcp congestion algorithm."),
        ("add 11.0.0.0/8 dev eth0 foo 5", 255, 'Error: either "to" is duplicate, or "foo" is a'),
        ("add blackhole 11.0.0.0/8", 2, "ip route blackhole: not simulated"),
        ("append 11.0.0.0/8 dev eth0", 2, "ip route append: not simulated"),
        ("flush", 255, '"ip route flush" requires arguments.'),
        ("foo", 255, 'Command "foo" is unknown, try "ip route help".'),
        ("get 11.0.0.1", 2, "RTNETLINK answers: Network is unreachable"),
    ],
)
def test_what_ip_route_refuses(bench: Bench, words: str, status: int, message: str) -> None:
    shell = bench.run(f"ip route {words}")
    assert shell.status == status
    assert shell.output.startswith(message)
    assert said(bench, "ip route") == CONNECTED


def test_routes_to_ourselves(bench: Bench) -> None:
    assert said(bench, "ip route get 10.0.0.1") == (
        "local 10.0.0.1 dev lo src 10.0.0.1 uid 0 \n    cache <local> \n"
    )


def test_what_was_learned_of_a_path_is_shown_and_flushed(bench: Bench) -> None:
    bench.host.stack.ip.learn_path_mtu(parse_ipv4("10.0.0.2"), 900, 0)
    assert said(bench, "ip route get 10.0.0.2").endswith("cache mtu 900 \n")
    said(bench, "ip route flush cache")
    assert said(bench, "ip route get 10.0.0.2").endswith("cache \n")


# --- the rest of ip -----------------------------------------------------------------------------


def test_the_mtu_of_a_link(bench: Bench) -> None:
    said(bench, "ip link set dev eth0 mtu 1400")
    assert "eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 " in said(bench, "ip link show eth0")
    assert bench.host.stack.ip.path_to(parse_ipv4("10.0.0.2")).mtu == 1400
    assert bench.run("ip link set eth0 mtu 67").output == "Error: mtu less than device minimum.\n"
    assert bench.run("ip link set eth0 mtu 65536").status == 2


def test_a_connection_follows_at_once(bench: Bench) -> None:
    with World() as world:
        client, server = world.host("a"), world.host("b")
        world.link(client, server)
        mine = Bench(client, bench.directory)
        with (
            server.create_server(("", 80)) as listener,
            client.create_connection((server.address, 80)) as connection,
        ):
            accepted, _ = listener.accept()
            said(mine, "ip link set eth0 mtu 600")
            connection.sendall(bytes(1000))
            (tcb,) = client.stack.tcp.connections
            assert tcb.path_mtu == 600
            accepted.close()


def test_links_stay_up(bench: Bench) -> None:
    assert said(bench, "ip link set dev eth0 up") == ""
    assert list(bench.surroundings.inert_used) == ["ip link set up"]
    assert bench.run("ip link set eth0 down") == (2, "ip link set down: not simulated\n")
    assert bench.run("ip link set nope up") == (1, 'Cannot find device "nope"\n')
    assert bench.run("ip link add tun7 type tun").status == 2


def test_addresses(bench: Bench) -> None:
    said(bench, "ip addr add 10.1.1.1/24 dev eth0")
    assert "inet 10.1.1.1/24 scope global eth0" in said(bench, "ip a s eth0")
    assert "10.1.1.0/24 dev eth0 proto kernel" in said(bench, "ip route")
    assert bench.host.stack.ip.is_local(parse_ipv4("10.1.1.1"))
    again = bench.run("ip addr add 10.1.1.1/24 dev eth0")
    assert again == (2, "Error: ipv4: Address already assigned.\n")
    assert bench.run("ip addr del 10.1.1.1/24 dev eth0").status == 2


def test_ipv6_is_taken_without_effect(bench: Bench) -> None:
    for words in ("addr add 2001:db8::1/64 dev eth0", "route add default dev eth0", "route"):
        assert bench.run(f"ip -6 {words}") == (0, "")
    assert len(bench.surroundings.inert_used) == 3


def test_neighbours(bench: Bench) -> None:
    said(bench, "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent")
    assert "10.0.0.9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT \n" in said(bench, "ip neigh")
    assert bench.run("ip neigh add 10.0.0.9 lladdr nonsense dev eth0").status == 255


def test_what_is_remembered_of_peers(bench: Bench) -> None:
    peers = bench.host.stack.tcp.fast_open_peers
    for number in (1, 2):
        peers.learn(parse_ipv4(f"192.0.2.{number}"), 1460, FastOpen(bytes.fromhex("abcd")), 0)
    line = "192.0.2.2 fo_mss 1460 fo_cookie abcd \n"
    assert said(bench, "ip tcp_metrics show 192.0.2.2") == line
    said(bench, "ip tcp_metrics delete 192.0.2.1")
    assert said(bench, "ip tcp_metrics") == line
    assert bench.run("ip tcp_metrics del 192.0.2.1").output.endswith("No such process\n")
    said(bench, "ip tcp_metrics flush all > /dev/null 2>&1")
    assert said(bench, "ip tcp_metrics show") == ""
    assert [format_ipv4(address) for address, _ in peers] == []


def test_other_objects_are_refused(bench: Bench) -> None:
    assert bench.run("ip netns add x") == (2, "ip netns: not simulated\n")
    assert bench.run("ip -j route") == (2, "ip -j: not simulated\n")
    assert bench.run("ip foo").output == 'Object "foo" is unknown, try "ip help".\n'
    assert bench.run("ip").status == 255


# --- tc, ethtool, filters -----------------------------------------------------------------------


def test_queues_are_taken_without_effect(bench: Bench) -> None:
    assert said(bench, "tc qdisc show dev eth0") == "qdisc pfifo_fast 0: root refcnt 2 \n"
    assert said(bench, "tc -s qdisc ls dev eth0") == said(bench, "tc qdisc list dev eth0")
    said(bench, "tc qdisc replace dev eth0 root pfifo limit 100")
    assert said(bench, "tc qdisc show dev eth0") == "qdisc pfifo 8001: root refcnt 2 \n"
    said(bench, "tc qdisc add dev lo root handle 1: fq")
    assert list(bench.surroundings.inert_used) == ["tc qdisc pfifo", "tc qdisc fq"]
    said(bench, "tc qdisc del dev eth0 root")
    for words in ("del dev eth0 root", "add dev lo root pfifo", "add dev eth0 root netem delay 9"):
        assert bench.run(f"tc qdisc {words}").status == 2
    assert bench.run("tc qdisc add dev nope root pfifo").status == 1
    assert bench.run("tc filter show") == (2, "tc filter: not simulated\n")


def test_modules_of_what_there_is_are_loaded(bench: Bench) -> None:
    for words in ("tcp_cubic", "-q tcp-reno", "sch_fq", "--quiet sch_pfifo_fast"):
        assert bench.run(f"modprobe {words}") == (0, "")
    for name in ("tcp_bbr", "sch_netem"):
        assert bench.run(f"modprobe {name}") == (1, f"modprobe: FATAL: Module {name} not found.\n")
    assert bench.run("modprobe -r tcp_cubic") == (2, "modprobe -r: not simulated\n")
    assert bench.run("modprobe tcp_cubic hystart=0").status == 2


def test_what_the_stack_does_not_have_is_refused(bench: Bench) -> None:
    for program in ("iptables -A OUTPUT -j DROP", "nft list ruleset", "ip6tables -F"):
        shell = bench.run(program)
        assert shell == (2, f"{program.split()[0]}: not simulated\n")
    assert said(bench, "ethtool -K eth0 tso off gso off") == ""
    assert bench.run("ethtool -K eth0 nonsense off").status == 2
    assert bench.run("ethtool eth0").status == 2


# --- counters -----------------------------------------------------------------------------------


def test_counters_since_they_were_last_told(bench: Bench) -> None:
    counters = bench.host.stack.counters
    assert said(bench, "nstat") == "#kernel\n"
    counters["TcpExtTCPTimeouts"] += 2
    line = "TcpExtTCPTimeouts               2                  0.0\n"
    assert said(bench, "nstat -s") == said(bench, "nstat") == f"#kernel\n{line}"
    assert said(bench, "nstat TcpExtTCPTimeouts") == "#kernel\n"
    assert said(bench, "nstat -az 'TcpExtTCPTimeouts*'") == f"#kernel\n{line}"
    counters["TcpExtTCPTimeouts"] += 1
    counters["TcpInSegs"] += 1
    said(bench, "nstat -n")
    counters["TcpExtTCPTimeouts"] += 5
    assert json.loads(said(bench, "nstat -js")) == {"kernel": {"TcpExtTCPTimeouts": 5}}
    said(bench, "nstat -r")
    assert said(bench, "nstat -a tcpinsegs").startswith("#kernel\nTcpInSegs ")
    assert "TcpCurrEstab" not in said(bench, "nstat -az")


def test_counters_that_are_not_kept_are_refused_by_name(bench: Bench) -> None:
    shell = bench.run("nstat -az TcpExtTCPMemoryPressures")
    assert shell == (2, "nstat: the counter TcpExtTCPMemoryPressures: not simulated\n")
    assert bench.run("nstat -x").status == 255
    assert bench.run("nstat -d 1").status == 2


def test_ss_tells_of_itself(bench: Bench) -> None:
    assert said(bench, "ss -h").startswith("usage: ss ")
    assert said(bench, "ss -t --help") == said(bench, "ss -h")
    assert said(bench, "ss --version") == said(bench, "ss -V") == "ss utility, of tapstack\n"


def test_sockets(bench: Bench) -> None:
    with World() as world:
        client, server = world.host("a"), world.host("b")
        world.link(client, server)
        mine = Bench(server, bench.directory)
        with (
            server.create_server(("", 8080)) as listener,
            client.create_connection((server.address, 8080)) as connection,
        ):
            accepted, _ = listener.accept()
            lines = said(mine, "ss -tn").splitlines()
            assert lines[1].split()[:4] == ["ESTAB", "0", "0", "10.0.0.2:8080"]
            assert " cwnd:10 " in said(mine, "ss -tiOH sport = :8080")
            assert said(mine, "ss -tnH state listening").split()[2] == "0.0.0.0:8080"
            assert said(mine, "ss -tanH state time-wait") == ""
            assert said(mine, "ss -tnH dst 10.0.0.7") == said(mine, "ss -tnH dport = :1") == ""
            assert said(mine, "ss -s").startswith("Total: 2\nTCP:   2 (estab 1,")
            assert said(mine, "ss -tnH exclude listening").startswith("ESTAB ")
            assert mine.run("ss -tn cgroup /a").status == 255
            assert mine.run("ss --nonsense x").status != 0
            if has_files():
                rows = [row.split() for row in said(mine, "cat /proc/net/tcp").splitlines()[1:]]
                assert [row[1] for row in rows] == ["00000000:1F90", "0200000A:1F90"]
                assert [row[3] for row in rows] == ["0A", "01"]
            accepted.close()
            connection.close()


@needs_namespaces
def test_proc_net(bench: Bench) -> None:
    counters = bench.host.stack.counters
    counters["TcpExtTCPTimeouts"], counters["TcpInSegs"] = 3, 4
    names, numbers = said(bench, "grep TcpExt: /proc/net/netstat").splitlines()
    assert dict(zip(names.split(), numbers.split(), strict=True))["TCPTimeouts"] == "3"
    names, numbers = said(bench, "grep Tcp: /proc/net/snmp").splitlines()
    assert dict(zip(names.split(), numbers.split(), strict=True))["InSegs"] == "4"
    assert "TCP: inuse 0 orphan 0 tw 0" in said(bench, "cat /proc/net/sockstat")
    assert bench.run("echo 1 > /proc/net/tcp") == (1, "tcp: 1: Permission denied\n")
    assert bench.run("cat /proc/net/dev").status == 1


@needs_namespaces
def test_counters_in_files_follow_time(bench: Bench) -> None:
    with World() as world:
        client, server = world.host("a"), world.host("b")
        world.link(client, server)

        def let_pass(duration: int) -> None:
            world.run_for(duration)
            client.stack.counters["TcpInSegs"] += 1

        mine = Bench(client, bench.directory)
        mine.surroundings._machine.sleep = let_pass
        get = "grep Tcp: /proc/net/snmp | tail -1 | cut -d' ' -f7"
        assert said(mine, f"{get}; sleep 1; {get}") == "0\n1\n"


@needs_namespaces
def test_the_parameters_of_cubic(bench: Bench) -> None:
    folder = "/sys/module/tcp_cubic/parameters"
    if bench.run(f"test -d {folder}").status:
        pytest.skip("this kernel has no tcp_cubic")
    assert said(bench, f"cat {folder}/hystart {folder}/beta") == "1\n717\n"
    said(bench, f"echo 0 > {folder}/hystart; echo 512 > {folder}/beta")
    assert not bench.host.stack.tcp.config.cubic_hystart
    assert said(bench, f"cat {folder}/hystart {folder}/beta") == "0\n512\n"
    assert list(bench.surroundings.inert_used) == ["tcp_cubic beta"]
    assert bench.run(f"echo x > {folder}/hystart").status == 1
