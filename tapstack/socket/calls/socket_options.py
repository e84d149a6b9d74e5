"""Socket options as octets, in the layout of the system's structs (getsockopt(2)).

Not done here: what each option is (`socket/options.py`).
"""

from __future__ import annotations

import socket as constants
import sys
from errno import EINVAL

from tapstack.base.errors import os_error
from tapstack.socket.calls.socket_file import SocketFile

_INT = 4


def get(file: SocketFile, level: int, name: int, size: int) -> bytes:
    """Read an option, cut to `size` octets. Raises: OSError."""
    if size < 0:
        raise os_error(EINVAL)
    value = file.call(file.endpoint.get_option, level, name, size)
    if isinstance(value, bytes):
        return value[:size]
    if level == constants.IPPROTO_IP and 0 < size < _INT and 0 <= value <= 255:
        return bytes([value])  # as Linux: who has room for a char gets one
    return (value & 0xFFFFFFFF).to_bytes(_INT, sys.byteorder)[:size]


def set_to(file: SocketFile, level: int, name: int, value: bytes) -> None:
    """Set an option. Raises: OSError."""
    if level == constants.IPPROTO_IP and 0 < len(value) < _INT:
        value = value[0].to_bytes(_INT, sys.byteorder)
    file.call(file.set_option, level, name, value)
