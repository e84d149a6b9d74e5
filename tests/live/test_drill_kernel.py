"""A kernel in a namespace of its own does what a script asks, on time, and leaves no trace."""

import errno
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapstack.base.address import parse_ipv4
from tapstack.base.units import MILLISECOND, SECOND, Duration
from tapstack.capture.pcap import LINKTYPE_RAW, PcapReader
from tapstack.drill.contract import Calls
from tapstack.drill.kernel import KernelHost
from tapstack.ip import icmp_wire, wire as ip
from tapstack.tcp.segment import ACK, FIN, PSH, RST, SYN, Options
from tapstack.udp import wire as udp
from tests.live.far_end import (
    ADDRESSES,
    AF_INET,
    LOCAL,
    REMOTE,
    SOCK_DGRAM,
    SOCK_STREAM,
    FarEnd,
    wrap,
)
from tests.live.netns import PROGRAMS, Namespace, wait_until

pytestmark = pytest.mark.usefixtures("able")

EPOLL_CTL_ADD, EPOLLIN_ET = 1, select.EPOLLIN | select.EPOLLET
MACHINES_DEFAULT = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().split()
TOLERANCE = 4 * MILLISECOND
"""What the tool allows."""


@pytest.fixture
def host(able: None, tmp_path: Path) -> Iterator[KernelHost]:
    with KernelHost(ADDRESSES, 1500, tmp_path) as fresh:
        yield fresh


@pytest.fixture
def far_end(host: KernelHost) -> FarEnd:
    return FarEnd(host)


# --- the wire ---


def test_a_handshake(far_end: FarEnd) -> None:
    far_end.listen()
    sent = far_end.send(SYN, options=Options(mss=1000))
    answered, segment = far_end.segment()
    assert segment.flags == SYN | ACK
    assert segment.options.mss == 1460
    assert sent.begun - TOLERANCE < answered < sent.ended + TOLERANCE


def test_text_goes_both_ways(far_end: FarEnd) -> None:
    fd = far_end.establish()
    far_end.send(ACK | PSH, b"there")
    assert far_end.segment().segment.flags == ACK
    assert far_end.call(lambda calls: calls.read(fd, 100)) == b"there"
    assert far_end.call(lambda calls: calls.write(fd, b"and back")) == 8
    assert bytes(far_end.segment().segment.text) == b"and back"


def test_what_is_sent_is_of_wire_size_and_pushed_at_its_end(far_end: FarEnd) -> None:
    fd = far_end.establish(mss=1000)
    far_end.call(lambda calls: calls.write(fd, bytes(4500)))
    segments = [far_end.segment().segment for _ in range(5)]
    assert [len(segment.text) for segment in segments] == [1000] * 4 + [500]
    assert [bool(segment.flags & PSH) for segment in segments] == [False] * 4 + [True]


def test_the_mtu_is_as_asked(tmp_path: Path) -> None:
    with KernelHost(ADDRESSES, 1280, tmp_path) as host:
        far_end = FarEnd(host)
        far_end.listen()
        far_end.send(SYN, options=Options(mss=1460))
        assert far_end.segment().segment.options.mss == 1240


def test_an_echo_is_replied_to(far_end: FarEnd) -> None:
    far_end.host.inject(wrap(1, icmp_wire.build_echo(8, 7, 1, b"ping")))
    octets = far_end.take().octets
    assert ip.parse(octets).source == LOCAL.address
    assert icmp_wire.parse(octets[20:]).type == 0


def test_datagrams_of_udp(far_end: FarEnd) -> None:
    def bound(calls: Calls) -> int:
        fd = calls.socket(AF_INET, SOCK_DGRAM, 0)
        calls.bind(fd, LOCAL)
        return fd

    fd = far_end.call(bound)
    question = udp.build(udp.UdpHeader(REMOTE.port, LOCAL.port, 8 + 5, 0)) + b"query"
    far_end.host.inject(wrap(17, question))
    assert far_end.call(lambda calls: calls.recvfrom(fd, 100, 0)) == (b"query", REMOTE)
    assert far_end.call(lambda calls: calls.sendto(fd, b"answer", 0, REMOTE)) == 6
    octets = far_end.take().octets
    assert ip.parse(octets).destination == REMOTE.address
    assert octets[28:] == b"answer"


