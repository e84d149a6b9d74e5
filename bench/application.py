"""The program that is measured, the same on the kernel's sockets and on the stack's.

It serves one thing at a time, as it is asked to line by line, and each until it is over by itself:
so nobody else waits in the same stack meanwhile.

usage: python -m bench.application kernel|offload|no-offload
"""

import asyncio
import select
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import cycle
from threading import Thread
from time import perf_counter_ns
from typing import Any

from bench.conversation import Request, prepare_process, reply, requests
from bench.far_end import BLOCK, TOLD
from tapstack.event_loop import EventLoop
from tapstack.socket.facade import Socket as StackSocket

Socket = Any
"""Of the standard library, or of the stack: they have the same methods."""
ANYWHERE = ""


def the_sockets(library: str) -> Any:
    """Give the module `socket`, or the stack's in its place."""
    if library == "kernel":
        import socket

        return socket
    import tapstack
    from tapstack import socket as stack_socket

    tapstack.configure(offload=library == "offload")
    stack_socket.socket().close()  # that it is up
    return stack_socket


# --- bulk -----------------------------------------------------------------------------------------


def each_in_a_thread(flow: Callable[[Socket], None], listener: Socket, count: int) -> None:
    """Take `count` connections; a single one needs no further thread."""
    with ExitStack() as exits:
        connections = [exits.enter_context(listener.accept()[0]) for _ in range(count)]
        if count == 1:
            flow(connections[0])
            return
        threads = [Thread(target=flow, args=(each,)) for each in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def sink(connection: Socket) -> None:
    """Read to the end, and tell how much it was in what time."""
    octets, start = len(connection.recv(len(BLOCK))), perf_counter_ns()
    while text := connection.recv(len(BLOCK)):
        octets += len(text)
    connection.sendall(TOLD.pack(octets, perf_counter_ns() - start))


def source(connection: Socket) -> None:
    """Send until the other end has had enough."""
    with suppress(ConnectionError):
        while True:
            connection.sendall(BLOCK)


def both_ways(connection: Socket) -> None:
    sender = Thread(target=source, args=(connection,))
    sender.start()
    with suppress(ConnectionError):
        while connection.recv(len(BLOCK)):
            pass
    connection.close()
    sender.join()


# --- echoes: each serves until a connection says nothing ------------------------------------------


def echo_in_a_loop(listener: Socket) -> None:
    """Accept, serve, close, and only then accept the next."""
    said = True
    while said:
        connection, _ = listener.accept()
        with connection:
            said = False
            while text := connection.recv(4096):
                connection.sendall(text)
                said = True


def echo_by_epoll(listener: Socket) -> None:
    """One thread, and epoll."""
    listener.setblocking(False)
    with select.epoll() as poller, ExitStack() as exits:
        poller.register(listener.fileno(), select.EPOLLIN)
        served: dict[int, Socket] = {}
        spoken: set[int] = set()
        while True:
            for fd, _ in poller.poll():
                if fd == listener.fileno():
                    with suppress(BlockingIOError):
                        connection = exits.enter_context(listener.accept()[0])
                        connection.setblocking(False)
                        served[connection.fileno()] = connection
                        poller.register(connection.fileno(), select.EPOLLIN)
                    continue
                with suppress(BlockingIOError):
                    if text := served[fd].recv(4096):
                        served[fd].send(text)
                        spoken.add(fd)
                        continue
                    poller.unregister(fd)
                    served.pop(fd).close()
                    if fd not in spoken:
                        return
                    spoken.remove(fd)


class Echo(asyncio.Protocol):
    """One connection of asyncio's."""

    def __init__(self, on_silence: Callable[[], None]) -> None:
        self.on_silence = on_silence
        self.said = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.said = True
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.said:
            self.on_silence()


async def serve_by_asyncio(listener: Socket) -> None:
    listener.setblocking(False)
    over = asyncio.Event()
    server = await asyncio.get_running_loop().create_server(lambda: Echo(over.set), sock=listener)
    async with server:
        await over.wait()


def echo_by_asyncio(listener: Socket, *, as_it_comes: bool = False) -> None:
    """By the stack's event loop where the sockets are the stack's."""
    ours = isinstance(listener, StackSocket) and not as_it_comes
    loop = EventLoop() if ours else asyncio.new_event_loop()
    try:
        loop.run_until_complete(serve_by_asyncio(listener))
    finally:
        loop.close()


# --- many connections -----------------------------------------------------------------------------


def hold(listener: Socket, count: int, talking: int) -> None:
    """Take `count` connections, and echo on the first ones in turn, in the order that they came."""
    with ExitStack() as exits:
        connections = [exits.enter_context(listener.accept()[0]) for _ in range(count)]
        for connection in cycle(connections[:talking]):
            if not (text := connection.recv(4096)):
                return
            connection.send(text)


# --- datagrams: each serves until one is empty ----------------------------------------------------


def echo_datagrams(udp: Socket) -> None:
    while True:
        text, address = udp.recvfrom(2048)
        if not text:
            return
        udp.sendto(text, address)


def count_datagrams(udp: Socket) -> None:
    count = start = last = 0
    while (text := udp.recv(2048)) or not count:
        if text:
            last = perf_counter_ns()
            start = start or last
            count += 1
    _, address = udp.recvfrom(2048)  # it is sent again until it is answered
    udp.sendto(TOLD.pack(count, last - start), address)


# --- asked, line by line --------------------------------------------------------------------------

STREAMS: dict[str, Callable[[Socket, Request], None]] = {
    "sink": lambda listener, request: each_in_a_thread(sink, listener, request["count"]),
    "source": lambda listener, request: each_in_a_thread(source, listener, request["count"]),
    "both": lambda listener, request: each_in_a_thread(both_ways, listener, request["count"]),
    "loop": lambda listener, _: echo_in_a_loop(listener),
    "epoll": lambda listener, _: echo_by_epoll(listener),
    "asyncio": lambda listener, _: echo_by_asyncio(listener),
    "asyncio as it comes": lambda listener, _: echo_by_asyncio(listener, as_it_comes=True),
    "hold": lambda listener, request: hold(listener, request["count"], request["talking"]),
}
DATAGRAMS = {"udp-echo": echo_datagrams, "udp-sink": count_datagrams}


class Busy:
    """A thread that only computes, for as long as the block lasts."""

    def __init__(self) -> None:
        self.stop = False
        self.thread = Thread(target=self.compute)

    def compute(self) -> None:
        number = 1
        while not self.stop:
            number = number * 5 % 9293

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop = True
        self.thread.join()


def serve(socket: Any, request: Request) -> None:
    name, address = request["service"], (ANYWHERE, request["port"])
    with ExitStack() as exits:
        if name in DATAGRAMS:
            udp = exits.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.bind(address)
            reply(ready=name)
            DATAGRAMS[name](udp)
            return
        listener = exits.enter_context(socket.create_server(address, backlog=1024))
        if hasattr(socket, "TCP_CONGESTION"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        if request.get("busy"):
            exits.enter_context(Busy())
        reply(ready=name)
        STREAMS[name](listener, request)


def main() -> None:
    prepare_process()
    socket = the_sockets(sys.argv[1])
    reply(ready="application")
    for request in requests():
        serve(socket, request)


if __name__ == "__main__":
    main()
