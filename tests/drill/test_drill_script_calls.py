"""A script's system calls do on any host what they say, and tell how it differs."""

import pytest

from tapstack.drill.language.syntax import ScriptError, UnsupportedError
from tests.drill.call_bench import CONNECTED, LISTENING, Bench, shown

# --- what passes ---


@pytest.mark.parametrize(
    "lines",
    [
        LISTENING,
        CONNECTED,
        (*CONNECTED, "write(4, ..., 1000) = 1000", "read(5, ..., 2000) = 1000"),
        (*CONNECTED, 'write(4, "hello", 5) = 5', 'read(5, "he"..., 100) = 5'),
        (*CONNECTED, 'send(4, "a\\x00b", 3, 0) = 3', 'recv(5, "a\\x00b", 100, MSG_PEEK) = 3'),
        (
            *CONNECTED,
            'writev(4, [{"ab", 2}, {..., 3}], 2) = 5',
            'readv(5, [{"ab\\x00", 3}, {..., 100}], 2) = 5',
        ),
        (
            *CONNECTED,
            "sendto(4, ..., 10, 0, ..., ...) = 10",
            "recvfrom(5, ..., 10, 0, ..., ...) = 10",
        ),
        (
            *CONNECTED,
            "sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 9}, {..., 6}], msg_flags=0}, 0) = 15",
            "recvmsg(5, {msg_name(...)=..., msg_iov(1)=[{..., 100}], msg_flags=0}, 0) = 15",
        ),
        (
            *CONNECTED,
            "write(4, ..., 7) = 7",
            "ioctl(5, SIOCINQ, [7]) = 0",
            "ioctl(5, FIONREAD, ...) = 0",
        ),
        (*CONNECTED, "close(4) = 0", "read(5, ..., 1) = 0", "close(5) = 0"),
        (*CONNECTED, "shutdown(4, SHUT_WR) = 0", "write(4, ..., 1) = -1 EPIPE (Broken pipe)"),
        (*CONNECTED, "close(4) = 0", "close(4) = -1 EBADF (Bad file descriptor)"),
        (
            *LISTENING,
            "fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
            "fcntl(3, F_GETFL) = 0x802 (flags)",
        ),
        (*LISTENING, "fcntl(3, F_SETFL, O_NONBLOCK) = 0", "accept(3, ..., ...) = -1 EAGAIN (none)"),
        (*LISTENING, "fcntl(3, F_SETFL, O_NONBLOCK) = 0", "accept(3, ..., ...) = -1 EWOULDBLOCK"),
        (
            "socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) = 9",
            "bind(9, ..., ...) = 0",
            "sendto(9, ..., 10, 0, ..., ...) = 10",
            "recvfrom(9, ..., 10, 0, {sa_family=AF_INET, sin_port=..., "
            'sin_addr=inet_addr("127.0.0.1")}, [16]) = 10',
            "sendmsg(9, {msg_name(...)=..., msg_iov(1)=[{..., 5}], msg_flags=0}, 0) = 5",
            "recvmsg(9, {msg_name(16)={sa_family=AF_INET, sin_port=..., sin_addr=...}, "
            "msg_iov(1)=[{..., 3}], msg_flags=MSG_TRUNC}, 0) = 3",
        ),
        ("socket(..., SOCK_STREAM, 0) = 3", "connect(3, ..., ...) = -1 ECONNREFUSED (refused)"),
        ("socket(..., SOCK_DGRAM, 0) = 3", "connect(3, {sa_family=AF_UNSPEC}, 16) = 0"),
        (*CONNECTED, "connect(4, {sa_family=AF_UNSPEC}, 16) = 0"),
        ("socket(..., 77, 0) = -1 EINVAL",),
        ("socket(..., SOCK_STREAM, 0) = ...",),
        ("close(99) = -1 EBADF",),
        ("poll([{fd=-1, events=POLLIN, revents=0}], 1, 0) = 0",),
    ],
)
def test_what_is_as_written_passes(bench: Bench, lines: tuple[str, ...]) -> None:
    assert shown(bench.play(*lines)) == []


def test_a_descriptor_is_mapped_to_the_hosts_own(bench: Bench) -> None:
    bench.calls.socket(2, 1, 0)  # so that numbers do differ
    assert not bench.play("socket(..., SOCK_STREAM, 0) = 3", "socket(..., SOCK_DGRAM, 0) = 30")
    assert not bench.play("getsockopt(30, SOL_SOCKET, SO_TYPE, [2], [4]) = 0")
    assert not bench.play("getsockopt(3, SOL_SOCKET, SO_TYPE, [1], [4]) = 0")