def test_the_kernel_says_nothing_unasked(host: KernelHost) -> None:
    assert not host.run(500 * MILLISECOND, lambda: bool(host.captured))


def test_the_capture_shows_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    with KernelHost(ADDRESSES, 1500, tmp_path, capture=path) as host:
        far_end = FarEnd(host)
        far_end.listen()
        far_end.connect()
    with path.open("rb") as file:
        reader = PcapReader(file)
        assert reader.linktype == LINKTYPE_RAW
        sources = [ip.parse(record.octets).source for record in reader]
    assert sources[:3] == [REMOTE.address, LOCAL.address, REMOTE.address]


# --- time ---


def test_a_retransmission_has_the_time_of_the_kernel(far_end: FarEnd) -> None:
    fd = far_end.call(lambda calls: calls.socket(AF_INET, SOCK_STREAM, 0))
    far_end.host.begin(lambda calls: calls.connect(fd, REMOTE))
    first = far_end.segment()
    far_end.host.shell("sleep 1.2")  # nobody looks meanwhile
    second = far_end.segment()
    assert second.segment.seq == first.segment.seq
    assert SECOND - TOLERANCE < second.time - first.time < SECOND + 50 * MILLISECOND


def test_a_call_that_blocks_tells_when_it_returned(far_end: FarEnd) -> None:
    listener = far_end.listen()
    accept = far_end.host.begin(lambda calls: calls.accept(listener))
    assert not far_end.host.run(100 * MILLISECOND, lambda: accept.ended() is not None)
    far_end.send(SYN, options=Options(mss=1000))
    far_end.segment()
    acknowledged = far_end.send(ACK)
    _, remote = far_end.finish(accept)
    assert remote == REMOTE
    looked = far_end.host.now()
    far_end.host.run(looked + 30 * MILLISECOND, lambda: False)
    ended = accept.ended()
    assert ended is not None
    assert acknowledged.begun <= ended <= looked, "and not when it was asked"


def test_another_call_is_made_beside_the_one_that_blocks(far_end: FarEnd) -> None:
    listener = far_end.listen()
    accept = far_end.host.begin(lambda calls: calls.accept(listener))
    assert far_end.call(lambda calls: calls.getsockname(listener)).port == LOCAL.port
    assert accept.ended() is None


def test_time_passes_to_the_instant(host: KernelHost) -> None:
    def lateness() -> Duration:
        until = host.now() + 30 * MILLISECOND
        assert not host.run(until, lambda: False)
        return host.now() - until

    # The machine may halt this process at any time, but hardly each time.
    assert 0 <= min(lateness() for _ in range(10)) < TOLERANCE


# --- calls ---


def refusal(far_end: FarEnd, call: Callable[[Calls], object]) -> int:
    try:
        far_end.call(call)
    except OSError as error:
        return error.errno or 0
    return 0


def test_a_script_reaches_no_descriptor_but_its_own(far_end: FarEnd) -> None:
    output, input_ = os.pipe()
    assert refusal(far_end, lambda calls: calls.close(input_)) == errno.EBADF
    assert refusal(far_end, lambda calls: calls.write(input_, b"x")) == errno.EBADF
    watched = [(input_, select.POLLOUT)]
    assert far_end.call(lambda calls: calls.poll(watched, 0)) == [select.POLLNVAL]
    os.close(output)
    os.close(input_)


def test_an_error_has_its_number(far_end: FarEnd) -> None:
    fd = far_end.establish()
    far_end.call(lambda calls: calls.fcntl(fd, 4, os.O_NONBLOCK))
    assert refusal(far_end, lambda calls: calls.read(fd, 1)) == errno.EAGAIN
    assert refusal(far_end, lambda calls: calls.accept(fd)) == errno.EINVAL
    far_end.send(RST | ACK)
    assert refusal(far_end, lambda calls: calls.read(fd, 1)) == errno.ECONNRESET


