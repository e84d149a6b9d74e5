"""Play a TCP client by hand over a device, against the host's kernel, and tell what was seen.

usage: device_exchange.py DEVICE CAPTURE_FILE
DEVICE is tap, packet or link (whichever can be had), with +offload or not
"""

import json
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from select import select

from tapstack.base.address import MAC_BROADCAST, parse_ipv4, parse_network
from tapstack.base.checksum import pseudo_header_sum
from tapstack.base.contracts import Frame, NetDevice, Offload
from tapstack.capture.pcap import PcapWriter
from tapstack.device import host
from tapstack.device.capture import CaptureDevice
from tapstack.device.host_addresses import add_address
from tapstack.device.open import open_link
from tapstack.device.packet import PacketDevice
from tapstack.device.segmentation import SoftwareOffload
from tapstack.device.tap import TapDevice
from tapstack.eth import wire as eth
from tapstack.ip import wire as ip
from tapstack.tcp import wire as tcp
from tapstack.tcp.options import Options, build_options
from tapstack.tcp.segment import ACK, FIN, PSH, SYN, Segment

OURS, HOSTS = parse_ipv4("10.0.0.1"), parse_ipv4("10.0.0.2")
OUR_NETWORK, NETWORK = parse_network("10.0.0.1/24"), parse_network("10.0.0.2/24")
MSS = 1460
WINDOW_SCALE = 7
TO_HOST = bytes(range(256)) * 240  # 61,440 octets: one unit
TO_US = bytes(range(255, -1, -1)) * 2000  # 512,000 octets
PATIENCE = 10


def open_device(kind: str, *, offload: bool) -> tuple[NetDevice, str]:
    """Open a device with the host's side set up; the second is how `open_link` put it."""
    if kind == "link":
        return open_link("tap0", OUR_NETWORK, NETWORK, offload=offload)
    device = (TapDevice if kind == "tap" else PacketDevice)("tap0", offload=offload)
    host.silence_ipv6("tap0")
    add_address("tap0", NETWORK)
    host.bring_up("tap0")
    return SoftwareOffload(device), ""


class Client:
    """A TCP client that acknowledges everything at once."""

    def __init__(self, device: NetDevice) -> None:
        self.device = device
        self.frames: list[int] = []
        """Octets of each inbound frame."""
        self.left_to_do = 0
        """Inbound frames whose checksum was left out."""
        self.host_mac = MAC_BROADCAST
        self.seq, self.ack = 1000, 0

    def receive(self, patience: float = PATIENCE) -> bytes:
        """Take the next frame of the host's. Raises: TimeoutError."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if frame := self.device.read(0):
                self.frames.append(len(frame.parts[0]))
                self.left_to_do += bool(frame.offload and frame.offload.checksum_start)
                return bytes(frame.parts[0])
            select([self.device], [], [], deadline - time.monotonic())
        raise TimeoutError("the host is silent")

    def resolve(self) -> None:
        """Ask for the host's Ethernet address, which tells it ours."""
        head = struct.pack("!HHBBH", 1, eth.ETHERTYPE_IPV4, 6, 4, 1) + self.device.mac
        request = head + OURS.to_bytes(4, "big") + bytes(6) + HOSTS.to_bytes(4, "big")
        for _ in range(10):
            # Asked once a second, as ARP asks: while the kernel still hears that the cable of a
            # new veth pair is plugged in, what is sent is lost.
            self.send_frame(eth.ETHERTYPE_ARP, request, None)
            with suppress(TimeoutError):
                self.host_mac = self.receive_arp_reply()
                return
        raise TimeoutError("the host does not answer ARP")

    def receive_arp_reply(self) -> bytes:
        """Wait a second for the host's address. Raises: TimeoutError."""
        while True:
            octets = self.receive(patience=1)
            if eth.parse(octets).ethertype == eth.ETHERTYPE_ARP and octets[21] == 2:
                return octets[22:28]

    def send_frame(self, ethertype: int, octets: bytes, offload: Offload | None) -> None:
        header = eth.build(eth.EthernetHeader(self.host_mac, self.device.mac, ethertype))
        self.device.write(Frame((header, octets), offload), 0)

    def send(self, flags: int, text: bytes = b"", options: Options | None = None) -> None:
        """Send one segment, or one unit of many, with its checksum left to the device."""
        segment = Segment(
            4000, 80, self.seq, self.ack, flags, 60_000, 0, options or Options(), text
        )
        kinds = build_options(segment.options)
        octets = tcp.HEADER_LENGTH + len(kinds) + len(text)
        partial = pseudo_header_sum(OURS, HOSTS, tcp.PROTOCOL_TCP, octets)
        header = tcp.build_header(segment, kinds, partial)
        length = ip.HEADER_LENGTH + len(header) + len(text)
        datagram = ip.build_header(
            0, length, 1, ip.DONT_FRAGMENT, 64, tcp.PROTOCOL_TCP, OURS, HOSTS
        )
        offload = Offload(34, tcp.CHECKSUM_OFFSET, MSS if len(text) > MSS else 0)
        self.send_frame(eth.ETHERTYPE_IPV4, datagram + header + text, offload)
        self.seq += len(text) + bool(flags & SYN) + bool(flags & FIN)

    def segments(self) -> Iterator[Segment]:
        """Go through the segments that arrive."""
        while True:
            octets = self.receive()
            if eth.parse(octets).ethertype == eth.ETHERTYPE_IPV4:
                header = ip.parse(octets[eth.HEADER_LENGTH :])
                if header.protocol == tcp.PROTOCOL_TCP:
                    start = eth.HEADER_LENGTH + header.length
                    yield tcp.parse(octets[start : eth.HEADER_LENGTH + header.total_length])

    def open(self) -> None:
        self.send(SYN, options=Options(mss=MSS, window_scale=WINDOW_SCALE))
        answer = next(self.segments())
        assert answer.flags == SYN | ACK
        self.ack = answer.seq + 1
        self.send(ACK)

    def take(self, count: int) -> bytes:
        """Receive so many octets of text, in order."""
        text = b""
        for segment in self.segments():
            if segment.text and segment.seq == self.ack:
                text += segment.text
                self.ack += len(segment.text)
                self.send(ACK)
            if len(text) >= count:
                break
        return text


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    text = b""
    while len(text) < count and (more := connection.recv(count)):
        text += more
    return text


def exchange(client: Client) -> dict[str, object]:
    """Talk with a socket of the kernel's, both ways, and tell what was seen."""
    with socket.create_server(("10.0.0.2", 80)) as server:
        client.resolve()
        client.open()
        connection, _ = server.accept()
    with connection:
        connection.settimeout(PATIENCE)
        client.send(ACK | PSH, TO_HOST)
        arrived = receive_exactly(connection, len(TO_HOST))
        connection.setblocking(False)
        taken, sent = b"", 0
        while sent < len(TO_US):
            count = connection.send(TO_US[sent:])
            sent += count
            taken += client.take(count)
    return {
        "host received": arrived == TO_HOST,
        "we received": taken == TO_US,
        "largest frame": max(client.frames),
        "checksums left out": client.left_to_do,
    }


def main(kind: str, capture: str) -> None:
    kind, _, wanted = kind.partition("+")
    host.bring_up("lo")
    device, means = open_device(kind, offload=wanted == "offload")
    epoch_offset = time.time_ns() // 1000
    with Path(capture).open("wb") as file:
        device = CaptureDevice(device, PcapWriter(file), epoch_offset)
        print(json.dumps({"means": means} | exchange(Client(device))))
        device.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
