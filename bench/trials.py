"""What is measured, of whom: the bench's table of contents.

Not done here: how (`far_end.py` and `application.py`), and on what (`sides.py`).
"""

from typing import NamedTuple

KERNEL, TAPSTACK, CEILING, PYTCP = "kernel", "tapstack", "ceiling", "PyTCP"
TAPSTACK_PLAIN, CEILING_PLAIN = "tapstack, no offload", "ceiling, no offload"
PEERS = (KERNEL, TAPSTACK, TAPSTACK_PLAIN, CEILING, CEILING_PLAIN, PYTCP)
"""In the order of every table; the first is what the others are held against."""

ALL = frozenset(PEERS)
PAIR = frozenset({KERNEL, TAPSTACK})
WITH_CEILING = PAIR | {CEILING}
SOCKETS = PAIR | {TAPSTACK_PLAIN}
LOOPS = SOCKETS | {CEILING}
ASYNC = PAIR | {PYTCP}
"""PyTCP's calls are coroutines: it is measured where the others use asyncio."""
ONE = WITH_CEILING | {TAPSTACK_PLAIN, PYTCP}

RATE, TIME, CONNECTIONS, DATAGRAMS = "Gbit/s", "µs", "/s", "datagrams/s"
SECONDS_A_GB, TIMES = "s/GB", "times"


class Trial(NamedTuple):
    """One thing that is tried: the far end's measure against the application's service."""

    title: str
    unit: str
    peers: frozenset[str]
    service: str
    """Of the application; empty where the stack itself answers."""
    measure: str
    """Of the far end."""
    connections: int = 1
    """At once."""
    busy: bool = False
    """Whether a thread of the application computes meanwhile."""
    may_sleep: bool = False
    """Whether processors may meanwhile, who are kept awake otherwise."""
    has_tail: bool = False
    """Whether the 99th percentile is reported, too."""
    cost: str = ""
    """The title of the processor time that both ends took, for what is reported of it."""


TRIALS = (
    Trial("bulk receive", RATE, ALL, "sink", "push", cost="processor time of receiving"),
    Trial("bulk send", RATE, ALL, "source", "pull", cost="processor time of sending"),
    Trial("bulk both ways", RATE, WITH_CEILING, "both", "both"),
    Trial("bulk receive, 8 connections", RATE, WITH_CEILING, "sink", "push", 8),
    Trial("bulk send, 8 connections", RATE, WITH_CEILING, "source", "pull", 8),
    Trial(
        "round trip, blocking",
        TIME,
        LOOPS,
        "loop",
        "ping-pong",
        has_tail=True,
        cost="processor time of a round trip",
    ),
    Trial(
        "round trip, processors that may sleep",
        TIME,
        WITH_CEILING,
        "loop",
        "ping-pong",
        may_sleep=True,
        has_tail=True,
    ),
    Trial("round trip, epoll", TIME, PAIR, "epoll", "ping-pong", has_tail=True),
    Trial("round trip, asyncio", TIME, ASYNC, "asyncio", "ping-pong", has_tail=True),
    Trial("connect-echo-close, accept loop", CONNECTIONS, LOOPS, "loop", "one-after-another"),
    Trial("connect-echo-close, asyncio", CONNECTIONS, ASYNC, "asyncio", "one-after-another"),
    Trial("connect-echo-close, 32 at once, accept loop", CONNECTIONS, LOOPS, "loop", "at-once", 32),
    Trial("connect-echo-close, 32 at once, asyncio", CONNECTIONS, ASYNC, "asyncio", "at-once", 32),
    Trial(
        "connect-echo-close, 32 at once, asyncio as it comes",
        CONNECTIONS,
        PAIR,
        "asyncio as it comes",
        "at-once",
        32,
    ),
    Trial("ping", TIME, ONE, "", "ping"),
    Trial("UDP echo", TIME, ONE, "udp-echo", "udp-echo"),
    Trial("UDP received", DATAGRAMS, ONE, "udp-sink", "udp-flood"),
    Trial(
        "round trip beside a busy thread",
        TIME,
        PAIR,
        "loop",
        "ping-pong",
        busy=True,
        has_tail=True,
    ),
    Trial("bulk receive beside a busy thread", RATE, PAIR, "sink", "push", busy=True),
)

FEW = 10
"""Connections that the cost of a frame among many is compared with."""
FRAMES_AN_ECHO = 3
"""What `Crowd.echo` makes of one: the text, its echo, and an acknowledgment."""
CROWD_PEERS = (KERNEL, TAPSTACK, CEILING)
START_UP = "start-up of tapstack up"