def test_options_and_names(far_end: FarEnd) -> None:
    fd = far_end.establish()
    nodelay = struct.pack("i", 1)
    far_end.call(lambda calls: calls.setsockopt(fd, socket.IPPROTO_TCP, 1, nodelay))
    assert far_end.call(lambda calls: calls.getsockopt(fd, socket.IPPROTO_TCP, 1, 4)) == nodelay
    assert far_end.call(lambda calls: calls.getsockname(fd)) == LOCAL
    assert far_end.call(lambda calls: calls.getpeername(fd)) == REMOTE
    info = far_end.call(
        lambda calls: calls.getsockopt(fd, socket.IPPROTO_TCP, socket.TCP_INFO, 400)
    )
    assert info[0] == 1, "ESTABLISHED"


def test_an_association_is_dissolved(far_end: FarEnd) -> None:
    fd = far_end.call(lambda calls: calls.socket(AF_INET, SOCK_DGRAM, 0))
    far_end.call(lambda calls: calls.connect(fd, REMOTE))
    far_end.call(lambda calls: calls.connect(fd, None))
    assert refusal(far_end, lambda calls: calls.getpeername(fd)) == errno.ENOTCONN


def test_scattered_text(far_end: FarEnd) -> None:
    fd = far_end.establish()
    far_end.send(ACK, b"0123456789")
    assert far_end.call(lambda calls: calls.ioctl(fd, 0x541B)) == 10  # FIONREAD
    assert far_end.call(lambda calls: calls.recv(fd, 4, socket.MSG_PEEK)) == b"0123"
    assert far_end.call(lambda calls: calls.readv(fd, [3, 3])) == b"012345"
    assert far_end.call(lambda calls: calls.recvmsg(fd, 100, 0, 0)).data == b"6789"
    far_end.segment()
    far_end.call(lambda calls: calls.sendmsg(fd, [b"ab", b"cd"], [], 0, None))
    assert bytes(far_end.segment().segment.text) == b"abcd"


def test_control_messages_tell_of_time(far_end: FarEnd) -> None:
    fd = far_end.establish()
    far_end.call(lambda calls: calls.setsockopt(fd, 1, 29, struct.pack("i", 1)))  # SO_TIMESTAMP
    far_end.send(ACK, b"text")
    received = far_end.call(lambda calls: calls.recvmsg(fd, 100, 100, 0))
    assert received.data == b"text"
    assert [(level, kind, len(data)) for level, kind, data in received.control] == [(1, 29, 16)]


def test_epoll_gives_back_64_bits_and_edges_once(far_end: FarEnd) -> None:
    fd, data = far_end.establish(), 2**64 - 2

    def watching(calls: Calls) -> int:
        epoll = calls.epoll_create(1)
        calls.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, EPOLLIN_ET, data)
        return epoll

    epoll = far_end.call(watching)
    assert far_end.call(lambda calls: calls.epoll_wait(epoll, 10, 0)) == []
    waiting = far_end.host.begin(lambda calls: calls.epoll_wait(epoll, 10, 20_000))
    far_end.send(ACK, b"text")
    assert far_end.finish(waiting) == [(select.EPOLLIN, data)]
    assert far_end.call(lambda calls: calls.epoll_wait(epoll, 10, 20)) == []


def test_a_file_goes_out_by_sendfile_and_splice(far_end: FarEnd, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"from a file")
    fd = far_end.establish()

    def sent(calls: Calls) -> None:
        file = calls.open("text", os.O_RDONLY)
        assert calls.sendfile(fd, file, 5, 100) == 6
        output, input_ = calls.pipe()
        calls.write(input_, b"spliced")
        assert calls.splice(output, fd, 7, 0) == 7

    far_end.call(sent)
    assert bytes(far_end.segment().segment.text) == b"a file"
    far_end.send(ACK)
    assert bytes(far_end.segment().segment.text) == b"spliced"


def test_what_goes_wrong_in_a_call_comes_out(far_end: FarEnd) -> None:
    def wrong(calls: Calls) -> None:
        raise KeyError("wrong")

    with pytest.raises(KeyError):
        far_end.call(wrong)


# --- commands ---


def test_a_command_runs_in_the_scripts_directory(host: KernelHost, tmp_path: Path) -> None:
    (tmp_path / "helper.sh").write_text("echo helped; echo badly >&2; exit 3\n")
    assert host.shell("sh ./helper.sh") == (3, "helped\nbadly\n")


