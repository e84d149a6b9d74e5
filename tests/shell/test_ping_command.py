"""ping on a stack of its own loopback: what it prints, and its exit status."""

import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tapstack.base.address import parse_ipv4
from tapstack.ip.wire import PROTOCOL_ICMP
from tapstack.shell.command import UsageError
from tapstack.shell.commands.ping import parse_plan
from tests.shell.conftest import Shell


def test_each_reply_has_its_line_and_the_sums_follow(shell: Shell) -> None:
    lines = shell.output_of("ping", "-c", "2", "-i", "0", "127.0.0.1").splitlines()
    assert lines[0] == "PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data."
    for line, sequence in zip(lines[1:3], "12", strict=True):
        assert re.fullmatch(
            rf"64 bytes from 127.0.0.1: icmp_seq={sequence} ttl=64 time=[\d.]+ ms", line
        )
    assert lines[3:5] == ["", "--- 127.0.0.1 ping statistics ---"]
    assert re.fullmatch(r"2 packets transmitted, 2 received, 0% packet loss, time \d+ms", lines[5])
    assert re.fullmatch(
        r"rtt min/avg/max/mdev = (\d+\.\d{3}/){3}\d+\.\d{3} ms(, pipe 2)?", lines[6]
    )


@pytest.mark.parametrize("size", [0, 1, 60000, 65507])
def test_any_size_comes_back_whole(shell: Shell, size: int) -> None:
    text = shell.output_of("ping", "-c", "1", "-s", str(size), "127.1.2.3")
    assert f"{size + 8} bytes from 127.1.2.3: icmp_seq=1 ttl=64 time=" in text
    assert f"PING 127.1.2.3 (127.1.2.3) {size}({size + 28}) bytes of data." in text


def test_quietly_there_are_only_the_sums(shell: Shell) -> None:
    text = shell.output_of("ping", "-q", "-c", "2", "-i", "0", "127.0.0.1")
    assert "icmp_seq" not in text
    assert "2 received" in text


def test_a_line_may_begin_with_the_time_of_day(shell: Shell) -> None:
    text = shell.output_of("ping", "-D", "-c", "1", "127.0.0.1")
    assert re.search(r"^\[\d{10}\.\d{6}\] 64 bytes from", text, re.M)


def test_a_flood_draws_a_point_and_takes_it_away(shell: Shell) -> None:
    text = shell.output_of("ping", "-f", "-c", "20", "127.0.0.1")
    assert text.splitlines()[1] == ".\b \b" * 20
    assert "20 received" in text


def test_the_time_to_live_is_what_was_asked_for(shell: Shell) -> None:
    raw = shell.runtime.stack.ip.raw
    listening = raw.open(PROTOCOL_ICMP)
    shell.output_of("ping", "-c", "1", "-t", "7", "127.0.0.1")
    request, _ = raw.receive_from(listening) or (b"", 0)
    assert request[8] == 7
    raw.close(listening)


def test_what_may_not_be_fragmented_and_does_not_fit_is_told(shell: Shell) -> None:
    shell.runtime.stack.interfaces["lo"].mtu = 1500
    assert shell.run("ping", "-c", "1", "-M", "do", "-s", "3000", "127.0.0.1") == 1
    assert shell.err.getvalue() == "ping: local error: message too long, mtu=1500\n"
    assert "1 packets transmitted, 0 received, +1 errors, 100% packet loss" in shell.out.getvalue()


def test_an_interrupt_ends_it_with_the_sums(shell: Shell) -> None:
    class Watching:
        """Interrupts as soon as the first reply is shown."""

        def write(self, text: str) -> int:
            if "icmp_seq" in text:
                shell.interrupt.request(signal.SIGINT)
            return shown.write(text)

        def flush(self) -> None:
            shown.flush()

    shown = shell.out
    shell.out = Watching()  # type: ignore[assignment]
    assert shell.run("ping", "127.0.0.1") == 0
    assert "1 packets transmitted, 1 received" in shown.getvalue()


