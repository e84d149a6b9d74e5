"""Scripts are played as the language has it: order, time, and what fails where."""

import re
from pathlib import Path

import pytest

from tapstack.drill.language.syntax import Option, Position
from tapstack.drill.running import Manner, Verdict, run_file

SERVER = """\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 4000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
"""
LINES = SERVER.count("\n")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "script.pkt"


def play(script: Path, text: str, manner: Manner | None = None) -> tuple[Verdict, str]:
    script.write_text(text)
    result = run_file(script, manner or Manner())
    return result.verdict, result.report


def option(name: str, value: str) -> Option:
    return Option(Position(1, 1), name, value)


def passes(script: Path, text: str, manner: Manner | None = None) -> None:
    assert play(script, text, manner) == (Verdict.PASSED, "")


def fails(script: Path, text: str, line: int, *words: str, manner: Manner | None = None) -> str:
    verdict, report = play(script, text, manner)
    assert verdict is Verdict.FAILED, report
    assert report.startswith(f"{script}:{line}: "), report
    for word in words:
        assert word in report, report
    return report


# --- time -----------------------------------------------------------------------------------------


def test_times_are_exact(script: Path) -> None:
    passes(script, SERVER + "+.2 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n")
    fails(
        script,
        SERVER + "+.2 write(4, ..., 10) = 10\n+.000001 > P. 1:11(10) ack 1\n",
        LINES + 2,
        "sent at 0.300000",
        "expected at 0.300001",
        "--linux-tolerance",
    )


@pytest.mark.parametrize(
    "manner", [Manner(linux_tolerance=True), Manner(options=(option("tolerance_usecs", "4000"),))]
)
def test_a_tolerance_is_kept_to_the_microsecond(script: Path, manner: Manner) -> None:
    late = SERVER + "+0 write(4, ..., 10) = 10\n+{} > P. 1:11(10) ack 1\n"
    passes(script, late.format(".004"), manner)
    fails(script, late.format(".004001"), LINES + 2, "± 0.004000", manner=manner)


def test_the_tolerance_grows_with_the_time_since_the_previous_event(script: Path) -> None:
    text = SERVER + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+{} > P. 1:11(10) ack 1\n"
    manner = Manner(options=(option("tolerance_percent", "10"),))
    passes(script, text.format(".280"), manner)  # RTO: 300 ms after a round trip of 100 ms
    passes(script, text.format(".330"), manner)
    fails(script, text.format(".335"), LINES + 3, manner=manner)


def test_a_packet_may_be_expected_within_a_range_or_at_any_time(script: Path) -> None:
    text = SERVER + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n{} > P. 1:11(10) ack 1\n"
    for time in ("+.1~+.3", "+.3~+.4", "*", ".2~.5"):
        passes(script, text.format(time))
    fails(script, text.format("+.1~+.2"), LINES + 3, "expected at 0.200000 to 0.300000")
    fails(script, text.format("+.31~+.4"), LINES + 3)


def test_packets_injected_in_a_row_keep_the_time_of_each_other(script: Path) -> None:
    """The call between takes no time; a train counts from when each was to come."""
    passes(
        script,
        SERVER
        + "+.01 < P. 1:11(10) ack 1 win 1000\n+0 > . 1:1(0) ack 11\n"
        + "+.01 < P. 11:21(10) ack 1 win 1000\n+0 > . 1:1(0) ack 21\n0.12 read(4, ..., 100) = 20\n",
    )


def test_what_comes_too_late_fails(script: Path) -> None:
    fails(
        script,
        SERVER + "+.5 write(4, ..., 10) = 10\n0.3 write(4, ..., 10) = 10\n",
        LINES + 2,
        "0.600000 already",
    )


# --- packets --------------------------------------------------------------------------------------


def test_another_packet_is_shown_beside_the_one_expected(script: Path) -> None:
    report = fails(
        script,
        SERVER + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 2\n",
        LINES + 2,
        "expected  P. 1:11(10) ack 2",
        "ack: expected 2, got 1",
        "new text",
        "SND.NXT",
    )
    assert re.search(r"accept\(3, \.\.\., \.\.\.\) = 4", report)


