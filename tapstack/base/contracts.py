"""Where sibling rooms meet: the types that cross between protocols, and what each asks of the rest.

An engine is built from these contracts and never names a sibling: TCP sends through a
`DatagramSender` and does not know that it is IPv4. Everything that is not pure (a device, time,
randomness) comes in through them too.

Not done here: any behaviour, but for what a device knows no better way for.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol, TypeAlias

from tapstack.base.address import Ipv4Address, MacAddress
from tapstack.base.route_metrics import NO_METRICS, RouteMetrics
from tapstack.base.units import Instant

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Octets. A `memoryview` is of format `B`, and is only valid as long as its giver says."""


# --- what crosses between layers -----------------------------------------------------------------


class Offload(NamedTuple):
    """The part of a unit's work that is left to the device: what a virtio_net_hdr carries.

    Outbound: sum from `checksum_start` to the end and store the checksum; the field already holds
    the pseudo-header's sum. With a `segment_size`, first cut the TCP text into that many octets
    a segment. Inbound it says the same of what the sender's device has not done, so that the
    checksum field is meaningless and the octets are trusted.
    """

    checksum_start: int
    """Octets from the unit's first to the first that is summed; 0: nothing is left to do."""
    checksum_offset: int
    """Octets from `checksum_start` to the checksum field."""
    segment_size: int
    """Octets of TCP text in each segment on the wire, or of UDP data in each datagram; 0: the unit
    is one."""

    def behind(self, header_length: int) -> "Offload":
        """Say the same of a unit that has `header_length` more octets in front."""
        return Offload(self.checksum_start + header_length, self.checksum_offset, self.segment_size)


VERIFIED = Offload(0, 0, 0)
"""Of an inbound frame: the device has verified the checksum, and nothing is left to do."""


class Frame(NamedTuple):
    """A link-layer frame as a device reads or writes it.

    Outbound the parts are gathered in order, and are their sender's. Inbound there is one part, of
    octets that are nobody else's, and never change.
    """

    parts: Sequence[Buffer]
    offload: Offload | None = None
    """None: the checksums are in the octets, to be verified by who receives them."""


make_frame: Callable[[tuple[Sequence[Buffer], Offload | None]], Frame] = partial(
    tuple.__new__, Frame
)
"""Make a frame of both fields, without the call of Python's that `Frame(…)` takes."""


class Datagram(NamedTuple):
    """An IP datagram that arrived whole and is for this host: validated, in host order.

    Its octets never change.
    """

    source: Ipv4Address
    destination: Ipv4Address
    protocol: int
    ttl: int
    tos: int
    header: Buffer
    """The IP header with its options, as it was on the wire."""
    payload: Buffer
    """What follows the header, trimmed to the header's total length."""
    offload: Offload | None
    """None: the transport verifies its checksum. Otherwise the octets are trusted."""
    interface: "Interface"
    """Where it came in."""
    to_us: bool = True
    """Whether the link addressed it to us alone: False for the link's broadcasts and multicasts."""

    @property
    def segment_size(self) -> int:
        """Octets of text in each segment that the device coalesced; 0 when it is one segment."""
        return self.offload.segment_size if self.offload else 0


class IcmpError(NamedTuple):
    """An ICMP error about a datagram that we sent, for the transport it quotes (RFC 792)."""

    type: int
    code: int
    mtu: int
    """Next-hop MTU of a 'fragmentation needed' (RFC 1191 §4); 0 otherwise."""
    reporter: Ipv4Address
    """Who sent the error."""
    source: Ipv4Address
    """Source of the quoted datagram: one of our addresses."""
    destination: Ipv4Address
    """Destination of the quoted datagram."""
    protocol: int
    quote: Buffer
    """The quoted octets behind the quoted IP header: 8 or more."""


class Path(NamedTuple):
    """What a transport needs to know of the way to a destination."""

    source: Ipv4Address
    """The address of ours that datagrams on this path carry."""
    mtu: int
    """Octets of the largest datagram that the path is known to take whole, IP header included."""
    metrics: RouteMetrics = NO_METRICS
    """What else the route says; its MTU is heeded already."""


# --- what an engine asks for ----------------------------------------------------------------------