def test_a_number_may_be_given_again(bench: Bench) -> None:
    again = ("socket(..., SOCK_STREAM, 0) = 3", "close(3) = 0", "socket(..., SOCK_DGRAM, 0) = 3")
    assert not bench.play(*again, "getsockopt(3, SOL_SOCKET, SO_TYPE, [2], [4]) = 0")


def test_accept_tells_who_called(bench: Bench) -> None:
    lines = (
        *CONNECTED[:-1],
        "accept(3, {sa_family=AF_INET, sin_port=htons(1), sin_addr=...}, [20]) = 5",
    )
    ports, lengths = shown(bench.play(*lines))
    assert ports.startswith("address sin_port: 1, ")
    assert lengths == "address length: 20, 16"


def test_an_address_may_be_spelled_out(bench: Bench) -> None:
    port = bench.context.local.port
    address = f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("127.0.0.1")}}'
    lines = [
        "socket(..., SOCK_STREAM, 0) = 3",
        f"bind(3, {address}, 16) = 0",
        "listen(3, 1) = 0",
        "socket(..., SOCK_STREAM, 0) = 4",
        f"connect(4, {address}, 16) = 0",
        'accept(3, {sa_family=AF_INET, sin_port=..., sin_addr=inet_addr("127.0.0.2")}, ...) = 5',
    ]
    assert shown(bench.play(*lines)) == ["address sin_addr: 127.0.0.2, 127.0.0.1"]


# --- what differs ---


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        ("write(4, ..., 10) = 1000", "result: 1000, 10"),
        ("write(4, ..., 10) = -1 EAGAIN (would block)", "result: -1 EAGAIN, 10"),
        (
            "recv(4, ..., 10, MSG_DONTWAIT) = 10",
            "result: 10, -1 EAGAIN (Resource temporarily unavailable)",
        ),
        (
            "recv(4, ..., 10, MSG_DONTWAIT) = -1 ECONNRESET (reset)",
            "errno: ECONNRESET, EAGAIN (Resource temporarily unavailable)",
        ),
        ("socket(..., 77, 0) = 6", "result: 6, -1 EINVAL (Invalid argument)"),
        ("socket(..., SOCK_STREAM, 0) = -1 EINVAL", "result: -1 EINVAL, "),
        ("ioctl(4, SIOCINQ, [5]) = 0", "value: 5, 0"),
        ("read(9, ..., 5) = -1 EBADF", None),
    ],
)
def test_what_is_otherwise_is_told(bench: Bench, line: str, difference: str | None) -> None:
    found = shown(bench.play(*CONNECTED, line))
    if difference is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(difference)


def test_what_was_read_is_compared_with_a_string(bench: Bench) -> None:
    found = bench.play(*CONNECTED, 'write(4, "hello", 5) = 5', 'read(5, "help", 10) = 5')
    assert shown(found) == ['data: "help", "hello"']


def test_each_buffer_of_a_message_is_compared(bench: Bench) -> None:
    found = bench.play(
        *CONNECTED,
        'write(4, "abcdef", 6) = 6',
        'recvmsg(5, {msg_iov(2)=[{"abc", 3}, {"xyz", 3}], msg_flags=MSG_TRUNC}, 0) = 6',
    )
    assert shown(found) == ['msg_iov: "xyz", "def"', "msg_flags: MSG_TRUNC, 0"]


def test_an_error_that_is_known_by_two_names_is_one(bench: Bench) -> None:
    assert not bench.play(*CONNECTED, "recv(4, ..., 10, MSG_DONTWAIT) = -1 EWOULDBLOCK")


