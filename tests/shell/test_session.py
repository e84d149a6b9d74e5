"""Lines become commands: which one runs, what it may read, and what the shell's status is."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tapstack import socket
from tapstack.runtime.runtime import Runtime
from tapstack.shell.command import Command, Context, UsageError
from tapstack.shell.interrupt import Interrupt, run_interruptibly
from tapstack.shell.session import PROMPT, Session, find, run_commands, run_script
from tapstack.shell.table import COMMANDS


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    session = Session(runtime, socket.socket)
    yield session
    session.close()


def give_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_the_status_is_that_of_the_last_command(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    assert session.run_each(["route", "ping -c 1 127.0.0.1"], 0) == 0
    assert session.run_each(["ping -c 1 127.0.0.1", "ping"], 0) == 2
    assert session.run_each(["ping", "route"], 0) == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("pnig 10.0.0.2", "pnig: no such command; did you mean 'ping'?"),
        ("xyzzy", "xyzzy: no such command; 'help' lists what there is"),
        ('ping "10.0.0.2', 'ping "10.0.0.2: no closing quotation'),
        ("debug nonsense", "debug: 'nonsense' is none of dev l2 arp ip icmp udp tcp tcpstate all"),
        ("debug", "debug: which topics? There are dev l2 arp ip icmp udp tcp tcpstate all"),
        ("help xyzzy", "help: xyzzy: no such command; 'help' lists what there is"),
        ("exit soon", "exit: argument status: 'soon' is not a number from 0 to 255"),
        ("ifconfig tap0 up", "ifconfig: unrecognized arguments: up"),
        ("snc", "snc: where to? Give -b or -c ADDRESS:PORT, -l PORT, or ADDRESS PORT"),
    ],
)
def test_a_mistake_is_one_sentence_on_the_error_output(
    session: Session, capfd: pytest.CaptureFixture[str], line: str, sentence: str
) -> None:
    assert session.run_each([line], 0) == 2
    assert capfd.readouterr() == ("", sentence + "\n")


def test_nothing_and_comments_are_no_commands(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    assert session.run_each(["", "   ", "# a remark", "exit 3  # and leave", "xyzzy"], 0) == 3
    assert capfd.readouterr() == ("", "")


def test_leaving_without_a_status_keeps_the_last(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    assert session.run_each(["xyzzy", "exit", "route"], 0) == 2


def test_help_lists_every_command_and_explains_each(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    names = "help ping arpcache route ifconfig ip stat sysctl snc debug ss exit".split()
    assert session.run_each(["help"], 0) == 0
    listed = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed[:-1]] == names
    for name in names:
        assert session.run_each([f"help {name}"], 0) == 0
        assert capfd.readouterr().out.startswith("usage: " + name)


def test_lines_of_a_pipe_are_commands_and_what_runs_reads_nothing_of_it(
    session: Session, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 5000)):
        give_input(monkeypatch, "snc -N -w 0.2 127.0.0.1 5000\nss -tlH\n")
        assert run_script(session) == 0
    out, err = capfd.readouterr()
    assert out.split()[:1] == ["LISTEN"]
    assert err == PROMPT * 3 + "\n"


def test_octets_that_are_no_text_are_a_mistake_too(
    session: Session, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n")))
    assert run_script(session) == 2


@pytest.mark.parametrize("filling", ["x", "é", "'"])
def test_a_line_too_long_is_refused_as_one(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    filling: str,
) -> None:
    give_input(monkeypatch, f"help {filling * 300_000}\nroute\n{filling * 300_000}")
    assert run_script(session) == 2
    sentence = "a line has 65536 octets at most, and this one is longer\n"
    assert capfd.readouterr().err == PROMPT + sentence + PROMPT * 2 + sentence + PROMPT + "\n"


def test_a_line_may_be_long(session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    assert session.run_each(["route # " + "x" * (65536 - 8)], 0) == 0


def test_a_fault_of_ours_does_not_pass_for_the_users_mistake(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(context: Context, words: list[str]) -> int:
        raise ValueError("a fault")

    monkeypatch.setitem(COMMANDS, "faulty", Command("faulty", "", "", faulty))
    with pytest.raises(ValueError, match="a fault"):
        session.run("faulty", 0)


def test_what_runs_by_option_reads_the_input(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path,
) -> None:
    def receive_all() -> bytes:
        connection, _ = listener.accept()
        with connection:
            return connection.recv(100, socket.MSG_WAITALL)

    (tmp_path / "input").write_text("from the input")
    with (
        socket.create_server(("127.0.0.1", 5000)) as listener,
        (tmp_path / "input").open() as file,
        ThreadPoolExecutor() as pool,
    ):
        received = pool.submit(receive_all)
        monkeypatch.setattr(sys, "stdin", file)
        assert run_commands(session, ["snc -N 127.0.0.1 5000"]) == 0
        assert received.result(20) == b"from the input"


def test_an_output_that_nobody_reads_ends_the_session(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    out = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stdout", out)
    session.run_each(["route", "help", "exit 5"], 0)
    assert session.status == 0
    with pytest.raises(BrokenPipeError):
        out.close()


def test_a_command_is_found_by_its_name() -> None:
    assert find("ping").name == "ping"
    with pytest.raises(UsageError):
        find("Ping")


# --- Ctrl-C ---


@contextmanager
def handling(number: signal.Signals, handler: signal.Handlers) -> Iterator[None]:
    """Have a signal handled so, however whoever runs the tests has it."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_an_interrupt_ends_the_command_and_not_the_session(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupting(interrupt: Interrupt) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.wait(20)
        return 7

    assert run_interruptibly(interrupting) == 7
    assert session.run_each(["route"], 0) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_ends_the_program_after_the_command(number: signal.Signals) -> None:
    ended = []

    def told_to_end(interrupt: Interrupt) -> int:
        os.kill(os.getpid(), number)
        ended.append(interrupt.wait(20))
        return 0

    with handling(number, signal.SIG_DFL), pytest.raises(SystemExit) as leaving:
        run_interruptibly(told_to_end)
    assert leaving.value.code == 128 + number
    assert ended == [True]