class Entropy(Protocol):
    """Where unpredictable numbers come from: the system's in production, a seed in a test."""

    def random_bits(self, count: int) -> int:
        """Return an unpredictable integer of `count` bits."""


class SentCopy:
    """What left as a datagram, for who wants a copy: filled in by the network layer."""

    __slots__ = ("interface", "parts")

    def __init__(self) -> None:
        self.interface = ""
        """The name of where it left; empty: it did not."""
        self.parts: Sequence[Buffer] = ()
        """From the IP header on, its checksum as it is left to the device; the first fragment."""

    @property
    def octets(self) -> bytes:
        """Give all of it."""
        return b"".join(self.parts)


class DatagramSender(Protocol):
    """What a transport asks of the network layer below it."""

    path_changes: int
    """How often a path may have become another one: `path_to` need not be asked before it grows."""

    def path_to(self, destination: Ipv4Address, source: Ipv4Address = 0) -> Path:
        """Find the way to a destination, with our `source` kept unless it is 0.

        Raises: OSError with ENETUNREACH, EADDRNOTAVAIL where `source` is not ours, or EINVAL where
        it is in 127.0.0.0/8 and the destination is not.
        """

    def is_local(self, address: Ipv4Address) -> bool:
        """Tell whether datagrams to this address are for us: ours, or in 127.0.0.0/8."""

    def is_broadcast(self, address: Ipv4Address) -> bool:
        """Tell whether an address is a broadcast address, limited or directed."""

    def learn_path_mtu(self, destination: Ipv4Address, mtu: int, now: Instant) -> None:
        """Lower the path's MTU after a 'fragmentation needed'; `path_to` tells what it became.

        Only a transport can tell a forged error from a true one (RFC 5927 §7), so that only it
        calls this, once the quote has proved to be of something that it sent.
        """

    def send_datagram(
        self,
        protocol: int,
        source: Ipv4Address,
        destination: Ipv4Address,
        parts: Sequence[Buffer],
        now: Instant,
        *,
        ttl: int = 0,
        tos: int = 0,
        dont_fragment: bool | None = False,
        offload: Offload | None = None,
        confirmed: bool = False,
        copy: SentCopy | None = None,
    ) -> None:
        """Send one datagram whose payload is the parts, joined; a `source` of 0 is filled in.

        A `ttl` of 0 leaves it to the route, or to the host's default.

        `dont_fragment` of None sets the DF bit on what fits the path, and fragments the rest: what
        Linux calls IP_PMTUDISC_WANT.

        `offload` counts from the payload's first octet. A unit with a `segment_size` may be longer
        than the path's MTU: it is cut by the device, or at its edge.

        `confirmed` tells that what was sent this way before has arrived, as the transport has just
        learnt: the next hop is alive, and need not be asked (RFC 4861 §7.3.1).

        `copy` is told what left, and where.

        Raises: OSError with ENETUNREACH, EHOSTUNREACH, EMSGSIZE or EINVAL; nothing was sent.
        """


class IcmpErrorSender(Protocol):
    """What a transport asks for when a datagram cannot be delivered."""

    def send_unreachable(self, datagram: Datagram, code: int, now: Instant) -> None:
        """Answer with 'destination unreachable', unless RFC 1122 §3.2.2 forbids it."""


class Transport(Protocol):
    """What the network layer hands datagrams to, by protocol number."""

    def receive(self, datagram: Datagram, now: Instant) -> None:
        """Take a datagram. Raises: MalformedPacket, which the door counts."""

    def on_icmp_error(self, error: IcmpError, now: Instant) -> None:
        """Hear that a datagram of ours met an error."""


class NetworkLayer(Protocol):
    """What a link layer hands its payload to, by EtherType."""

    def receive(
        self,
        octets: memoryview,
        offload: Offload | None,
        interface: "Interface",
        to_us: bool,
        now: Instant,
    ) -> None:
        """Take a frame's payload, padding included.

        `to_us` is False for what the link sent to all (broadcast or multicast). `offload` counts
        from the payload's first octet. Raises: MalformedPacket, which the door counts.
        """