def test_a_command_takes_its_time(host: KernelHost) -> None:
    def taken() -> Duration:
        before = host.now()
        host.shell("sleep 0.1")
        return host.now() - before

    # Its process may have to wait for its turn, but hardly each time.
    assert 100 * MILLISECOND <= min(taken() for _ in range(5)) < 200 * MILLISECOND


def test_what_a_command_leaves_running_does_not_hold_it(host: KernelHost) -> None:
    left_running = host.shell("sleep 100 & echo $!")
    assert left_running.status == 0
    assert not is_gone(int(left_running.output))


def test_settings_have_effect_here_and_nowhere_else(far_end: FarEnd) -> None:
    path = Path("/proc/sys/net/ipv4/tcp_syn_retries")
    before = path.read_text()
    assert far_end.host.shell("sysctl -q net.ipv4.tcp_timestamps=0 net.ipv4.tcp_syn_retries=3") == (
        0,
        "",
    )
    assert far_end.host.shell(f"cat {path}").output == "3\n"
    assert path.read_text() == before
    fd = far_end.call(lambda calls: calls.socket(AF_INET, SOCK_STREAM, 0))
    far_end.host.begin(lambda calls: calls.connect(fd, REMOTE))
    assert far_end.segment().segment.options.timestamps is None


def congestion_of(far_end: FarEnd, fd: int) -> bytes:
    option = socket.IPPROTO_TCP, socket.TCP_CONGESTION
    return far_end.call(lambda calls: calls.getsockopt(fd, *option, 16)).rstrip(b"\0")


def test_buffers_are_of_linuxs_size_whatever_the_machines_are(host: KernelHost) -> None:
    sizes = host.shell("sysctl -n net.ipv4.tcp_rmem net.ipv4.tcp_wmem").output.split("\n")
    assert sizes[:2] == ["4096\t131072\t6291456", "4096\t16384\t4194304"]


def test_cubic_is_the_default_whatever_the_machines_is(far_end: FarEnd) -> None:
    assert congestion_of(far_end, far_end.establish()) == b"cubic"


def test_a_congestion_control_that_is_written_directly_holds(far_end: FarEnd) -> None:
    far_end.host.shell("echo reno > /proc/sys/net/ipv4/tcp_congestion_control")
    assert congestion_of(far_end, far_end.establish()) == b"reno"


@pytest.mark.parametrize("name", [*MACHINES_DEFAULT, "reno", "cubic"])
def test_any_congestion_control_can_be_chosen(far_end: FarEnd, name: str) -> None:
    """Whatever the machine's default is, which decides what the kernel lets a namespace have."""
    command = f"sysctl -q -w net.ipv4.tcp_sack=0 net.ipv4.tcp_congestion_control={name}"
    assert far_end.host.shell(command) == (0, "")
    assert far_end.host.shell("sysctl -n net.ipv4.tcp_sack").output == "0\n"
    assert congestion_of(far_end, far_end.establish()) == name.encode()


def test_the_last_choice_of_congestion_control_holds(far_end: FarEnd) -> None:
    for name in ("cubic", "reno"):
        far_end.host.shell(f"sysctl net.ipv4.tcp_congestion_control={name}")
    assert congestion_of(far_end, far_end.establish()) == b"reno"


def test_a_congestion_control_that_there_is_not_is_refused(host: KernelHost) -> None:
    refused = host.shell("sysctl -w net.ipv4.tcp_congestion_control=nonesuch")
    assert refused.status != 0
    assert "tcp_congestion_control" in refused.output


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/printk_ratelimit",
        "/proc/sys/net/core/rmem_max",
        "/proc/sys/net/ipv4/tcp_mem",
        "/sys/module/tcp_cubic/parameters/hystart",
    ],
)
def test_what_belongs_to_the_machine_is_refused(host: KernelHost, path: str) -> None:
    before = Path(path).read_text() if Path(path).exists() else None
    assert host.shell(f"echo 7 > {path}").status != 0
    assert before is None or Path(path).read_text() == before


