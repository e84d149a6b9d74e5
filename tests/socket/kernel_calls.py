"""The kernel's own system calls, with the face of `tapstack.socket.calls.process.Process`.

A test plays the same calls over both, and compares what they gave: whatever the kernel answers is
right.
"""

import os

from tapstack.drill.kernel import calls, libc


class _Here:
    """The namespace of this process."""

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        return libc.socket(domain, kind, protocol)

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags)


class KernelCalls(calls.KernelCalls):
    """The calls of this process."""

    def __init__(self) -> None:
        super().__init__(_Here())
