"""A namespace with a TUN device, as the process that plays the script has it in hand.

This process itself stays where it is: the keeper, a process inside, makes what is needed there and
passes its descriptors (unix(7), SCM_RIGHTS).

Not done here: what the keeper does (`keeper.py`).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from tapstack.drill.child import command_of
from tapstack.drill.contract import Shell
from tapstack.drill.kernel import keeper
from tapstack.drill.kernel.keeper import CHOSEN_CONGESTION, LONGEST_MESSAGE
from tapstack.drill.kernel.setting import Setting

_SYSCTL = Path(__file__).with_name("sysctl.sh")
_PATIENCE = 5.0
"""Seconds for a keeper to end."""


class _Answer(NamedTuple):
    result: int
    fds: list[int]


class KernelNamespace:
    """One namespace; it ends with this object, or with this process."""

    def __init__(self, setting: Setting) -> None:
        """Make it. Raises: OSError with one clear sentence."""
        self._own = tempfile.TemporaryDirectory(prefix="tapstack-")
        calls, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        commands, their_commands = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._calls, self._commands = calls, commands
        self._lock = Lock()
        """Held from a request on `_calls` to its answer."""
        with theirs, their_commands:
            self._keeper = _start(
                setting._replace(environment=self._environment(setting.environment)),
                (theirs.fileno(), their_commands.fileno()),
            )
        try:
            (self.tun,) = _receive(self._calls).fds
        except OSError:
            self.close()
            raise

    def _environment(self, environment: dict[str, str]) -> dict[str, str]:
        """Let commands find the programs of root, and keep their memory out of others' hands."""
        path = f"{environment.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        own = Path(self._own.name)
        real_sysctl = shutil.which("sysctl", path=path) or "sysctl"
        shutil.copy(_SYSCTL, own / "sysctl")
        (own / "sysctl").chmod(0o755)
        return {
            **environment,
            "PATH": f"{own}:{path}",
            "NSTAT_HISTORY": str(own / "nstat"),
            "REAL_SYSCTL": real_sysctl,
            CHOSEN_CONGESTION: str(own / "congestion"),
        }

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        """Make a socket inside. Raises: OSError, as socket(2)."""
        return self._made("socket", domain, kind, protocol)

    def open(self, path: str, flags: int) -> int:
        """Open a file as it is seen inside. Raises: OSError, as open(2)."""
        return self._made("open", path, flags)

    def _made(self, *request: str | int) -> int:
        with self._lock:
            _send(self._calls, *request)
            (fd,) = _receive(self._calls).fds
        return fd

    # --- commands ---

    def begin_shell(self, command: str) -> int:
        """Begin to run a command inside; give a descriptor that is readable when it has ended."""
        _send(self._commands, "shell", command)
        return self._commands.fileno()

    def end_shell(self) -> Shell:
        """Wait for the command's end. Raises: OSError when it could not be run."""
        status, (fd,) = _receive(self._commands)
        with open(fd, "rb") as output:
            output.seek(0)
            return Shell(status, output.read().decode(errors="replace"))

    def close(self) -> None:
        """End it, and whatever runs in it."""
        self._calls.close()
        self._commands.close()
        try:
            self._keeper.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()
        self._own.cleanup()


def _start(setting: Setting, channels: tuple[int, int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*command_of(keeper.__name__), setting.write(), *map(str, channels)],
        stdin=subprocess.DEVNULL,
        pass_fds=channels,
        start_new_session=True,
    )


def _send(channel: socket.socket, *request: str | int) -> None:
    try:
        channel.send(json.dumps(request).encode())
    except BrokenPipeError:
        raise _gone() from None


def _receive(channel: socket.socket) -> _Answer:
    """Wait for an answer. Raises: OSError, which the request ended with."""
    message, fds, _, _ = socket.recv_fds(channel, LONGEST_MESSAGE, 1)
    if not message:
        raise _gone()
    answer = json.loads(message)
    if answer["error"]:
        raise OSError(*answer["error"])
    for fd in fds:
        os.set_inheritable(fd, False)
    return _Answer(answer["result"], fds)


def _gone() -> OSError:
    return OSError(errno.ECONNRESET, "the process that keeps the script's namespace is gone")