class FrameSender(Protocol):
    """What ARP and IP ask of the link below them."""

    @property
    def mac(self) -> MacAddress:
        """Our own address on this link."""

    def send_frame(
        self,
        destination: MacAddress,
        ethertype: int,
        parts: Sequence[Buffer],
        offload: Offload | None,
        now: Instant,
    ) -> None:
        """Put a header in front and write the frame. `offload` counts from the payload."""


class Interface(Protocol):
    """An attachment to one link, as the network layer sees it."""

    name: str
    mtu: int
    """Octets of the largest IP datagram that fits one frame."""

    def is_loopback(self) -> bool:
        """Tell whether what is sent here comes straight back."""

    def send_datagram(
        self,
        next_hop: Ipv4Address,
        parts: Sequence[Buffer],
        offload: Offload | None,
        now: Instant,
        *,
        confirmed: bool = False,
    ) -> None:
        """Send a whole IP datagram to a neighbour: broadcast and multicast are known, the rest
        is resolved, and waits for it in a bounded queue. `offload` counts from the IP header;
        `confirmed` tells that the neighbour passes on what it is sent.
        """


class Capabilities(NamedTuple):
    """What a device does by itself when a frame's `offload` asks for it."""

    checksum: bool = False
    segmentation: bool = False
    """Of TCP."""
    udp_segmentation: bool = False


class NetDevice(Protocol):
    """What frames come from and go to. A middleware wraps one, and is one."""

    name: str
    mtu: int
    """Octets of the largest IP datagram that fits one frame."""
    mac: MacAddress
    """Our address on the link."""
    capabilities: Capabilities

    def fileno(self) -> int:
        """Give the descriptor that is readable when a frame waits; −1 if there is none."""

    def read(self, now: Instant) -> Frame | None:
        """Take the next frame that has arrived by `now`, or None. Never blocks.

        Raises: OSError when the device is gone.
        """

    def read_run(self, now: Instant, most: int) -> list[Frame]:
        """Take the next frames that have arrived by `now`, in order, but so many at most.

        Raises: as `read`.
        """
        return [*islice(iter(partial(self.read, now), None), most)]

    def write(self, frame: Frame, now: Instant) -> None:
        """Send a frame. Never blocks, never fails: what the device cannot take is lost, as on a
        wire, and so is everything once it is gone, which `read` says.
        """

    def write_train(
        self, units: Sequence[Sequence[Buffer]], offload: Offload, now: Instant
    ) -> None:
        """Send frames with the same work left to do, each of some parts: as `write` does.

        They are segments of one connection, whose headers are in one piece each, and say the same
        but for numbers and PSH.
        """
        for parts in units:
            self.write(make_frame((parts, offload)), now)

    def next_deadline(self) -> Instant | None:
        """Tell when `read` is to be called although the descriptor is silent, or None."""

    def close(self) -> None:
        """Give everything back. A second call does nothing."""


# --- what the core reports ------------------------------------------------------------------------

READABLE = 1
"""Text, a datagram, end of stream or an error can be taken."""
WRITABLE = 2
"""The send buffer has room again."""
ACCEPTABLE = 4
"""A connection waits in the accept queue."""
CONNECTED = 8
"""The handshake that `connect` began is done."""
CLOSED = 16
"""The connection is gone: nothing more will come or go."""
URGENT = 32
"""Urgent text came (RFC 9293 §3.8.5)."""
ENDED = 64
"""One direction has ended, from here or from there: nothing more will go, or come, that way."""
ERROR = 128
"""An error waits to be told, in a socket's queue of errors or as its pending one."""


SocketEvent: TypeAlias = tuple[object, int]
"""Something that a waiting application may want to know: what it happened to, the engine's own
object (a Tcb, a Listener, a UdpSocket, a RawSocket), and the sum of READABLE, WRITABLE, ACCEPTABLE,
CONNECTED, CLOSED, URGENT, ENDED, ERROR.

Each segment makes one or two, mostly for nobody: so it is a bare pair.
"""


class EventSink(Protocol):
    """Where an engine reports to."""

    def report(self, endpoint: object, events: int) -> None:
        """Note that these things happened to an endpoint, for the driver to wake who waits."""
