"""Connections at once to an echo server, each with octets of its own, each checked to the last.

usage: clients.py kernel|tapstack ADDRESS CONNECTIONS OCTETS
"""

import random
import sys
from importlib import import_module
from threading import Barrier, Thread
from typing import Any


def converse(socket: Any, address: str, octets: bytes, together: Barrier) -> bool:
    with socket.create_connection((address, 7), timeout=30) as connection:
        together.wait(30)
        sender = Thread(target=send, args=(socket, connection, octets))
        sender.start()
        received = bytearray()
        while data := connection.recv(65536):
            received += data
        sender.join()
    return received == octets


def send(socket: Any, connection: Any, octets: bytes) -> None:
    connection.sendall(octets)
    connection.shutdown(socket.SHUT_WR)


def main(library: str, address: str, connections: int, size: int) -> None:
    socket = import_module("socket" if library == "kernel" else "tapstack.socket")
    together = Barrier(connections)
    results: list[bool] = []

    def run(seed: int) -> None:
        octets = random.Random(seed).randbytes(size)
        results.append(converse(socket, address, octets, together))

    threads = [Thread(target=run, args=(seed,)) for seed in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{sum(results)} of {connections} exact", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