def test_what_shall_outlive_its_terminal_does() -> None:
    def outliving(interrupt: Interrupt) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 130 if interrupt.is_up else 3

    with handling(signal.SIGHUP, signal.SIG_IGN):  # as nohup leaves it
        assert run_interruptibly(outliving) == 3
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_what_a_command_raises_reaches_the_session() -> None:
    def failing(interrupt: Interrupt) -> int:
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        run_interruptibly(failing)


def test_handlers_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_interruptibly(lambda interrupt: 0)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# --- as a program ---


def run_program(code: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, timeout=30
    )


UP = "from tapstack.shell.command_line import run as do; "
UP += "raise SystemExit(do(['up', '--dev', 'none', *{}]))"


def test_the_program_says_what_it_set_up_and_keeps_output_apart() -> None:
    program = run_program(UP.format(["-c", "ifconfig", "-c", "ping -c 1 127.0.0.1"]))
    assert program.returncode == 0, program.stderr
    assert program.stdout.startswith("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536")
    said = program.stderr.splitlines()
    assert said[0] == "lo: 127.0.0.1 mask 255.0.0.0, mtu 65536"
    assert said[-1] == "threads: MainThread, tapstack-reader"


def test_the_program_reads_commands_from_a_pipe() -> None:
    program = run_program(UP.format([]), "route\nexit 4\n")
    assert program.returncode == 4
    assert program.stderr.endswith(PROMPT * 2)


def test_the_program_refuses_bad_options_in_one_sentence() -> None:
    for options in (["--nonsense"], ["--addr", "x"], ["--mtu", "big"], ["--impair", "x=1"]):
        program = run_program(UP.format(options))
        assert program.returncode == 2
        assert program.stdout == ""
        assert len(program.stderr.splitlines()) == 1
        assert program.stderr.startswith("tapstack: ")


def test_snc_as_a_program_tells_a_mistake_before_it_makes_a_stack() -> None:
    program = run_program(
        "import sys; from tapstack.snc import run; status = run(['-c', 'x']);"
        "assert 'tapstack.stack' not in sys.modules; raise SystemExit(status)"
    )
    assert program.returncode == 2
    assert program.stderr.startswith("snc: argument -c: 'x' is not an address with a port")