def test_what_is_never_sent_fails_at_its_line(script: Path) -> None:
    fails(script, SERVER + "+0 > P. 1:11(10) ack 1\n", LINES + 1, "nothing was sent")


def test_another_packet_fails_only_where_one_is_expected(script: Path) -> None:
    sent = SERVER + "+0 write(4, ..., 10) = 10\n"
    passes(script, sent)
    fails(script, sent + "+0 > F. 1:1(0) ack 1\n", LINES + 2)


def test_a_unit_larger_than_a_segment_is_joined(script: Path) -> None:
    text = SERVER + "+0 write(4, ..., 1500) = 1500\n"
    small = text.replace("win 1000", "win 10000")
    passes(script, small + "+0 > P. 1:1501(1500) ack 1\n")
    passes(script, small + "+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:1501(500) ack 1\n")
    strict = Manner(options=(option("strict_segments", "1"),))
    fails(script, small + "+0 > P. 1:1501(1500) ack 1\n", LINES + 2, manner=strict)


def test_the_command_line_defines_before_the_script_does(script: Path) -> None:
    text = "--define=LEVEL=SOL_IP\n" + SERVER + "+0 setsockopt(4, LEVEL, NAME, [1], 4) = 0\n"
    command_line = option("define", "LEVEL=SOL_SOCKET"), option("define", "NAME=SO_KEEPALIVE")
    passes(script, text, Manner(options=command_line))
    verdict, report = play(script, text)
    assert verdict is Verdict.UNREADABLE
    assert "'NAME'" in report


def test_connections_are_reset_at_the_end(script: Path) -> None:
    """So that no connection of one script is left when the next begins, on a kernel."""
    verdict, report = play(script, SERVER, Manner(verbose=True))
    assert verdict is Verdict.PASSED
    assert "accept" in report


# --- system calls ---------------------------------------------------------------------------------


def test_a_call_that_blocks_returns_when_the_script_says(script: Path) -> None:
    opening = SERVER.replace("+.1 < .", "+0...0.1 accept(3, ..., ...) = 4\n+.1 < .")
    passes(script, opening.replace("+0 accept", "+0 fcntl(4, F_GETFL) = 2 //"))
    fails(
        script,
        opening.replace("+0...0.1", "+0...0.2").replace("+0 accept", "+0 fcntl(4, F_GETFL) = 2 //"),
        6,
        "returned at 0.100000",
    )


def test_a_call_that_never_returns_fails(script: Path) -> None:
    fails(script, SERVER + "+0...1 read(4, ..., 10) = 10\n", LINES + 1, "does not return")


def test_a_result_that_differs_fails(script: Path) -> None:
    fails(script, SERVER + "+0 write(4, ..., 10) = 11\n", LINES + 1, "11", "10")
    fails(script, SERVER + "+0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0\n", LINES + 1)
    listening = "+0 shutdown(3, SHUT_RD) = 0\n+0 accept(3, ..., ...) = 5\n"
    fails(script, SERVER + listening, LINES + 2, "EINVAL")


def test_what_is_not_fatal_only_warns(script: Path) -> None:
    manner = Manner(verbose=True, options=(option("non_fatal", "syscall"),))
    verdict, report = play(script, SERVER + "+0 write(4, ..., 10) = 11\n", manner)
    assert verdict is Verdict.PASSED
    assert f"warning: line {LINES + 1}:" in report


# --- commands and code ----------------------------------------------------------------------------


def test_a_sleep_takes_virtual_time(script: Path) -> None:
    passes(script, SERVER + "+0 `sleep 10`\n10.1 write(4, ..., 10) = 10\n")


def test_a_command_that_fails_fails_the_script(script: Path) -> None:
    fails(script, SERVER + "+0 `echo oh dear; false`\n", LINES + 1, "status 1", "oh dear")


