"""A TCP connection joined to a pair of descriptors: full duplex, nothing lost at either end.

Each direction has a thread that moves large pieces with blocking calls; a third waits for the end,
for Ctrl-C, and for silence. The rules of ending are netcat's, except that a peer's end ends us too:
what is on our input by then is sent first.

Not done here: making the connection (`snc_core.py`).
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from struct import Struct
from time import monotonic

from tapstack.shell.flag import Flag
from tapstack.shell.interrupt import INTERRUPTED, Interrupt, wait_readable, wait_writable
from tapstack.shell.sockets import Socket

PIECE = 256 * 1024
"""Octets moved at once, at most."""
PAUSE = 0.5
"""Seconds without input that are taken as its end, after the peer has ended."""
RELEASE = 1.0
"""Seconds that an interrupted thread is given: writing to a full pipe, it may be stuck there."""
LINGER = 30
"""Seconds that the peer is given to acknowledge what was sent, before we end."""


# Whoever shares a file with us may have made it non-blocking: that holds for all who have it open.


def read_some(fd: int, size: int) -> bytes | None:
    """Read what is there; None: nothing is, b"": the file has ended. Raises: OSError."""
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return None


def write_all(fd: int, data: bytes) -> None:
    """Write every octet, however little the file takes at once. Raises: OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            wait_writable(fd)


class Conversation:
    """One connection, from the handshake to its end."""

    def __init__(
        self,
        connection: Socket,
        stdin: int,
        stdout: int,
        interrupt: Interrupt,
        *,
        ends_own_half: bool,
        sends_all_input: bool,
        timeout: float | None,
    ) -> None:
        self._connection = connection
        self._stdin = stdin
        self._stdout = stdout
        self._interrupt = interrupt
        self._ends_own_half = ends_own_half
        self._sends_all_input = sends_all_input
        self._timeout = timeout
        self._peer_ended = Flag()
        self._over = Flag()
        self._last_crossing = monotonic()
        self._ends_to_come = 2
        self._lock = threading.Lock()
        self._error: OSError | None = None

    def run(self) -> int:
        """Carry octets until both directions have ended; give the exit status.

        Raises: OSError as the connection or the output met it.
        """
        works = (self._receive, self._send)
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in threads:
            thread.start()
        ended = self._wait()
        if not ended or self._ends_to_come:
            self._over.up()
            with suppress(OSError):  # wakes whoever is in recv or sendall
                self._connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(RELEASE if self._interrupt.is_up else None)
        if not any(thread.is_alive() for thread in threads):
            self._peer_ended.close()
            self._over.close()
        if self._interrupt.is_up:
            return INTERRUPTED
        if self._error is not None:
            raise self._error
        linger = Struct("ii").pack(True, LINGER)  # socket(7): `close` waits
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return 0

    def _wait(self) -> bool:
        """Wait for the end; False: the user, or too long a silence, makes one."""
        while True:
            timeout = None
            if self._timeout is not None:
                timeout = self._last_crossing + self._timeout - monotonic()
                if timeout <= 0:
                    return False
            ready = wait_readable(self._over, self._interrupt, timeout=timeout)
            if self._interrupt.fileno() in ready:
                return False
            if ready:
                return True

    def _end(self) -> None:
        """Count a direction that has ended; with the second, all is over."""
        with self._lock:
            self._ends_to_come -= 1
            if self._ends_to_come == 0:
                self._over.up()

    def _break_off(self, error: OSError | None) -> None:
        """End both directions at once."""
        if not self._over.is_up:
            self._error = error
            self._over.up()

    # --- from the peer ---

    def _receive(self) -> None:
        try:
            while data := self._connection.recv(PIECE):
                self._last_crossing = monotonic()
                if not self._write(data):
                    return
        except OSError as error:
            self._break_off(error)
        else:
            self._peer_ended.up()
            self._end()

    def _write(self, data: bytes) -> bool:
        try:
            write_all(self._stdout, data)
        except BrokenPipeError:  # nobody reads our output any more: a clean end
            self._break_off(None)
            return False
        return True

    # --- to the peer ---

    def _send(self) -> None:
        try:
            for data in self._input():
                self._connection.sendall(data)
                self._last_crossing = monotonic()
            if self._ends_own_half and not self._over.is_up:
                self._connection.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            self._end()  # receiving tells why the connection is gone
        except OSError as error:
            self._break_off(error)
        else:
            self._end()

    def _input(self) -> Iterator[bytes]:
        """Read the input to its end, or until nobody wants more of it."""
        while not self._over.is_up:
            winding_up = self._peer_ended.is_up and not self._sends_all_input
            if winding_up and os.isatty(self._stdin):
                return
            flags = [self._over] if self._peer_ended.is_up else [self._over, self._peer_ended]
            ready = wait_readable(self._stdin, *flags, timeout=PAUSE if winding_up else None)
            if self._stdin in ready:
                data = read_some(self._stdin, PIECE)
                if data:
                    yield data
                elif data is not None:
                    return
            elif not ready:
                return
