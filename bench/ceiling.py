"""The ceiling: what a bare Python loop on the same TAP device does that is no TCP/IP stack at all.

It answers ARP and ping, shakes hands, and then counts what comes, sends what the window takes or
sends back what it got. There are no timers but one, no retransmission, no congestion control, no
options after the SYN, no sockets and no program: what is left is the interpreter, the system calls
and the kernel's half of the work. No stack in Python can be faster; how near one comes is what it
costs.

usage: python -m bench.ceiling offload|no-offload
"""

import json
import os
import select
import struct
import sys
from time import perf_counter_ns

from bench.conversation import prepare_process, reply
from bench.far_end import BLOCK, TOLD
from tapstack.base.address import parse_network
from tapstack.device import host
from tapstack.device.host_addresses import add_address
from tapstack.device.tap import TapDevice

OURS, HOSTS = parse_network("10.0.0.1/24"), parse_network("10.0.0.2/24")
MAC = b"\x02\0\0\0\0\x01"

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERNET, HEADERS = 14, 54
"""Octets of the Ethernet header, and of it with those of IP and TCP."""
MSS = 1460
UNIT = 44 * MSS
"""Octets of text handed down at once with offload: a datagram has 65535 at most."""
WINDOW = 65535
SCALE_WITH_OFFLOAD = 7
SCALE_WITHOUT = 4
"""1 MB: more is lost in the device's ring."""
SILENCE = 200
"""ms without a frame after which no more is waited for room for a whole unit."""
UNACKNOWLEDGED = 16 * 1024
"""Octets of text that are acknowledged at once; less waits until the device has nothing more."""

VNET = struct.Struct("=BBHHHH")
NO_VNET = bytes(VNET.size)
CHECKSUM_ONLY = VNET.pack(1, 0, 0, 0, 34, 16)
CUT = VNET.pack(1, 1, HEADERS, MSS, 34, 16)

TCP = struct.Struct("!IIBBHH")
"""seq, ack, data offset, flags, window, checksum: 38 octets into a frame."""
IP_LENGTH, IP_CHECKSUM = 16, 24
SYN_ACK_OPTIONS = "!BBHBBBB"
SERVES_STREAMS = {"sink", "source", "both"}


def fold(total: int) -> int:
    """Bring a sum of 16-bit words down to one (RFC 1071)."""
    return total % 0xFFFF or (0xFFFF if total else 0)


def word_sum(octets: bytes | bytearray | memoryview) -> int:
    """Add octets up as 16-bit words; the result is congruent modulo 0xFFFF, and short."""
    total = int.from_bytes(octets, "big")
    if len(octets) % 2:
        total <<= 8
    for bits in (8192, 4096):  # a long division costs the square of the length
        while total >> (2 * bits):
            total = (total >> bits) + (total & ((1 << bits) - 1))
    return total % 0xFFFF


class Connection:
    """One connection, and the headers of what is sent on it."""

    __slots__ = (
        "ip_sum octets pseudo_sum rcv_nxt scale service snd_nxt snd_una start template wnd"
    ).split()

    def __init__(self, frame: memoryview, service: str) -> None:
        self.service = service
        self.template = bytearray(HEADERS)
        self.template[:12] = bytes(frame[6:12]) + MAC
        self.template[12:24] = bytes.fromhex("0800 4500 0000 0000 4000 4006")
        self.template[26:34] = bytes(frame[30:34]) + bytes(frame[26:30])
        self.template[34:38] = bytes(frame[36:38]) + bytes(frame[34:36])
        self.ip_sum = word_sum(self.template[14:34])
        self.pseudo_sum = word_sum(self.template[26:34]) + 6
        self.rcv_nxt = self.snd_nxt = self.snd_una = 1
        self.scale = self.wnd = self.octets = self.start = 0


