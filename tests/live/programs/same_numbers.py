"""One connection between a socket of ours and one of the kernel's, both with CUBIC and ECN.

Prints what our TCP_INFO says of it, as JSON, and keeps it open until it is told to end.

usage: same_numbers.py connect|accept
"""

import json
import signal
import socket as kernel
import sys

from tapstack import socket
from tapstack.runtime.default import default_stack
from tapstack.sysctl import Sysctls

HOST, STACK, PORT = "10.0.0.2", "10.0.0.1", 4242
FLAGS = {"ts": 1, "sack": 2, "ecn": 8}  # <linux/tcp.h>: TCPI_OPT_*


def connect() -> tuple[socket.socket, kernel.socket]:
    with kernel.create_server((HOST, PORT)) as listener:
        listener.setsockopt(kernel.IPPROTO_TCP, kernel.TCP_CONGESTION, b"cubic")
        ours = socket.create_connection((HOST, PORT))
        return ours, listener.accept()[0]


def accept() -> tuple[socket.socket, kernel.socket]:
    with socket.create_server((STACK, PORT)) as listener:
        theirs = kernel.socket()
        theirs.setsockopt(kernel.IPPROTO_TCP, kernel.TCP_CONGESTION, b"cubic")
        theirs.connect((STACK, PORT))
        return listener.accept()[0], theirs


def main(way: str) -> None:
    Sysctls(default_stack.runtime().stack).set("net.ipv4.tcp_ecn", "1")
    ours, theirs = {"connect": connect, "accept": accept}[way]()
    for source, sink in ((ours, theirs), (theirs, ours)):
        source.sendall(bytes(100_000))
        left = 100_000
        while left:
            left -= len(sink.recv(left))
    info = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    words = [word for word, flag in FLAGS.items() if info[5] & flag]
    shifts = info[6] & 15, info[6] >> 4
    congestion = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    said = {
        "words": words,
        "wscale": shifts,
        "mss": int.from_bytes(info[16:20], sys.byteorder),
        "congestion": congestion.rstrip(b"\0").decode(),
    }
    print(json.dumps(said), flush=True)
    signal.pause()


main(*sys.argv[1:])
