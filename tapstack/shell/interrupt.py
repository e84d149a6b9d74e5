"""Ctrl-C for a running command: a request to end, never an exception in the middle of things.

A command runs in a thread of its own while the main thread waits for it and takes the signals. So
the stack is never torn out of a half-done change, and each command ends in its own way: ping with
its statistics, snc by closing the connection.

Not done here: what a command does about it.
"""

import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from tapstack.shell.flag import Flag

INTERRUPTED = 128 + signal.SIGINT
"""Exit status of a program that Ctrl-C ended, as shells have it."""


class HasFileno(Protocol):
    """Anything that poll can wait for."""

    def fileno(self) -> int:
        """Give the descriptor."""


class Interrupt(Flag):
    """The user's wish that the running command end."""

    by: int = signal.SIGINT
    """The signal that asked."""

    def request(self, by: int) -> None:
        """Ask the command to end. Safe in a signal handler."""
        self.by = by
        self.up()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the request, at most `timeout` seconds; tell whether it was made."""
        return bool(wait_readable(self, timeout=timeout))


def wait_readable(
    *files: int | HasFileno, output: int | None = None, timeout: float | None = None
) -> list[int]:
    """Wait until a file can be read without blocking, or has ended; give the descriptors.

    An `output` is among them once nobody reads it any more.
    """
    poll = select.poll()
    if output is not None:
        poll.register(output, 0)  # POLLERR and POLLHUP come unasked
    for file in files:
        poll.register(file, select.POLLIN)
    milliseconds = None if timeout is None else max(0.0, timeout * 1000)
    return [fd for fd, _ in poll.poll(milliseconds)]


def wait_writable(file: int, *flags: Flag) -> bool:
    """Wait until a file takes octets without blocking, or fails at once; False: a flag is up."""
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    for flag in flags:
        poll.register(flag, select.POLLIN)
    return any(fd == file for fd, _ in poll.poll())


def run_interruptibly(command: Callable[[Interrupt], int]) -> int:
    """Run a command to its end in another thread, and turn signals into its `Interrupt`.

    Gives its exit status, or raises what it raised. For the main thread alone.
    Raises: SystemExit after a signal other than Ctrl-C, once the command has ended.
    """
    interrupt = Interrupt()
    done = threading.Event()
    statuses: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            statuses.append(command(interrupt))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            errors.append(error)
        finally:
            done.set()

    with _signals_request(interrupt):
        thread = threading.Thread(target=work, name="command")
        thread.start()
        done.wait()
        thread.join()
    by = interrupt.by
    interrupt.close()
    if by != signal.SIGINT:
        raise SystemExit(128 + by)
    if errors:
        raise errors[0]
    return statuses[0]


def ending_signals() -> Iterator[int]:
    """Give the signals that ask a program to end."""
    yield from (signal.SIGINT, signal.SIGTERM)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
        yield signal.SIGHUP


@contextmanager
def _signals_request(interrupt: Interrupt) -> Iterator[None]:
    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        interrupt.request(number)

    before = {number: signal.signal(number, on_signal) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
