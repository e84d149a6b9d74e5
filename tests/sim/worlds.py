"""What the tests of worlds share."""

import socket

from tapstack.sim import SECOND, Direction, Host, Socket, Way, World

PORT = 7000


def two_hosts(world: World, way: Way | None = None) -> tuple[Host, Host]:
    """Make two hosts with a link between them, which is the world's first."""
    client, server = world.host("client"), world.host("server")
    world.link(client, server, way)
    return client, server


def read_all(listener: Socket) -> bytes:
    """Accept one connection, and read it to its end."""
    with listener, listener.accept()[0] as connection:
        text = b""
        while piece := connection.recv(65536):
            text += piece
        return text


def send(host: Host, to: Host, text: bytes) -> None:
    """Connect, send, and close."""
    with host.create_connection((to.address, PORT)) as connection:
        connection.sendall(text)


def transfer(world: World, source: Host, sink: Host, text: bytes) -> bytes:
    """Send text from one host to another, and give what arrives."""
    receiver = world.spawn(read_all, sink.create_server(("", PORT)))
    world.spawn(send, source, sink, text)
    world.run()
    return receiver.result()


HEADERS = 14 + 20 + 8
"""Octets of a frame around the text of a UDP datagram."""


class Volley:
    """A host that shoots UDP datagrams at another, over the world's first link."""

    def __init__(self, world: World, way: Way | None = None, *, tos: int = 0) -> None:
        self.world = world
        self.source, self.sink = two_hosts(world, way)
        self.link = world.links[0]
        self.log = self.link.log()
        self._sender = self.source.socket(socket.SOCK_DGRAM)
        self._sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        self._receiver = self.sink.socket(socket.SOCK_DGRAM)
        self._receiver.bind(("", PORT))

    def __enter__(self) -> "Volley":
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()
        self._receiver.close()

    def fire(self, count: int, frame_length: int = 1000, *, every: int = 0) -> None:
        """Send datagrams whose frames have a length, all at once or some µs apart."""
        for number in range(count):
            text = number.to_bytes(2, "big").ljust(frame_length - HEADERS, b".")
            self._sender.sendto(text, (self.sink.address, PORT))
            if every:
                self.world.run_for(every)

    def arrivals(self, duration: int = 10 * SECOND) -> list[tuple[int, int]]:
        """Let everything arrive, and give (number, µs since it was sent) of each, in order."""
        self.world.run_for(duration)
        sent: dict[bytes, int] = {}
        arrived = []
        for sighting in self.log:
            text = sighting.octets[HEADERS:]
            if sighting.direction is Direction.OUT:
                sent[text] = sighting.time
            else:
                number = int.from_bytes(text[:2], "big")
                arrived.append((number, sighting.time - sent.get(text, sighting.time)))
        return arrived
