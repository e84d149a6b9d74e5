"""The other end of every measurement, on the kernel's own sockets: a source, a sink and an echo.

usage: peer.py
"""

import contextlib
import socket
import socketserver
from threading import Thread
from typing import Any

BLOCK = bytes(256 * 1024)


class Handler(socketserver.BaseRequestHandler):
    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            self.serve(self.request)

    def serve(self, connection: Any) -> None:
        raise NotImplementedError


class Source(Handler):
    def serve(self, connection: Any) -> None:
        while True:
            connection.sendall(BLOCK)


class Sink(Handler):
    def serve(self, connection: Any) -> None:
        buffer = bytearray(len(BLOCK))
        while connection.recv_into(buffer):
            pass


class Echo(Handler):
    def serve(self, connection: Any) -> None:
        while data := connection.recv(4096):
            connection.sendall(data)


def serve(port: int, handler: type[Handler]) -> None:
    server = socketserver.ThreadingTCPServer(("0.0.0.0", port), handler)
    server.daemon_threads = True
    # Linux may default to BBR, which paces: the comparison is of stacks, not of pacing.
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    server.serve_forever()


if __name__ == "__main__":
    threads = [
        Thread(target=serve, args=pair) for pair in ((9001, Source), (9002, Sink), (9003, Echo))
    ]
    for thread in threads:
        thread.start()
