"""A UDP socket joined to a pair of descriptors, as netcat does it.

What is read from the input at once goes out as one datagram; what comes in is written as it comes.
There is no end but Ctrl-C, silence where a limit was set, or an error.

Not done here: choosing the peer (`snc_core.py`).
"""

import os
from contextlib import suppress
from select import PIPE_BUF
from time import monotonic

from tapstack.shell.conversation import read_some
from tapstack.shell.interrupt import INTERRUPTED, Interrupt, wait_readable, wait_writable
from tapstack.shell.sockets import Socket

PIECE = 16 * 1024
"""Octets of input in one datagram, at most: netcat's buffer."""
MAX_DATAGRAM = 65535


def write_datagram(stdout: int, data: bytes, interrupt: Interrupt) -> None:
    """Write a datagram, or as much of it as the output takes when the user interrupts.

    A file that is ready takes PIPE_BUF octets at once, and does not block (pipe(7)).
    Raises: OSError.
    """
    rest = memoryview(data)
    while rest and wait_writable(stdout, interrupt):
        with suppress(BlockingIOError):
            rest = rest[os.write(stdout, rest[:PIPE_BUF]) :]


class Exchange:
    """Datagrams between the input, the output and whoever sends to the socket."""

    def __init__(
        self,
        datagrams: Socket,
        stdin: int | None,
        stdout: int,
        interrupt: Interrupt,
        timeout: float | None,
    ) -> None:
        """A `stdin` of None: there is nobody to send to."""
        datagrams.setblocking(False)
        self._datagrams = datagrams
        self._stdin = stdin
        self._stdout = stdout
        self._interrupt = interrupt
        self._timeout = timeout

    def run(self) -> int:
        """Exchange datagrams until the end; give the exit status.

        Raises: OSError, such as ECONNREFUSED when the peer's host says that nobody listens.
        """
        deadline = self._deadline()
        while True:
            files = [] if self._stdin is None else [self._stdin]
            timeout = None if deadline is None else deadline - monotonic()
            ready = wait_readable(self._datagrams, self._interrupt, *files, timeout=timeout)
            if not ready:
                return 0
            if self._interrupt.is_up:
                return INTERRUPTED
            try:
                if self._datagrams.fileno() in ready:
                    self._receive()
            except BrokenPipeError:  # nobody reads our output any more: a clean end
                return 0
            if self._stdin in ready:
                self._send(self._stdin)
            deadline = self._deadline()

    def _deadline(self) -> float | None:
        return None if self._timeout is None else monotonic() + self._timeout

    def _receive(self) -> None:
        try:
            while not self._interrupt.is_up:
                data = self._datagrams.recv(MAX_DATAGRAM)
                write_datagram(self._stdout, data, self._interrupt)
        except BlockingIOError:
            return

    def _send(self, stdin: int) -> None:
        data = read_some(stdin, PIECE)
        if data:
            self._datagrams.send(data)
        elif data is not None:
            self._stdin = None
