"""A Linux kernel in real time that scripts are played on; implements `contract.TestedHost`.

The kernel is the machine's own; its network is a namespace of its own, made for one script and gone
with it. The machine's own interfaces, routes and settings are out of reach from in there: a setting
that Linux does not keep for each namespace (net.core.rmem_max, net.ipv4.tcp_mem) cannot be changed,
and a command that tries fails.

Not done here: the namespace (`namespace.py`), the wire (`wire.py`), the calls (`process.py`).
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tapstack.base.units import Instant
from tapstack.capture.pcap import LINKTYPE_RAW, create_capture
from tapstack.drill.contract import Addresses, Calls, Captured, Shell
from tapstack.drill.kernel import libc
from tapstack.drill.kernel.calls import KernelCalls
from tapstack.drill.kernel.namespace import KernelNamespace
from tapstack.drill.kernel.process import Begun, KernelProcess
from tapstack.drill.kernel.promptness import Promptness
from tapstack.drill.kernel.setting import Setting
from tapstack.drill.kernel.wire import KernelWire
from tapstack.runtime.clock import epoch_offset, monotonic

T = TypeVar("T")


class KernelHost:
    """One network namespace, the script's wire, and the script's process."""

    def __init__(
        self,
        addresses: Addresses,
        mtu: int,
        directory: Path,
        capture: Path | None = None,
    ) -> None:
        """Make it; `capture` is a file to write.

        Raises: OSError with one clear sentence that says what it takes.
        """
        self.addresses = addresses
        self.lacking: frozenset[str] = frozenset()
        self.captured: deque[Captured] = deque()
        self._closed = False
        self._recording = None
        setting = Setting(addresses, mtu, str(directory.absolute()), dict(os.environ))
        self._namespace = KernelNamespace(setting)
        sniffer = self._namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._wire = KernelWire(self._namespace.tun, socket.socket(fileno=sniffer), self.now)
        self._process = KernelProcess(KernelCalls(self._namespace), self.now)
        if capture is not None:
            self._recording = create_capture(capture, LINKTYPE_RAW)
        self._promptness = Promptness()
        self._origin = monotonic()
        self.epoch = self._origin + epoch_offset()

    def __enter__(self) -> KernelHost:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- time ---

    def now(self) -> Instant:
        """Tell the time."""
        return monotonic() - self._origin

    def run(self, until: Instant | None, ended: Callable[[], bool]) -> bool:
        """Let time pass until `ended()` holds, or an instant has passed; tell whether it holds."""
        fds = (*self._wire.filenos(), self._process.fileno())
        return self._run(until, ended, fds)

    def _run(self, until: Instant | None, ended: Callable[[], bool], fds: Sequence[int]) -> bool:
        watched = [(fd, libc.POLLIN) for fd in fds]
        while True:
            self._look()
            if ended():
                return True
            now = self.now()
            if until is not None and now >= until:
                return False
            with suppress(InterruptedError):
                libc.poll(watched, None if until is None else until - now)

    def _look(self) -> None:
        """Take what has been sent, and note what has ended."""
        self._process.notice()
        for captured in self._wire.take():
            self.captured.append(captured)
            self._record(captured.time, captured.octets)

    def _record(self, time: Instant, datagram: bytes) -> None:
        if self._recording is not None:
            self._recording.write(time, (datagram,))

    # --- what the player does ---

    def inject(self, datagram: bytes) -> None:
        """Have a datagram arrive now."""
        self._look()
        self._record(self.now(), datagram)
        self._wire.inject(datagram)

    def begin(self, call: Callable[[Calls], T]) -> Begun[T]:
        """Begin system calls."""
        return self._process.begin(call)

    def shell(self, command: str) -> Shell:
        """Run what stands in backticks: everything in it is real, time too."""
        ended = self._namespace.begin_shell(command)

        def has_ended() -> bool:
            return bool(libc.poll([(ended, libc.POLLIN)], 0)[0])

        self._run(None, has_ended, (*self._wire.filenos(), ended))
        return self._namespace.end_shell()

    def describe(self) -> str:
        """Show the state of the connections, as `ss` does; '' without that program."""
        ended = self.shell("ss -tinom")
        return ended.output if ended.status == 0 else ""

    def remarks(self) -> list[str]:
        """Tell nothing: on the kernel every setting has its effect."""
        return []

    def close(self) -> None:
        """Give everything back. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._promptness.give_back()
        self._process.close()
        self._wire.close()
        self._namespace.close()
        if self._recording is not None:
            self._recording.close()
