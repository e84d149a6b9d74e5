"""What ARP asks while TCP is at work: nothing, as long as something arrives."""

from tapstack.base.address import parse_ipv4
from tapstack.sim import MILLISECOND, SECOND, Direction, Host, Socket, Way, World
from tests.sim.worlds import PORT

ETHERTYPE_ARP = b"\x08\x06"


class Link:
    """A client and a server who have to ask for each other, and a connection between them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client, self.server = world.host("client"), world.host("server")
        way = Way(delay=10 * MILLISECOND)
        self.link = world.link(self.client, self.server, way, arp=True)
        with self.server.create_server(("", PORT)) as listener:
            self.connection = self.client.create_connection((self.server.address, PORT))
            world.spawn(echo, listener.accept()[0])
        world.sleep(5)  # until both have announced themselves
        self.log = self.link.log()

    def talk(self, seconds: int) -> None:
        for _ in range(seconds):
            self.connection.sendall(b"question")
            assert self.connection.recv(100) == b"question"
            self.world.sleep(1)

    def asked(self) -> int:
        """How many ARP packets were sent."""
        sent = [each.octets for each in self.log if each.direction is Direction.OUT]
        return sum(octets[12:14] == ETHERTYPE_ARP for octets in sent)


def echo(connection: Socket) -> None:
    with connection:
        while text := connection.recv(100):
            connection.sendall(text)


def state_of(host: Host, of: Host) -> str:
    cache = host.stack.interfaces["eth0"].neighbours
    assert cache is not None
    neighbour = cache.find(parse_ipv4(of.address))
    return "-" if neighbour is None else neighbour.state.name


def test_nobody_is_asked_whether_he_is_there_while_a_connection_makes_progress() -> None:
    with World() as world:
        link = Link(world)
        with link.connection:
            link.talk(300)
        assert link.asked() == 0
        assert state_of(link.client, link.server) == "REACHABLE"
        assert state_of(link.server, link.client) == "REACHABLE"


def test_a_neighbour_that_vanishes_is_asked_for_within_a_minute_and_found_gone() -> None:
    with World() as world:
        link = Link(world)
        with link.connection:
            link.talk(60)
            assert link.asked() == 0
            link.link.down()
            link.connection.sendall(b"anybody?")
            world.run_for(60 * SECOND)
            assert state_of(link.client, link.server) in ("INCOMPLETE", "FAILED")
            assert link.asked() >= 3
            link.link.up()
            assert link.connection.recv(100) == b"anybody?"
