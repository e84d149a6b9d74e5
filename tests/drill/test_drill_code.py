"""The Python code of a script: it sees the connection as it was, and runs at the end as one."""

import pytest

from tapstack.drill.language.syntax import ScriptError
from tapstack.drill.reports.failure import FailedError
from tests.drill.call_bench import CONNECTED, LISTENING, Bench, shown


def failure(bench: Bench) -> tuple[int, str]:
    """Run the code, which fails: the line, and why."""
    with pytest.raises(FailedError) as failed:
        bench.snippets.run()
    return failed.value.failure.position.line, failed.value.failure.headline


def code(*lines: str) -> str:
    """Make a snippet of several lines; its first one is behind that of `%{`."""
    return "\n".join(["%{", *lines, "}%"])


def test_code_sees_the_connection_as_it_was(bench: Bench) -> None:
    found = bench.play(
        *CONNECTED,
        "%{ assert tcpi_state == TCP_ESTABLISHED, tcpi_state }%",
        "%{ assert (tcpi_ca_state, tcpi_bytes_received) == (TCP_CA_Open, 0) }%",
        "write(4, ..., 10) = 10",
        "%{ assert tcpi_bytes_received == 10 }%",
        "close(4) = 0",
        "%{ assert tcpi_state == TCP_CLOSE_WAIT }%",
        "%{ assert tcpi_options & TCPI_OPT_SACK and tcpi_options & TCPI_OPT_TIMESTAMPS }%",
        "%{ assert tcpi_snd_wscale == tcpi_rcv_wscale > 0 }%",
        "%{ assert 0 <= tcpi_delivery_rate_app_limited <= 1 and tcpi_fastopen_client_fail == 0 }%",
        "%{ assert tcpi_snd_cwnd == 10 and tcpi_snd_wnd > 0 and tcpi_rcv_ooopack == 0 }%",
    )
    assert shown(found) == []
    bench.snippets.run()


