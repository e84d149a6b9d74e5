"""getsockopt and setsockopt of a script: values as numbers, strings and structs."""

from pathlib import Path

import pytest

from tapstack.drill.language.syntax import UnsupportedError
from tapstack.drill.running import Manner, Verdict, run_file
from tests.drill.call_bench import CONNECTED, LISTENING, Bench, shown

SET_AND_GET = [
    ("SOL_TCP, TCP_NODELAY, [1], 4", "SOL_TCP, TCP_NODELAY, [1], [4]"),
    ("IPPROTO_TCP, TCP_NODELAY, [1], ...", "SOL_TCP, TCP_NODELAY, [1], ..."),
    ("SOL_TCP, TCP_NODELAY, [1], 4", "SOL_TCP, TCP_NODELAY, [...], [4]"),
    ("SOL_TCP, TCP_NODELAY, [1], 4", "SOL_TCP, TCP_NODELAY, ..., ..."),
    ("SOL_TCP, TCP_NODELAY, ..., 4", "SOL_TCP, TCP_NODELAY, [0], [4]"),
    (
        "SOL_SOCKET, SO_LINGER, {onoff=1, linger=10}, 8",
        "SOL_SOCKET, SO_LINGER, {onoff=1, linger=10}, [8]",
    ),
    ("SOL_SOCKET, SO_LINGER, {onoff=1, linger=10}, 8", "SOL_SOCKET, SO_LINGER, {linger=10}, ..."),
    ('SOL_TCP, TCP_CONGESTION, "reno", 4', 'SOL_TCP, TCP_CONGESTION, "reno", [16]'),
    ('SOL_TCP, TCP_CONGESTION, "renox", 4', 'SOL_TCP, TCP_CONGESTION, "reno", ...'),
    ('SOL_TCP, TCP_CONGESTION, "reno", 5', 'SOL_TCP, TCP_CONGESTION, "reno", [4]'),
    (
        "SOL_TCP, TCP_NOTSENT_LOWAT, [4294967295], 4",
        "SOL_TCP, TCP_NOTSENT_LOWAT, [4294967295], [4]",
    ),
    ("SOL_TCP, TCP_NOTSENT_LOWAT, [-1], 4", "SOL_TCP, TCP_NOTSENT_LOWAT, [-1], [4]"),
    ("SOL_IP, IP_TOS, [0x10], 1", "SOL_IP, IP_TOS, [16], [1]"),
    ("SOL_TCP, TCP_USER_TIMEOUT, [3000], 4", "SOL_TCP, TCP_USER_TIMEOUT, [3000], [4]"),
]


@pytest.mark.parametrize(("to_set", "to_get"), SET_AND_GET)
def test_what_is_set_is_read(bench: Bench, to_set: str, to_get: str) -> None:
    lines = (f"setsockopt(3, {to_set}) = 0", f"getsockopt(3, {to_get}) = 0")
    assert shown(bench.play(*LISTENING, *lines)) == []


@pytest.mark.parametrize(
    ("to_set", "to_get", "differences"),
    [
        ("SOL_TCP, TCP_NODELAY, [1], 4", "SOL_TCP, TCP_NODELAY, [0], [4]", ["value: [0], [1]"]),
        ("SOL_TCP, TCP_NODELAY, [1], 4", "SOL_TCP, TCP_NODELAY, [1], [8]", ["length: 8, 4"]),
        (
            "SOL_SOCKET, SO_LINGER, {onoff=1, linger=10}, 8",
            "SOL_SOCKET, SO_LINGER, {onoff=0, linger=11}, [8]",
            ["onoff: 0, 1", "linger: 11, 10"],
        ),
        (
            'SOL_TCP, TCP_CONGESTION, "reno", 4',
            'SOL_TCP, TCP_CONGESTION, "bbr", ...',
            ['value: "bbr", "reno"'],
        ),
    ],
)
def test_a_value_that_is_otherwise_is_told(
    bench: Bench, to_set: str, to_get: str, differences: list[str]
) -> None:
    lines = (f"setsockopt(3, {to_set}) = 0", f"getsockopt(3, {to_get}) = 0")
    assert shown(bench.play(*LISTENING, *lines)) == differences


def test_several_numbers_are_ints(bench: Bench) -> None:
    (told,) = shown(bench.play(*LISTENING, "getsockopt(3, SOL_SOCKET, SO_LINGER, [0, 7], [8]) = 0"))
    assert told == "value: [0, 7], [0, 0]"


def test_a_number_of_eight_octets(bench: Bench) -> None:
    lines = (
        "setsockopt(3, SOL_SOCKET, SO_MAX_PACING_RATE, [5000000000], 8) = 0",
        "getsockopt(3, SOL_SOCKET, SO_MAX_PACING_RATE, [5000000000], [8]) = 0",
    )
    assert shown(bench.play(*LISTENING, *lines)) == []


def test_tcp_info_may_be_asked_for(bench: Bench) -> None:
    assert not bench.play(*CONNECTED, "getsockopt(4, SOL_TCP, TCP_INFO, ..., ...) = 0")


def test_an_option_that_is_refused(bench: Bench) -> None:
    lines = (
        'setsockopt(3, SOL_TCP, TCP_CONGESTION, "none", 4) = -1 ENOENT (No such file)',
        "setsockopt(3, SOL_TCP, TCP_KEEPCNT, [0], 4) = -1 EINVAL (Invalid argument)",
        "getsockopt(3, SOL_TCP, 999, [0], [4]) = -1 ENOPROTOOPT (Protocol not available)",
    )
    assert shown(bench.play(*LISTENING, *lines)) == []


ASKED = [
    "setsockopt(3, SOL_SOCKET, SO_LOCK_FILTER, [1], 4) = 0",
    "setsockopt(3, SOL_SOCKET, SO_LOCK_FILTER, [1], 4) = -1 EINVAL",
    "getsockopt(3, SOL_SOCKET, SO_LOCK_FILTER, [0], [4]) = 0",
]


@pytest.mark.parametrize("line", ASKED)
def test_an_option_that_only_the_stack_lacks_is_nobodys_failure(stack: Bench, line: str) -> None:
    with pytest.raises(UnsupportedError) as unsupported:
        stack.play(*LISTENING, line)
    assert unsupported.value.construct == "SO_LOCK_FILTER"
    assert unsupported.value.position == (4, 30)


def test_an_option_that_linux_lacks_is_a_failure(bench: Bench) -> None:
    line = "setsockopt(3, SOL_SOCKET, %s, [1], 4) = 0"
    told = ["result: 0, -1 ENOPROTOOPT (Protocol not available)"]
    assert shown(bench.play(*LISTENING, line % "999")) == told
    error = line % "SO_TYPE"
    assert shown(bench.play(error.replace("= 0", "= -1 ENOPROTOOPT"))) == []


def test_the_kernel_has_the_last_word(kernel: Bench) -> None:
    found = kernel.play(*LISTENING, "setsockopt(3, SOL_SOCKET, SO_PEERCRED, [1], 4) = 0")
    assert shown(found) == ["result: 0, -1 ENOPROTOOPT (Protocol not available)"]


def test_a_script_that_asks_for_such_an_option_is_unsupported(tmp_path: Path) -> None:
    script = tmp_path / "script.pkt"
    script.write_text(
        "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
        "+0 setsockopt(3, SOL_SOCKET, SO_LOCK_FILTER, [1], 4) = 0\n"
    )
    result = run_file(script, Manner())
    assert result.verdict is Verdict.UNSUPPORTED
    assert result.report.startswith(f"{script}:2:30: unsupported: SO_LOCK_FILTER\n")