class Loop:
    """The device, and who is connected."""

    def __init__(self, *, offload: bool) -> None:
        self.device = TapDevice("tap0", mac=MAC, offload=offload)
        host.silence_ipv6("tap0")
        add_address("tap0", HOSTS)
        host.bring_up("tap0")
        self.fd = self.device.fileno()
        self.offload = offload
        self.unit = UNIT if offload else MSS
        self.scale = SCALE_WITH_OFFLOAD if offload else SCALE_WITHOUT
        self.connections: dict[bytes, Connection] = {}
        self.owed: dict[Connection, int] = {}
        """Octets that have come and were not acknowledged."""
        self.service = "loop"
        self.answered = False
        """Whether the last frame was answered, so that another will hardly be there yet."""
        self.count = self.start = 0
        self.text = memoryview(BLOCK)

    def run(self) -> None:
        """Take frames until there is nobody who asks any more."""
        vnet, buffer = bytearray(VNET.size), memoryview(bytearray(68 * 1024))
        into: list[bytearray | memoryview] = [vnet, buffer] if self.offload else [buffer]
        ahead = VNET.size if self.offload else 0
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        poller.register(0, select.POLLIN)
        read, fd = os.readv, self.fd
        while True:
            if not self.answered:
                try:
                    length = read(fd, into)
                except BlockingIOError:
                    self.answered = True
                else:
                    self.receive(buffer[: length - ahead])
                    continue
            for connection in self.owed:
                self.acknowledge(connection)
            self.owed.clear()
            self.answered = False
            found = poller.poll(SILENCE)
            if not found:
                self.fill_narrow_windows()
            for ready, _ in found:
                if ready == 0 and not self.take_request():
                    return

    def take_request(self) -> bool:
        """Hear what new connections are to be served with; False when nobody asks any more."""
        octets = os.read(0, 65536)
        for line in octets.splitlines():
            self.service = json.loads(line)["service"]
            self.count = 0
            reply(ready=self.service)
        return bool(octets)

    # --- frames ---

    def receive(self, frame: memoryview) -> None:
        if frame[12] != 8:
            return
        if frame[13] == 6:
            self.answer_arp(frame)
        elif frame[23] == 6:
            self.receive_segment(frame[: ETHERNET + (frame[16] << 8 | frame[17])])
        elif frame[23] == 17:
            self.receive_datagram(frame)
        elif frame[23] == 1 and frame[34] == 8:
            self.send_back(
                frame, b"\0\0" + (fold(word_sum(frame[36:38]) + 0x800)).to_bytes(2, "big")
            )

    def write(self, vnet: bytes, *parts: bytes | bytearray | memoryview) -> None:
        os.writev(self.fd, (vnet, *parts) if self.offload else parts)

    def answer_arp(self, frame: memoryview) -> None:
        if frame[21] == 1 and frame[38:42] == OURS.address.to_bytes(4, "big"):
            asker = bytes(frame[22:32])
            answer = bytes(frame[14:20]) + b"\0\x02" + MAC + bytes(frame[38:42]) + asker
            self.write(NO_VNET, asker[:6] + MAC + b"\x08\x06" + answer)

    def send_back(self, frame: memoryview, start: bytes) -> None:
        """Return a datagram whose payload now starts so; swapped addresses keep the IP sum."""
        head = bytes(frame[6:12]) + MAC + bytes(frame[12:26])
        head += bytes(frame[30:34]) + bytes(frame[26:30]) + start
        self.write(NO_VNET, head, frame[len(head) :])
        self.answered = True

    def receive_datagram(self, frame: memoryview) -> None:
        length = (frame[38] << 8 | frame[39]) - 8
        ports = bytes(frame[36:38]) + bytes(frame[34:36])
        if self.service == "udp-echo":
            if length:
                self.send_back(frame, ports + bytes(frame[38:40]) + b"\0\0")
        elif length:
            self.start = self.start if self.count else perf_counter_ns()
            self.count += 1
            self.last = perf_counter_ns()
        elif self.count:
            told = TOLD.pack(self.count, self.last - self.start)
            head = bytearray(frame[:34])
            head[:12] = bytes(frame[6:12]) + MAC
            head[IP_LENGTH : IP_LENGTH + 2] = (28 + len(told)).to_bytes(2, "big")
            head[IP_CHECKSUM : IP_CHECKSUM + 2] = b"\0\0"
            head[26:34] = bytes(frame[30:34]) + bytes(frame[26:30])
            value = ~fold(word_sum(head[14:34])) & 0xFFFF
            head[IP_CHECKSUM : IP_CHECKSUM + 2] = value.to_bytes(2, "big")
            udp = ports + (8 + len(told)).to_bytes(2, "big") + b"\0\0"
            self.write(NO_VNET, head, udp, told)

    # --- TCP ---

    def receive_segment(self, frame: memoryview) -> None:
        key = bytes(frame[26:38])
        connection = self.connections.get(key)
        flags = frame[47]
        if connection is None or flags & SYN:
            if flags & SYN:
                self.connections[key] = self.shake_hands(frame)
            return
        if flags & RST:
            del self.connections[key]
            self.owed.pop(connection, None)
            return
        seq, ack, offset, _, window, _ = TCP.unpack_from(frame, 38)
        connection.snd_una = ack
        connection.wnd = window << connection.scale
        text = frame[34 + (offset >> 4 << 2) :]
        if (
            not self.offload
            and fold(word_sum(frame[34:]) + connection.pseudo_sum + len(frame) - 34) != 0xFFFF
        ):
            raise ValueError("the kernel sent a bad checksum")
        length = len(text)
        if length and seq == connection.rcv_nxt:
            connection.rcv_nxt = (seq + length) & 0xFFFFFFFF
            if connection.service not in SERVES_STREAMS:
                self.send(connection, ACK | PSH, text)
                self.answered = True
            else:
                self.take(connection, length)
        if connection.service in ("source", "both"):
            self.fill(connection)
        if flags & FIN and seq + length & 0xFFFFFFFF == connection.rcv_nxt:
            connection.rcv_nxt = connection.rcv_nxt + 1 & 0xFFFFFFFF
            self.finish(key, connection)

    def shake_hands(self, frame: memoryview) -> Connection:
        connection = Connection(frame, self.service)
        connection.rcv_nxt = int.from_bytes(frame[38:42], "big") + 1 & 0xFFFFFFFF
        connection.scale = scale_of(frame[54 : 34 + (frame[46] >> 4 << 2)])
        connection.snd_nxt = 0
        options = struct.pack(SYN_ACK_OPTIONS, 2, 4, MSS, 1, 3, 3, self.scale)
        self.send(connection, SYN | ACK, memoryview(options), options=True)
        connection.snd_nxt = connection.snd_una = 1
        return connection

    def take(self, connection: Connection, length: int) -> None:
        """Count text, and acknowledge it, at the latest when nothing more waits."""
        if not connection.octets:
            connection.start = perf_counter_ns()
        connection.octets += length
        owed = self.owed.get(connection, 0) + length
        if owed > UNACKNOWLEDGED:
            self.acknowledge(connection)
            owed = 0
        self.owed[connection] = owed

    def acknowledge(self, connection: Connection) -> None:
        self.send(connection, ACK, self.text[:0])

    def fill(self, connection: Connection) -> None:
        """Send what the window has room for, in whole units."""
        while (connection.snd_nxt - connection.snd_una & 0xFFFFFFFF) + self.unit <= connection.wnd:
            self.send(connection, ACK, self.text[: self.unit])

    def fill_narrow_windows(self) -> None:
        """Send less than a unit, too: where that has no room, the kernel may never tell of more.

        Its windows are narrow when its reader is late (RFC 9293 section 3.8.6.2.1).
        """
        for connection in self.connections.values():
            if connection.service in ("source", "both"):
                in_flight = connection.snd_nxt - connection.snd_una & 0xFFFFFFFF
                if in_flight < connection.wnd:
                    self.send(connection, ACK, self.text[: connection.wnd - in_flight][: self.unit])

    def finish(self, key: bytes, connection: Connection) -> None:
        """Say how much came, where that is the service, and end our side, too."""
        self.owed.pop(connection, None)
        if connection.service == "sink":
            told = TOLD.pack(connection.octets, perf_counter_ns() - connection.start)
            self.send(connection, ACK | PSH, memoryview(told))
        self.send(connection, ACK | FIN, self.text[:0])
        del self.connections[key]

    def send(
        self, connection: Connection, flags: int, text: memoryview, *, options: bool = False
    ) -> None:
        template, length = connection.template, 20 + len(text)
        template[IP_LENGTH : IP_LENGTH + 2] = (20 + length).to_bytes(2, "big")
        value = ~fold(connection.ip_sum + 20 + length) & 0xFFFF
        template[IP_CHECKSUM : IP_CHECKSUM + 2] = value.to_bytes(2, "big")
        value = fold(connection.pseudo_sum + length)
        offset = (20 + len(text)) << 2 if options else 0x50
        window = WINDOW
        seq, ack = connection.snd_nxt, connection.rcv_nxt
        TCP.pack_into(template, 38, seq, ack, offset, flags, window, value)
        if not self.offload:
            value = ~fold(word_sum(template[34:]) + word_sum(text)) & 0xFFFF
            TCP.pack_into(template, 38, seq, ack, offset, flags, window, value)
        self.write(CUT if length > MSS + 20 else CHECKSUM_ONLY, template, text)
        connection.snd_nxt = seq + len(text) & 0xFFFFFFFF


def scale_of(options: memoryview) -> int:
    """Find the window's scale among the options of a SYN."""
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 3:
            return options[at + 2]
        at += 1 if options[at] == 1 else options[at + 1]
    return 0


def main() -> None:
    prepare_process()
    loop = Loop(offload=sys.argv[1] == "offload")
    reply(ready="ceiling")
    loop.run()


if __name__ == "__main__":
    main()
