"""On a terminal: what is completed, where history is kept, and a whole session on a real one."""

import os
import pty
import re
import select
import signal
import sys
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory

from tapstack.runtime.runtime import Runtime
from tapstack.shell.terminal import CommandCompleter, open_history


def completed(runtime: Runtime, text: str) -> list[str]:
    completions = CommandCompleter(runtime).get_completions(Document(text), CompleteEvent())
    return [text[: len(text) + each.start_position] + each.text for each in completions]


def test_commands_are_completed(runtime: Runtime) -> None:
    assert completed(runtime, "pi") == ["ping "]
    assert completed(runtime, "s") == ["stat ", "sysctl ", "snc ", "ss "]
    assert completed(runtime, "xyzzy") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debug tcp", ["debug tcp ", "debug tcpstate "]),
        ("debug tcp tcp", ["debug tcp tcpstate "]),
        ("ping 127", ["ping 127.0.0.1 "]),
        ("ping -M d", ["ping -M dont ", "ping -M do "]),
        ("route a", ["route add "]),
        ("route add 10.0.0.0/8 v", ["route add 10.0.0.0/8 via "]),
        ("route add 10.0.0.0/8 dev ", ["route add 10.0.0.0/8 dev lo "]),
        ("help ifc", ["help ifconfig "]),
        ("xyzzy a", []),
        ("exit ", []),
    ],
)
def test_words_are_completed_from_what_the_stack_knows(
    runtime: Runtime, text: str, expected: list[str]
) -> None:
    assert completed(runtime, text) == expected


def test_history_is_kept_where_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history = open_history()
    assert isinstance(history, FileHistory)
    assert history.filename == str(tmp_path / "tapstack" / "history")
    assert (tmp_path / "tapstack" / "history").stat().st_mode & 0o777 == 0o600


def test_without_a_place_to_keep_it_history_is_this_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert isinstance(open_history(), InMemoryHistory)


def test_without_a_home_history_is_this_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "~nobody-of-this-name/state")
    assert isinstance(open_history(), InMemoryHistory)


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, folder: Path) -> None:
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has left otherwise
            environment = {**os.environ, "XDG_STATE_HOME": str(folder), "TERM": "xterm"}
            environment["PROMPT_TOOLKIT_NO_CPR"] = "1"  # nobody answers where the cursor is
            program = [sys.executable, "-c", "from tapstack.cli import main; main()"]
            os.execve(sys.executable, [*program, "up", "--dev", "none"], environment)

    def wait_for(self, pattern: str) -> None:
        """Read until the pattern has come, and forget everything up to its end."""
        while not (found := re.search(pattern, self.text)):
            ready, _, _ = select.select([self.fd], [], [], 20)
            assert ready, self.text
            self.text += os.read(self.fd, 65536).decode(errors="replace")
        self.text = self.text[found.end() :]

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def hang_up(self) -> int:
        """Close the terminal; give the program's exit status."""
        os.close(self.fd)
        process = os.pidfd_open(self.pid)
        ended, _, _ = select.select([process], [], [], 20)
        os.close(process)
        if not ended:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def exit_status(self) -> int:
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:  # the other end is closed
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


PROMPT = r"\[net shell\]:"


def test_a_session_on_a_terminal(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.wait_for(PROMPT)
    terminal.type("pin\t")
    terminal.wait_for("pin.*g")  # completed
    terminal.type("127.0.0.1\r")
    terminal.wait_for("64 bytes from 127.0.0.1: icmp_seq=1")
    terminal.type("\x03")  # Ctrl-C ends ping
    terminal.wait_for(r"(\d+) packets transmitted, \1 received, 0% packet loss")
    terminal.wait_for(PROMPT)
    terminal.type("no such line\x03")  # and gives up a line
    terminal.wait_for(PROMPT)
    terminal.type("exi\x1b[A\x1b[B\x15help route\r")
    terminal.wait_for("usage: route")
    terminal.wait_for(PROMPT)
    terminal.type("\x04")  # Ctrl-D leaves
    assert terminal.exit_status() == 0
    history = (tmp_path / "tapstack" / "history").read_text()
    assert "+ping 127.0.0.1" in history
    assert "+help route" in history


def test_what_is_typed_ahead_is_completed_first(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.wait_for(PROMPT)
    terminal.type("rou\tad\tdefault v\t10.9.9.9\r")
    terminal.wait_for("route: the gateway 10.9.9.9 is no neighbour of ours")
    terminal.wait_for(PROMPT)
    terminal.type("s\t\t\t-a\rexit 4\r")  # the second of those that begin so
    terminal.wait_for("net.ipv4.ip_default_ttl = 64")
    assert terminal.exit_status() == 4


@pytest.mark.parametrize(
    ("leave", "status"), [("exit\r", 0), ("\x04", 0), ("exit 3\r", 3)], ids=repr
)
def test_to_leave_after_a_failure_is_none(tmp_path: Path, leave: str, status: int) -> None:
    terminal = Terminal(tmp_path)
    terminal.wait_for(PROMPT)
    terminal.type("xyzzy\r")
    terminal.wait_for("xyzzy: no such command")
    terminal.wait_for(PROMPT)
    terminal.type(leave)
    assert terminal.exit_status() == status


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("ping -i 0.1 127.0.0.1", "icmp_seq=1", id="prints"),
        pytest.param("snc -v -l 5000", "Listening on 0.0.0.0 5000", id="waits"),
    ],
)
def test_a_closed_terminal_ends_the_session(tmp_path: Path, line: str, shown: str) -> None:
    terminal = Terminal(tmp_path)
    terminal.wait_for(PROMPT)
    terminal.type(line + "\r")
    terminal.wait_for(shown)
    assert terminal.hang_up() == 128 + signal.SIGHUP
