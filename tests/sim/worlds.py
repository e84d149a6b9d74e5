"""What the tests of worlds share."""

from tapstack.sim import Host, Way, World
from tapstack.socket.facade import Socket

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
