"""One end of connections whose first text goes with the SYN: tapstack's, or the kernel's.

usage: fast_open_peer.py kernel|tapstack serve|ask ADDRESS TIMES
"""

import sys
from importlib import import_module
from typing import Any

PORT = 7000
TFO_BOTH = 3


def serve(socket: Any, address: str, times: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen(5)
        print("listening", flush=True)
        for _ in range(times):
            connection, _ = listener.accept()
            with connection:
                print(connection.recv(100).decode(), flush=True)
                connection.sendall(b"pong")


def ask(socket: Any, address: str, times: int) -> None:
    for _ in range(times):
        with socket.socket() as connection:
            connection.sendto(b"ping", socket.MSG_FASTOPEN, (address, PORT))
            print(connection.recv(100).decode(), flush=True)


def main(library: str, role: str, address: str, times: str) -> None:
    socket = import_module("socket" if library == "kernel" else "tapstack.socket")
    if library == "tapstack":
        from tapstack.runtime.default import default_stack

        default_stack.runtime().stack.tcp.config.tcp_fastopen = TFO_BOTH
    {"serve": serve, "ask": ask}[role](socket, address, int(times))
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