def test_a_file_that_is_opened_is_the_namespaces(far_end: FarEnd) -> None:
    path = "/proc/sys/net/ipv4/ip_default_ttl"
    before = Path(path).read_text()

    def written(calls: Calls) -> None:
        fd = calls.open(path, os.O_WRONLY)
        calls.write(fd, b"33")

    far_end.call(written)
    assert far_end.host.shell(f"cat {path}").output == "33\n"
    assert Path(path).read_text() == before


def test_a_command_sees_the_device_and_the_route(host: KernelHost) -> None:
    assert host.shell("ls /sys/class/net").output.split() == ["lo", "tun0"]
    assert "192.0.2.0/24 via 192.168.0.1 dev tun0" in host.shell("ip route").output


def test_the_state_of_connections_is_told(far_end: FarEnd) -> None:
    far_end.establish()
    assert "192.168.0.1:8080" in far_end.host.describe()
    assert "cwnd:10" in far_end.host.describe()


# --- the end ---


def test_this_process_stays_where_it_is(host: KernelHost) -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    assert host.shell("readlink /proc/self/ns/net").output.strip() != before
    assert "tun0" not in [name for _, name in socket.if_nameindex()]


def test_hosts_beside_each_other_do_not_meet(tmp_path: Path) -> None:
    hosts = [KernelHost(ADDRESSES, 1500, tmp_path) for _ in range(3)]
    far_ends = [FarEnd(host) for host in hosts]
    for far_end in far_ends:
        far_end.establish()
    far_ends[0].send(FIN | ACK)
    assert far_ends[0].segment().segment.flags == ACK
    assert not hosts[1].captured
    for host in hosts:
        host.close()


BLOCKING: dict[str, Callable[[Calls], object]] = {
    "connect": lambda calls: calls.connect(calls.socket(AF_INET, SOCK_STREAM, 0), REMOTE),
    "recvfrom": lambda calls: calls.recvfrom(calls.socket(AF_INET, SOCK_DGRAM, 0), 1, 0),
    "poll": lambda calls: calls.poll([], -1),
    "epoll_wait": lambda calls: calls.epoll_wait(calls.epoll_create(1), 1, -1),
    "read": lambda calls: calls.read(calls.pipe()[0], 1),
    "write": lambda calls: calls.write(calls.pipe()[1], bytes(1 << 20)),
}


@pytest.mark.parametrize("name", BLOCKING)
def test_the_end_does_not_wait_for_a_call(host: KernelHost, name: str) -> None:
    host.begin(BLOCKING[name])
    host.run(20 * MILLISECOND, lambda: False)
    before = host.now()
    host.close()
    assert host.now() - before < SECOND


def is_gone(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def test_nothing_is_left(tmp_path: Path) -> None:
    policy = os.sched_getscheduler(0)
    threads, fds = threading.active_count(), sorted(os.listdir("/proc/self/fd"))
    host = KernelHost(ADDRESSES, 1500, tmp_path)
    FarEnd(host).establish()
    left_running = int(host.shell("sleep 100 & echo $!").output)
    host.close()
    host.close()
    assert os.sched_getscheduler(0) == policy
    assert threading.active_count() == threads
    assert sorted(os.listdir("/proc/self/fd")) == fds
    wait_until(lambda: is_gone(left_running), "the command is killed")


def test_a_gateway_that_cannot_be_is_refused(tmp_path: Path) -> None:
    elsewhere = ADDRESSES._replace(gateway=parse_ipv4("10.0.0.1"))
    with pytest.raises(OSError, match=r"no route to 192\.0\.2\.0/24 by the gateway 10\.0\.0\.1"):
        KernelHost(elsewhere, 1500, tmp_path)


def test_without_a_device_the_error_says_what_it_takes(namespace: Namespace) -> None:
    program = [sys.executable, str(PROGRAMS / "drill_kernel.py")]
    shell = ["sh", "-c", 'mount -t tmpfs tmpfs /dev/net && exec "$@"', "sh"]
    refused = namespace.run("unshare", "-m", *shell, *program).stdout
    assert (
        refused == "there is no /dev/net/tun here: the kernel module tun makes it (modprobe tun)\n"
    )