def test_in_quick_succession_answers_and_the_interrupt_are_heard(shell: Shell) -> None:
    with ThreadPoolExecutor() as pool:
        pinging = pool.submit(shell.run, "ping", "-i", "0", "-w", "20", "127.0.0.1")
        while "icmp_seq=3 " not in shell.out.getvalue() and not pinging.done():
            shell.interrupt.wait(0.01)
        shell.interrupt.request(signal.SIGINT)
        assert pinging.result() == 0
    sent, received = map(
        int, re.findall(r"(\d+) packets transmitted, (\d+)", shell.out.getvalue())[0]
    )
    assert 3 <= received <= sent <= received + 1


def test_without_a_pause_it_is_no_flood_yet(shell: Shell) -> None:
    text = shell.output_of("ping", "-c", "11", "-i", "0", "127.0.0.1")
    assert int(re.findall(r"time (\d+)ms", text)[0]) >= 20, "2 ms apart, as of iputils"


@pytest.mark.parametrize("options", [("-c", "2", "-i", "0"), ("-f", "-c", "2")])
def test_an_output_that_nobody_reads_is_not_the_destinations_fault(
    shell: Shell, options: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    shell.out = os.fdopen(writing, "w")  # type: ignore[assignment]
    with pytest.raises(BrokenPipeError):
        shell.run("ping", *options, "127.0.0.1")
    with pytest.raises(BrokenPipeError):
        shell.out.close()


def test_the_unspecified_address_is_ourselves(shell: Shell) -> None:
    lines = shell.output_of("ping", "-c", "1", "0.0.0.0").splitlines()
    assert lines[0] == "PING 0.0.0.0 (127.0.0.1) 56(84) bytes of data."
    assert lines[1].startswith("64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=")
    assert lines[3] == "--- 0.0.0.0 ping statistics ---"


def test_silence_has_its_exit_status(shell: Shell) -> None:
    shell.runtime.stack.ip.config.icmp_echo_ignore_all = True
    assert shell.run("ping", "-c", "1", "-W", "0.05", "127.0.0.1") == 1
    assert "1 packets transmitted, 0 received, 100% packet loss" in shell.out.getvalue()
    assert shell.run("ping", "-w", "0.05", "127.0.0.1") == 1


def test_nothing_is_left_open(shell: Shell) -> None:
    shell.output_of("ping", "-c", "1", "127.0.0.1")
    assert shell.runtime.stack.ip.raw.by_protocol == {}
    assert list(shell.runtime.stack.udp.sockets()) == []
    assert "command" not in [thread.name for thread in threading.enumerate()]


def test_no_way_there_is_a_mistake(shell: Shell) -> None:
    with pytest.raises(UsageError, match=r"^ping: 10\.0\.0\.2: Network is unreachable$"):
        shell.run("ping", "10.0.0.2")


def test_times_are_seconds_that_may_have_fractions() -> None:
    plan = parse_plan("-i 0.01 -W 2 -w 1.5 -c 3 10.0.0.2".split())
    assert plan.destination == parse_ipv4("10.0.0.2")
    assert (plan.interval, plan.linger, plan.deadline) == (10_000, 2_000_000, 1_500_000)
    assert plan.count == 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "ping: the following arguments are required: ADDRESS"),
        ("10.0.0.300", "ping: argument ADDRESS: '10.0.0.300' is not an IPv4 address: each part"),
        ("example.org", "ping: argument ADDRESS: 'example.org' is not an IPv4 address such as"),
        ("-c many 10.0.0.2", "ping: argument -c: 'many' is not a number from 1 to 2147483647"),
        ("-c 0 10.0.0.2", "ping: argument -c: '0' is not a number from 1 to 2147483647"),
        ("-s 65508 10.0.0.2", "ping: argument -s: '65508' is not a number from 0 to 65507"),
        ("-t 256 10.0.0.2", "ping: argument -t: '256' is not a number from 1 to 255"),
        ("-W -1 10.0.0.2", "ping: argument -W: "),
        ("-i nan 10.0.0.2", "ping: argument -i: 'nan' is not a number of seconds"),
        ("-w 1e300 10.0.0.2", "ping: argument -w: '1e300' is not a number of seconds from 0 to"),
        ("-W 86401 10.0.0.2", "ping: argument -W: '86401' is not a number of seconds from 0 to"),
        ("-i inf 10.0.0.2", "ping: argument -i: 'inf' is not a number of seconds from 0 to"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_plan(line.split())
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)
