"""debug: what the stack tells reaches everyone who asked for it, and nobody else."""

import errno
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from tapstack import socket
from tapstack.base.trace import Tracer
from tapstack.shell.watch import Watch
from tests.shell.conftest import Shell


class Printed:
    """What a watcher printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, text: str) -> None:
        self.lines += text.splitlines()


def test_each_watcher_gets_its_topics() -> None:
    tracer = Tracer()
    watch = Watch(tracer)
    some, more = Printed(), Printed()
    watch.add(frozenset({"tcp"}), some)
    watch.add(frozenset({"tcp", "arp"}), more)
    assert tracer.on == {"tcp", "arp"}
    tracer.emit("tcp", "a segment")
    tracer.emit("arp", "a request")
    watch.clear()
    assert [line.split(" ", 1)[1] for line in some.lines] == ["tcp: a segment"]
    assert [line.split(" ", 1)[1] for line in more.lines] == ["tcp: a segment", "arp: a request"]
    assert tracer.on == frozenset()


def test_who_has_ended_hears_no_more() -> None:
    tracer = Tracer()
    watch = Watch(tracer)
    printed = Printed()
    watcher = watch.add(frozenset({"tcp"}), printed)
    watch.remove(watcher)
    watch.remove(watcher)
    tracer.emit("tcp", "a segment")
    assert printed.lines == []


def test_who_cannot_keep_up_is_told_how_much_was_lost() -> None:
    tracer = Tracer()
    watch = Watch(tracer)
    printed = Printed()
    printing, go_on = threading.Event(), threading.Event()

    def slow(text: str) -> None:
        printing.set()
        assert go_on.wait(20)
        printed(text)

    watch.add(frozenset({"tcp"}), slow)
    tracer.emit("tcp", "the first")
    assert printing.wait(20)
    for number in range(10_003):
        tracer.emit("tcp", f"segment {number}")
    go_on.set()
    watch.clear()
    assert len(printed.lines) == 10_002
    assert printed.lines[-1] == "(3 lines lost: they came faster than they were printed)"


def test_an_output_that_nobody_reads_ends_only_the_watcher() -> None:
    tracer = Tracer()
    watch = Watch(tracer)

    def broken(text: str) -> None:
        raise BrokenPipeError

    watch.add(frozenset({"tcp"}), broken)
    tracer.emit("tcp", "a segment")
    watch.clear()


def test_debug_prints_until_the_user_ends_it(shell: Shell) -> None:
    debugging = threading.Thread(target=shell.run, args=("debug", "icmp", "tcpstate"))
    debugging.start()
    while not shell.runtime.stack.tracer.on:  # until it has begun
        debugging.join(0.001)
    shell.output_of("ping", "-c", "1", "127.0.0.1")
    shell.interrupt.request(signal.SIGINT)
    debugging.join()
    text = shell.out.getvalue()
    assert " icmp: < 127.0.0.1: type 8 code 0, length 56\n" in text
    assert " icmp: < 127.0.0.1: type 0 code 0, length 56\n" in text
    assert shell.runtime.stack.tracer.on == frozenset()


def test_debug_runs_on_in_the_background_until_cleared(shell: Shell, capsys) -> None:
    shell.output_of("debug", "-n", "all")
    assert shell.runtime.stack.tracer.on == set("dev l2 arp ip icmp udp tcp tcpstate".split())
    shell.output_of("ping", "-c", "1", "127.0.0.1")
    shell.output_of("debug", "-c")
    assert " icmp: < 127.0.0.1: type 8" in capsys.readouterr().out
    assert shell.runtime.stack.tracer.on == frozenset()


def test_a_line_that_cannot_be_printed_ends_it_and_is_told(shell: Shell) -> None:
    class Full:
        """An output that takes nothing."""

        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    shell.out = Full()  # type: ignore[assignment]
    with ThreadPoolExecutor() as pool:
        debugging = pool.submit(shell.run, "debug", "udp")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            deadline = monotonic() + 20
            while not debugging.done() and monotonic() < deadline:
                sender.sendto(b"x", ("127.0.0.1", 9))
        shell.interrupt.request(signal.SIGINT)
        with pytest.raises(OSError, match="No space left on device"):
            debugging.result()
    assert shell.watch.topics == frozenset()
