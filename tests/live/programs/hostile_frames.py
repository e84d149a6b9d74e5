"""Write frames that no decent host sends into the host's end of a TAP, the same ones every time.

usage: hostile_frames.py DEVICE COUNT
"""

import random
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator


def checksum(octets: bytes) -> int:
    padded = octets + b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(protocol: int, payload: bytes, fragment: int = 0, options: bytes = b"") -> bytes:
    source, destination = bytes((10, 0, 0, 2)), bytes((10, 0, 0, 1))
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        0,
        20 + len(options) + len(payload),
        77,
        fragment,
        64,
        protocol,
        0,
        source,
        destination,
    )
    value = checksum(head + options)
    return head[:10] + value.to_bytes(2, "big") + head[12:] + options + payload


def transport(protocol: int, segment: bytes, field: int) -> bytes:
    pseudo = bytes((10, 0, 0, 2, 10, 0, 0, 1, 0, protocol)) + len(segment).to_bytes(2, "big")
    value = checksum(pseudo + segment).to_bytes(2, "big")
    return datagram(protocol, segment[:field] + value + segment[field + 2 :])


def tcp(flags: int, options: bytes = b"", text: bytes = b"") -> bytes:
    head = struct.pack("!HHIIBBHHH", 4444, 80, 1000, 0, 80 + len(options) * 4, flags, 1000, 0, 0)
    return transport(6, head + options + text, 16)


def icmp(kind: int, code: int, body: bytes) -> bytes:
    message = bytes((kind, code, 0, 0)) + body
    return datagram(1, message[:2] + checksum(message).to_bytes(2, "big") + message[4:])


def models(ours: bytes, theirs: bytes) -> list[bytes]:
    """Give well-formed frames of every kind, to be spoilt."""
    udp = struct.pack("!HHHH", 5555, 53, 12, 0) + b"what"
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + ours + b"\x0a\0\0\2" + b"\0" * 6
    ipv4 = ours and theirs + ours + b"\x08\x00"
    return [
        b"\xff" * 6 + ours + b"\x08\x06" + arp + b"\x0a\0\0\1",
        ipv4 + icmp(8, 0, b"\0\1\0\1" + b"echo" * 8),
        ipv4 + icmp(3, 1, b"\0\0\0\0" + tcp(0x10)[:28]),
        ipv4 + icmp(3, 4, b"\0\0\0\x44" + tcp(0x10)[:28]),
        ipv4 + transport(17, udp, 6),
        ipv4 + tcp(0x02, bytes.fromhex("020405b4 0402080a 00000001 00000000 01030307")),
        ipv4 + tcp(0x12),
        ipv4 + tcp(0x18, text=b"text" * 20),
        ipv4 + datagram(17, udp * 2, fragment=0x2000),
        ipv4 + datagram(17, udp * 2, fragment=0x1FFF),
        ipv4 + datagram(1, b"\x08\0\xf7\xff\0\0\0\0", options=bytes((7, 7, 4, 0, 0, 0, 0, 0))),
        ipv4 + datagram(1, b"\x08\0\xf7\xff\0\0\0\0", options=bytes((131, 0, 0, 0))),
        ipv4 + datagram(250, b"nobody speaks this"),
    ]


def repaired(frame: bytes) -> bytes:
    """Make the IP header's checksum right again, so that a spoilt datagram gets past it."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00":
        return frame
    end = 14 + max(20, (frame[14] & 15) * 4)
    value = checksum(frame[14:24] + b"\0\0" + frame[26:end])
    return frame[:24] + value.to_bytes(2, "big") + frame[26:]


def truthful(frame: bytes, ours: bytes) -> bytes:
    """Let no ARP packet misplace the host: ARP believes who speaks, and pings would go astray."""
    if frame[12:14] != b"\x08\x06" or frame[28:32] != b"\x0a\0\0\2":
        return frame
    return frame[:22] + ours + frame[28:]


def hostile(ours: bytes, theirs: bytes, count: int) -> Iterator[bytes]:
    chance = random.Random(1149)
    good = models(ours, theirs)
    for frame in good:
        yield from (frame[:length] for length in range(14, len(frame) + 1))
    for _ in range(count):
        frame = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 6)):
            frame[chance.randrange(12, len(frame))] = chance.choice(
                (0, 1, 255, chance.getrandbits(8))
            )
        yield repaired(bytes(frame)) if chance.random() < 0.8 else bytes(frame)
        yield theirs + chance.randbytes(chance.randint(8, 200))
        yield theirs + ours + b"\x08\x00" + chance.randbytes(chance.randint(0, 1500))


def stack_address(device: str) -> bytes:
    """Ask the host's neighbour table for the stack's Ethernet address."""
    line = subprocess.run(
        ["ip", "neigh", "show", "10.0.0.1", "dev", device], capture_output=True, check=True
    ).stdout.decode()
    return bytes.fromhex(line.split("lladdr ")[1].split()[0].replace(":", ""))


def main(device: str, count: int) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((device, 0))
        ours = raw.getsockname()[4]
        for frame in hostile(ours, stack_address(device), count):
            raw.send(truthful(frame, ours))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
