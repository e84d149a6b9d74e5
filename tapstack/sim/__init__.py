"""Worlds in virtual time: hosts, links and routers, and plain blocking programs on them.

from tapstack.sim import MEGABIT, MILLISECOND, Way, World

with World(seed=7) as world:
    client, server = world.host("client"), world.host("server")
    link = world.link(client, server, Way(rate=10 * MEGABIT, delay=20 * MILLISECOND))
    ...
"""

from tapstack.base.units import (
    MICROSECOND as MICROSECOND,
    MILLISECOND as MILLISECOND,
    MINUTE as MINUTE,
    SECOND as SECOND,
)
from tapstack.device.disorder import (
    Corruption as Corruption,
    Duplication as Duplication,
    Reordering as Reordering,
)
from tapstack.device.loss import (
    BlackHole as BlackHole,
    GilbertElliott as GilbertElliott,
    ListLoss as ListLoss,
    LossIf as LossIf,
    RandomLoss as RandomLoss,
)
from tapstack.device.parcel import Impairment as Impairment, Parcel as Parcel
from tapstack.ip.config import IpConfig as IpConfig
from tapstack.sim.baton import Process as Process, StandstillError as StandstillError
from tapstack.sim.codel import CoDel as CoDel
from tapstack.sim.host import Host as Host
from tapstack.sim.link import Link as Link
from tapstack.sim.queues import DropTail as DropTail, Queue as Queue, StepMarker as StepMarker
from tapstack.sim.sighting import Direction as Direction, Sighting as Sighting
from tapstack.sim.way import (
    GIGABIT as GIGABIT,
    KILOBIT as KILOBIT,
    MEGABIT as MEGABIT,
    Way as Way,
)
from tapstack.sim.world import World as World
from tapstack.socket.facade import Socket as Socket
from tapstack.tcp.config import TcpConfig as TcpConfig
