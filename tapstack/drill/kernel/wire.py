"""The wire between a kernel and a script: a TUN device, and a packet socket beside it.

The packet socket tells when the kernel sent what (packet(7), SO_TIMESTAMPNS), however late the
script looks; what comes out of the device itself is the same again, and is thrown away.

Not done here: waiting.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from ctypes import addressof, create_string_buffer
from struct import Struct
from time import monotonic_ns, time_ns

from tapstack.base.units import Duration, Instant
from tapstack.drill.contract import DEVICE, Captured
from tapstack.socket.structs import unpack_timespec
from tapstack.socket.timestamping import SO_TIMESTAMPNS

_ETH_P_IP, _ETH_P_ALL = 0x0800, 0x0003  # <linux/if_ether.h>
_PACKET_OUTGOING = 4  # <linux/if_packet.h>
_SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>
_SO_ATTACH_FILTER = 26
_FILTER_STEP = Struct("=HBBI")
_FILTER = b"".join(
    _FILTER_STEP.pack(*step)
    for step in (
        (0x30, 0, 0, 0xFFFFF004),  # ldb #type (<linux/filter.h>: SKF_AD_PKTTYPE)
        (0x15, 0, 1, _PACKET_OUTGOING),  # jeq #outgoing, keep, drop
        (0x06, 0, 0, 0xFFFFFFFF),  # keep: ret #-1
        (0x06, 0, 0, 0),  # drop: ret #0
    )
)
"""Looks at what is sent alone: a kernel that shares what it receives with a packet socket cannot
join it to what came before, and offers other windows."""
_PROGRAM = Struct("@HP")
_ROOM = 64 << 20
"""Octets that may wait to be looked at: more than any window."""
_LONGEST = 1 << 16


class KernelWire:
    """What a kernel sends and receives by its TUN device."""

    def __init__(self, tun: int, sniffer: socket.socket, now: Callable[[], Instant]) -> None:
        """Take over a TUN device's descriptor, and a packet socket without a protocol."""
        self._tun = tun
        self._sniffer = sniffer
        self._now = now
        sniffer.setblocking(False)
        sniffer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        steps = create_string_buffer(_FILTER)
        program = _PROGRAM.pack(len(_FILTER) // _FILTER_STEP.size, addressof(steps))
        sniffer.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        with suppress(PermissionError):  # only root gets more than net.core.rmem_max
            sniffer.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        sniffer.bind((DEVICE, _ETH_P_ALL))

    def filenos(self) -> tuple[int, int]:
        """Give the descriptors that are readable when there is something to `take`."""
        return self._tun, self._sniffer.fileno()

    def inject(self, datagram: bytes) -> None:
        """Have the kernel receive a datagram, and react. Raises: OSError where it refuses it."""
        os.write(self._tun, datagram)

    def take(self) -> list[Captured]:
        """Take what the kernel has sent, in order."""
        with suppress(BlockingIOError):
            while True:
                os.read(self._tun, _LONGEST)
        captured: list[Captured] = []
        age = self._age_of_epoch()
        with suppress(BlockingIOError):
            while True:
                octets, control, _, address = self._sniffer.recvmsg(_LONGEST, 64)
                _, protocol, way, *_ = address
                if way == _PACKET_OUTGOING and protocol == _ETH_P_IP:
                    captured.append(Captured(_timestamp(control) - age, octets, ""))
        return captured

    def _age_of_epoch(self) -> Duration:
        """Tell what to take from µs since 1970 to get µs since the script began.

        Measured anew each time, since the one clock is corrected and the other is not; and three
        times, since this process may be halted in between.
        """
        samples = []
        for _ in range(3):
            before, epoch, after = monotonic_ns(), time_ns() // 1000, self._now()
            samples.append((monotonic_ns() - before, epoch - after))
        return min(samples)[1]

    def close(self) -> None:
        """Close both."""
        self._sniffer.close()
        os.close(self._tun)


def _timestamp(control: list[tuple[int, int, bytes]]) -> Instant:
    """Read when a datagram was sent, µs since 1970."""
    ((_, _, octets),) = control
    return unpack_timespec(octets)