def test_nothing_runs_before_the_end(stack: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    stack.play(*CONNECTED, "%{ print('state', tcpi_state) }%")
    assert capsys.readouterr().out == ""
    stack.snippets.run()
    assert capsys.readouterr().out == "state 1\n"


def test_variables_last(stack: Bench) -> None:
    stack.play(
        *CONNECTED,
        code("import math", "before = tcpi_bytes_received", "def twice(x):", "    return 2 * x"),
        "write(4, ..., 10) = 10",
        "%{ assert twice(tcpi_bytes_received - before) == math.floor(20.5) }%",
    )
    stack.snippets.run()


@pytest.mark.parametrize(
    ("lines", "line", "headline"),
    [
        (
            ("%{ assert tcpi_state == TCP_CLOSE }%",),
            7,
            "the assertion does not hold; tcpi_state is 1",
        ),
        (
            (code("x = 5", "assert tcpi_retransmits == x, 'too many'"),),
            9,
            "the assertion does not hold (too many); tcpi_retransmits is 0, x is 5",
        ),
        (
            (code("assert (tcpi_state ==", "        tcpi_probes)"),),
            8,
            "the assertion does not hold; tcpi_state is 1, tcpi_probes is 0",
        ),
        (
            (code("for n in range(3):", "    assert n < tcpi_state + 1"),),
            9,
            "the assertion does not hold; n is 2, tcpi_state is 1",
        ),
        (
            (code("if tcpi_state:", "    if 1 / tcpi_probes:", "        pass"),),
            9,
            "the code raises ZeroDivisionError: division by zero; tcpi_probes is 0",
        ),
        (
            ("%{ print(tcpi_nothing) }%",),
            7,
            "the code raises NameError: name 'tcpi_nothing' is not defined",
        ),
        (
            (code("def check(value):", "    assert value == 'x' * 99"), "%{ check('y' * 70) }%"),
            9,
            f"the assertion does not hold; value is 'yyyyyyyy{'y' * 48}...",
        ),
        (("%{ raise ValueError }%",), 7, "the code raises ValueError"),
        (("%{ import sys; sys.exit(3) }%",), 7, "the code ends with the status 3"),
        (("%{ raise SystemExit('no') }%",), 7, "the code ends with the status no"),
        (
            ("%{ import json; json.loads('{') }%",),
            7,
            "the code raises JSONDecodeError: Expecting property name",
        ),
        (("%{ x = 1 }%", "%{ assert x == 2 }%"), 8, "the assertion does not hold; x is 1"),
    ],
)
def test_what_fails_is_told_with_its_line(
    stack: Bench, lines: tuple[str, ...], line: int, headline: str
) -> None:
    assert shown(stack.play(*CONNECTED, *lines)) == []
    found = failure(stack)
    assert found[0] == line
    assert found[1].startswith(headline)
    if not headline.endswith(("...", "name")):
        assert found[1] == headline


def test_nothing_runs_behind_a_failure(stack: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    stack.play(*CONNECTED, "%{ print(1) }%", "%{ assert 0 }%", "%{ print(2) }%")
    assert failure(stack) == (8, "the assertion does not hold")
    assert capsys.readouterr().out == "1\n"


def test_the_program_may_end_itself(stack: Bench) -> None:
    stack.play(*CONNECTED, "%{ import sys; sys.exit(0) }%", "%{ assert 0 }%")
    stack.snippets.run()


@pytest.mark.parametrize("body", ["  pass", "  try: x = 1/0\n  except Exception: pass"])
def test_what_runs_for_ever_is_ended(stack: Bench, body: str) -> None:
    stack.play(*CONNECTED, code("while True:", *body.splitlines()))
    _, headline = failure(stack)
    assert "it runs for ever: 3000000 lines of it have run" in headline


def test_an_interrupt_is_nobodys_failure(stack: Bench) -> None:
    stack.play(*CONNECTED, "%{ raise KeyboardInterrupt }%")
    with pytest.raises(KeyboardInterrupt):
        stack.snippets.run()


@pytest.mark.parametrize(
    "text",
    [
        "%{ assert 1 }%",
        "%{assert 1}%",
        "%{\nassert 1\nassert 2\n}%",
        "%{\n   assert 1\n   assert 2\n}%",
        "%{ assert 1\n   assert 2 }%",
        "%{ assert 1\nassert 2\n}%",
        "%{\n\tif 1:\n\t\tassert 1\n}%",
        "%{ if 1:\n  assert 1 }%",
        "%{ # nothing\n}%",
        "%{ }%",
    ],
)
def test_indentation_is_the_scripts_own_affair(stack: Bench, text: str) -> None:
    stack.play(*CONNECTED, text)
    stack.snippets.run()


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("%{ assert tcpi_state = 1 }%", "this is no Python: ", 1),
        ("%{\nx = 1\nif x\n}%", "this is no Python: expected ':'", 3),
        ("%{\n return 1\n}%", "this is no Python: 'return' outside function", 2),
        ("%{ print tcpi_state }%", "this is no Python: Missing parentheses", 1),
    ],
)
def test_what_is_no_python_is_refused_before(text: str, message: str, line: int) -> None:
    with pytest.raises(ScriptError) as refused:
        Bench().prepare(text)
    assert refused.value.message.startswith(message)
    assert refused.value.position.line == line


# --- which socket is meant ---


def test_the_latest_connection_is_meant(bench: Bench) -> None:
    bench.play(
        *CONNECTED,
        "socket(..., SOCK_STREAM, 0) = 6",
        "socket(..., SOCK_DGRAM, 0) = 7",
        "%{ assert tcpi_state == TCP_ESTABLISHED }%",
        "shutdown(5, SHUT_WR) = 0",
        "%{ assert tcpi_state in (TCP_FIN_WAIT1, TCP_FIN_WAIT2) }%",
        "close(5) = 0",
        "%{ assert tcpi_state == TCP_CLOSE_WAIT }%",
        "close(4) = 0",
        "%{ assert tcpi_state == TCP_CLOSE }%",
        "close(6) = 0",
        "%{ assert tcpi_state == TCP_LISTEN }%",
    )
    bench.snippets.run()


def test_a_connection_that_is_still_to_be(kernel: Bench) -> None:
    kernel.play(
        "socket(..., SOCK_STREAM, 0) = 3", "socket(..., SOCK_STREAM, 0) = 4", *LISTENING[1:]
    )
    kernel.play("connect(4, ..., ...) = 0", "%{ assert tcpi_state == TCP_ESTABLISHED }%")
    kernel.snippets.run()


def test_without_a_socket_there_is_nothing_to_capture(bench: Bench) -> None:
    lines = ("socket(..., SOCK_DGRAM, 0) = 3", "%{ assert 0 }%")
    assert shown(bench.play(*lines)) == ["TCP_INFO: an open TCP socket to capture it of, none"]
    bench.snippets.run()