# --- what is refused before anything is played ---


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("reed(3, ..., 10) = 10", "there is no system call reed; is read meant?", 4),
        (
            "read(3, ...) = 10",
            "read takes 3 arguments, and this has 2; it is written read(4, ..",
            4,
        ),
        ("fcntl(3) = 0", "fcntl takes 2 to 3 arguments, and this has 1; it is written fcntl(4", 4),
        ("close() = 0", "close takes 1 argument, and this has 0; it is written close(4) = 0", 4),
        ("read(3, 17, 10) = 10", "read takes '...' or a string here; it is written read(4", 12),
        ("read(3, ..., ...) = 10", "read takes a number, not '...', here; it is written", 17),
        ('listen("x", 1) = 0', "listen takes a number here; it is written listen(3, 1) = 0", 11),
        ("read(8, ..., 10) = 10", "no call before this one gives the descriptor 8", 9),
        ("read(3, ..., 10) = -1 EAGIAN", "there is no error EAGIAN; is EAGAIN meant?", 26),
        ("read(3, ..., 10) = 5 EAGAIN", "a call that fails with EAGAIN returns -1, not 5", 25),
        (
            "bind(3, [1], 16) = 0",
            "bind takes an address {sa_family=AF_INET, sin_port=htons(8080)",
            12,
        ),
        ("bind(3, {family=AF_INET}, 16) = 0", "bind takes an address {sa_family=AF_INET,", 13),
        ("accept(3, ..., 16) = 4", "accept takes a length such as [16] here", 19),
        ("readv(3, [{..., 10}], 2) = 10", "readv takes 1, the number of items in the array, h", 26),
        ("readv(3, [10], 1) = 10", "readv takes buffers such as [{..., 1000}, {..., 500}] h", 14),
        ("recvmsg(3, {msg_flags=0}, 0) = 1", "recvmsg takes a struct such as {msg_name(...)=", 15),
        ("poll([{fd=3}], 1, 0) = 1", "poll takes a struct such as {fd=4, events=POLLIN, r", 10),
        ("poll({fd=3}, 1, 0) = 1", "poll takes an array such as [{fd=4, events=POLLIN, ", 9),
        (
            "epoll_wait(3, {fd=3, u32=3}, 1, 0) = 1",
            "epoll_wait takes a struct such as {events=",
            18,
        ),
        ("pipe([5]) = 0", "pipe takes two descriptors such as [5, 6] here; it is writ", 9),
        ("open(3, O_RDONLY) = 5", "open takes a file's name here; it is written open(", 9),
        (
            "setsockopt(3, SOL_TCP, TCP_NODELAY, 1, 4) = 0",
            "setsockopt takes the value as [1], ",
            40,
        ),
        ("setsockopt(3, SOL_TCP, TCP_NODELAY, [1], -4) = 0", "setsockopt takes the length of", 45),
        ("getsockopt(3, SOL_TCP, TCP_NODELAY, 1, [4]) = 0", "getsockopt takes the value that", 40),
        (
            "getsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0",
            "getsockopt takes a length such as",
            45,
        ),
        ("setsockopt(3, SOL_SOCKET, SO_LINGER, {on=1}, 8) = 0", "setsockopt takes a struct su", 42),
        (
            "setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=0x100000000, linger=1}, 8) = 0",
            "setsockopt takes a number of 32 bits here",
            48,
        ),
        (
            "sendmsg(3, {msg_iov(0)=[], msg_control=[{cmsg_level=0, cmsg_type=1, "
            "cmsg_data={ee_origin=256}}]}, 0) = 0",
            "sendmsg takes a number of 8 bits, none below 0, here",
            93,
        ),
        ("sendfile(3, 3, 0x10, 5) = 5", "sendfile takes an offset in an array, such as", 19),
    ],
)
def test_what_makes_no_sense_is_refused_in_place(line: str, message: str, column: int) -> None:
    bench = Bench()
    with pytest.raises(ScriptError) as refused:
        bench.prepare("socket(..., SOCK_STREAM, IPPROTO_TCP) = 3", line)
    assert refused.value.message.startswith(message)
    assert refused.value.position == (2, column)


@pytest.mark.parametrize(
    ("line", "construct"),
    [
        ("setsockopt(3, SOL_TCP, TCP_MD5SIG, ..., 4) = 0", "TCP_MD5SIG"),
        ("socket(AF_INET6, SOCK_STREAM, 0) = 4", "AF_INET6"),
        ("socket(..., SOCK_STREAM, IPPROTO_MPTCP) = 4", "IPPROTO_MPTCP"),
        ("cap_set(CAP_NET_ADMIN) = 0", "cap_set"),
        ("splice(3, [5], 3, NULL, 10, 0) = 10", "splice at an offset"),
    ],
)
def test_what_is_not_there_is_told_from_what_is_wrong(line: str, construct: str) -> None:
    bench = Bench()
    with pytest.raises(UnsupportedError) as unsupported:
        bench.prepare("socket(..., SOCK_STREAM, IPPROTO_TCP) = 3", line)
    assert unsupported.value.construct == construct
    assert unsupported.value.position.line == 2
