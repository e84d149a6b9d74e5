"""poll and epoll of a script, and what moves data between descriptors."""

from pathlib import Path

from tests.drill.call_bench import CONNECTED, LISTENING, Bench, shown

READABLE = (*CONNECTED, "write(4, ..., 10) = 10")


def test_poll_tells_what_is_ready(bench: Bench) -> None:
    lines = (
        "poll([{fd=5, events=POLLIN|POLLOUT, revents=POLLIN|POLLOUT}], 1, 1000) = 1",
        "poll([{fd=5, events=POLLIN, revents=POLLIN}, {fd=4, events=POLLIN, revents=0}], 2, 0) = 1",
        "poll([{fd=5, events=POLLIN}, {fd=3, events=POLLIN, revents=...}], 2, 0) = 1",
    )
    assert shown(bench.play(*READABLE, *lines)) == []


def test_poll_tells_bits_by_name(bench: Bench) -> None:
    line = "poll([{fd=5, events=POLLIN|POLLOUT, revents=POLLOUT|POLLHUP}], 1, 0) = 1"
    assert shown(bench.play(*READABLE, line)) == [
        "revents of fd 5: POLLOUT|POLLHUP, POLLIN|POLLOUT"
    ]


def test_poll_of_what_was_closed(bench: Bench) -> None:
    line = "poll([{fd=5, events=POLLIN, revents=POLLNVAL}], 1, 0) = 1"
    assert shown(bench.play(*CONNECTED, "close(5) = 0", line)) == []


def test_poll_waits_no_longer_than_it_should(bench: Bench) -> None:
    line = "poll([{fd=3, events=POLLIN, revents=0}], 1, 1) = 0"
    assert shown(bench.play(*LISTENING, line)) == []


def test_epoll_gives_back_what_it_was_given(bench: Bench) -> None:
    lines = (
        "epoll_create(1) = 6",
        "epoll_ctl(6, EPOLL_CTL_ADD, 5, {events=EPOLLIN, fd=5}) = 0",
        "epoll_wait(6, {events=EPOLLIN, fd=5}, 1, 1000) = 1",
        "epoll_ctl(6, EPOLL_CTL_MOD, 5, {events=EPOLLIN|EPOLLOUT, u64=0xfffffffff}) = 0",
        "epoll_wait(6, [{events=EPOLLIN|EPOLLOUT, u64=0xfffffffff}], 1, 0) = 1",
        "epoll_wait(6, {events=EPOLLIN|EPOLLOUT, u32=0xffffffff}, 1, 0) = 1",
        "epoll_wait(6, {events=..., ptr=0xfffffffff}, 1, 0) = 1",
        "epoll_ctl(6, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) = 0",
        "epoll_wait(6, [{events=EPOLLIN|EPOLLOUT, fd=...}], 2, 0) = 1",
        "epoll_ctl(6, EPOLL_CTL_DEL, 5, NULL) = 0",
        "epoll_wait(6, ..., 1, 0) = 0",
        "epoll_ctl(6, EPOLL_CTL_DEL, 5, ...) = -1 ENOENT",
        "close(6) = 0",
    )
    assert shown(bench.play(*READABLE, *lines)) == []


def test_epoll_events_that_are_otherwise(bench: Bench) -> None:
    lines = (
        "epoll_create(1) = 6",
        "epoll_ctl(6, EPOLL_CTL_ADD, 5, {events=EPOLLIN|EPOLLET, fd=5}) = 0",
        "epoll_wait(6, {events=EPOLLIN|EPOLLOUT, fd=4}, 1, 1000) = 2",
    )
    assert shown(bench.play(*READABLE, *lines)) == [
        "result: 2, 1",
        "events: EPOLLIN|EPOLLOUT, EPOLLIN",
        "fd: 4, 5",
    ]


def test_a_pipe_between_two_connections(bench: Bench) -> None:
    lines = (
        "pipe([6, 7]) = 0",
        "splice(5, NULL, 7, NULL, 1000, 0) = 10",
        "splice(6, NULL, 5, NULL, 1000, 0) = 10",
        "read(4, ..., 1000) = 10",
        "close(6) = 0",
        "close(7) = 0",
    )
    assert shown(bench.play(*READABLE, *lines)) == []


def test_a_file_is_sent(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("hello, world")
    lines = (
        f'open("{file}", O_RDONLY) = 6',
        "sendfile(4, 6, [7], 100) = 5",
        'read(5, "world", 1000) = 5',
        "sendfile(4, 6, NULL, 3) = 3",
        'read(5, "hel", 1000) = 3',
        "sendfile(4, 6, ..., 100) = 9",
        'read(5, "lo,"..., 1000) = 9',
    )
    assert shown(bench.play(*CONNECTED, *lines)) == []
    missing = f'open("{tmp_path}/missing", O_RDONLY) = -1 ENOENT (No such file)'
    assert shown(bench.play(missing)) == []