def test_commands_run_before_and_after(script: Path) -> None:
    passes(script, "`sysctl -q net.ipv4.tcp_sack=0`\n" + SERVER + "`test -f script.pkt`\n")
    fails(script, "`exit 3`\n" + SERVER, 1, "status 3")


def test_code_sees_the_connection_as_it_was(script: Path) -> None:
    code = (
        "+0 %{ first = tcpi_unacked }%\n"
        "+0 write(4, ..., 10) = 10\n"
        "+0 %{ assert (first, tcpi_unacked) == (0, 1) }%\n"
    )
    passes(script, SERVER + code)
    fails(script, SERVER + code.replace("(0, 1)", "(0, 2)"), LINES + 3, "tcpi_unacked")


# --- scripts that are none, or ask for too much ---------------------------------------------------


def test_a_mistake_is_shown_with_its_place(script: Path) -> None:
    verdict, report = play(script, SERVER + "+0 writ(4, ..., 10) = 10\n")
    assert verdict is Verdict.UNREADABLE
    assert report.startswith(f"{script}:{LINES + 1}:4: ")
    assert "is write meant?" in report


def test_sockets_that_speak_ipv4_alone_are_ipv4_s(script: Path) -> None:
    assert play(script, "--ip_version=ipv4_mapped_ipv6\n" + SERVER) == (Verdict.PASSED, "")


MAPPED = """\
+0 setsockopt(4, SOL_IPV6, IPV6_TCLASS, [0x10], 4) = 0
+0 getsockopt(4, LEVEL, OPTION, [0x10], [4]) = 0
+0 socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP) = 5
+0 setsockopt(5, IPPROTO_IPV6, IPV6_RECVERR, [1], 4) = 0
+0 connect(5, ..., ...) = 0
+0 write(5, ..., 1) = 1
+0 > udp (1)
+0 < icmp unreachable port_unreachable [udp (1)]
+0 recvmsg(5, {msg_name(16)=..., msg_iov(1)=[{..., 0}], msg_flags=MSG_ERRQUEUE,
               msg_control=[{cmsg_level=LEVEL, cmsg_type=IPV6_RECVERR,
                             cmsg_data={ee_errno=ECONNREFUSED, ee_origin=SO_EE_ORIGIN_ICMP,
                                        ee_type=3, ee_code=3, ee_info=0, ee_data=0}}]
              }, MSG_ERRQUEUE) = 0
"""


def test_options_of_such_sockets_are_ipv4_s(script: Path) -> None:
    defined = Manner(
        options=(option("define", "LEVEL=SOL_IPV6"), option("define", "OPTION=IP_TOS"))
    )
    mapped = "--ip_version=ipv4_mapped_ipv6\n" + SERVER
    passes(script, mapped + MAPPED, defined)
    assert play(script, SERVER + MAPPED, defined)[0] is Verdict.UNSUPPORTED
    only = mapped + "+0 setsockopt(4, SOL_IPV6, IPV6_V6ONLY, [0], 4) = 0\n"
    assert play(script, only)[0] is Verdict.UNSUPPORTED
    written = '{sa_family=AF_INET6, sin_port=htons(1), sin_addr=inet6_addr("::1")}'
    assert play(script, mapped + f"+0 connect(4, {written}, 28) = 0\n")[0] is Verdict.UNSUPPORTED


def test_files_are_those_beside_the_script(script: Path) -> None:
    reading = 'open("text", O_RDONLY) = 3\n+0 read(3, "hello", 9) = 5\n'
    passes(script, f"`printf hello >text`\n0 {reading}`rm text`\n")
    (script.parent / "text").write_text("other")
    fails(script, f"0 {reading}", 2, 'read(3, "hello", 9) = 5')
    passes(script, '0 open("", O_RDONLY) = -1 ENOENT (No such file or directory)\n')
    passes(script, '0 open("/dev/null", O_RDONLY) = 3\n')


def test_what_there_is_not_is_unsupported(script: Path) -> None:
    verdict, report = play(script, "--ip_version=ipv6\n" + SERVER)
    assert verdict is Verdict.UNSUPPORTED
    assert "--ip_version=ipv6" in report
