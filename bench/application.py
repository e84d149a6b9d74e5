"""The application that is measured, the same on either stack: prints one line of three figures.

usage: application.py kernel|tapstack ADDRESS SECONDS
"""

import sys
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

BLOCK = bytes(256 * 1024)


def receive_rate(connection: Any, seconds: float) -> float:
    """Gbit/s of text read."""
    received = 0
    start = perf_counter()
    while perf_counter() - start < seconds:
        received += len(connection.recv(len(BLOCK)))
    return received * 8e-9 / (perf_counter() - start)


def send_rate(connection: Any, seconds: float) -> float:
    """Gbit/s of text that the stack took from us."""
    sent = 0
    start = perf_counter()
    while perf_counter() - start < seconds:
        connection.sendall(BLOCK)
        sent += len(BLOCK)
    return sent * 8e-9 / (perf_counter() - start)


def round_trip(connection: Any, seconds: float) -> float:
    """Median µs for an octet to come back."""
    trips = []
    start = before = perf_counter()
    while before - start < seconds:
        connection.sendall(b"x")
        connection.recv(1)
        after = perf_counter()
        trips.append(after - before)
        before = after
    return median(trips) * 1e6


def main(library: str, address: str, seconds: float) -> None:
    socket = import_module("socket" if library == "kernel" else "tapstack.socket")
    figures = []
    for port, measure in ((9001, receive_rate), (9002, send_rate), (9003, round_trip)):
        with socket.create_connection((address, port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            measure(connection, seconds / 5)  # past slow start, and caches warm
            figures.append(measure(connection, seconds))
    print(*figures)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
