"""A stack with nothing but its loopback, which takes no rights, and a shell on it."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapstack import socket
from tapstack.runtime.default import Settings, default_stack
from tapstack.runtime.runtime import Runtime
from tapstack.shell.command import Context
from tapstack.shell.interrupt import Interrupt
from tapstack.shell.start import start
from tapstack.shell.table import COMMANDS
from tapstack.shell.watch import Watch


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    yield start(Settings(dev="none")).brought_up.runtime
    default_stack.close()


class Shell:
    """Runs commands as the session does, and keeps what they print."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.out, self.err = io.StringIO(), io.StringIO()
        self.interrupt = Interrupt()
        self.watch = Watch(runtime.stack.tracer)
        self.octets = folder / "stdout"
        self._stdin = os.open(os.devnull, os.O_RDONLY)
        self._stdout = os.open(self.octets, os.O_CREAT | os.O_WRONLY)

    def run(self, name: str, *words: str, stdin: int | None = None) -> int:
        context = Context(
            runtime=self.runtime,
            watch=self.watch,
            out=self.out,
            err=self.err,
            stdin=self._stdin if stdin is None else stdin,
            stdout=self._stdout,
            interrupt=self.interrupt,
            open_socket=socket.socket,
        )
        return COMMANDS[name].run(context, list(words))

    def output_of(self, name: str, *words: str) -> str:
        self.out.seek(0)
        self.out.truncate()
        assert self.run(name, *words) == 0
        return self.out.getvalue()

    def close(self) -> None:
        self.watch.clear()
        self.interrupt.close()
        os.close(self._stdin)
        os.close(self._stdout)


@pytest.fixture
def shell(runtime: Runtime, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(runtime, tmp_path)
    yield shell
    shell.close()
