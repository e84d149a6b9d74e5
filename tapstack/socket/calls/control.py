"""Control of descriptors (fcntl(2)).

Not done here: locks, leases, signals.
"""

from __future__ import annotations

import fcntl as constants
from errno import EBADF, EINVAL

from tapstack.base.errors import os_error
from tapstack.socket.calls.descriptors import DescriptorTable
from tapstack.socket.calls.pipes import PipeEnd

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032  # <linux/fcntl.h>


def fcntl(table: DescriptorTable, fd: int, command: int, argument: int) -> int:
    """As fcntl(2). Raises: OSError with EBADF, EINVAL."""
    file = table.find(fd)
    if command in (constants.F_DUPFD, constants.F_DUPFD_CLOEXEC):
        close_on_exec = command == constants.F_DUPFD_CLOEXEC
        return table.duplicate(fd, argument, close_on_exec=close_on_exec)
    if command == constants.F_GETFD:
        return constants.FD_CLOEXEC if table.closes_on_exec(fd) else 0
    if command == constants.F_SETFD:
        table.set_close_on_exec(fd, bool(argument & constants.FD_CLOEXEC))
        return 0
    if command == constants.F_GETFL:
        return file.flags
    if command == constants.F_SETFL:
        file.set_flags(argument)
        return 0
    if command in (F_SETPIPE_SZ, F_GETPIPE_SZ):
        if not isinstance(file, PipeEnd):
            raise os_error(EBADF)
        return file.pipe.resize(argument) if command == F_SETPIPE_SZ else file.pipe.size
    raise os_error(EINVAL)
