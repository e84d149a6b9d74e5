"""snc: connects or listens, and joins what comes of it to standard input and output.

It speaks to any socket that has the standard library's face, and words its messages as OpenBSD's
netcat does.

Not done here: the options (`snc_options.py`), carrying octets (`conversation.py`, `datagrams.py`).
"""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from select import POLLIN, POLLOUT, poll

from tapstack.base.address import Endpoint, format_ipv4
from tapstack.shell.command import USAGE_MISTAKE
from tapstack.shell.conversation import Conversation
from tapstack.shell.datagrams import MAX_DATAGRAM, Exchange, write_datagram
from tapstack.shell.interrupt import INTERRUPTED, Interrupt, wait_readable
from tapstack.shell.snc_options import Plan
from tapstack.shell.sockets import OpenSocket, Socket, name_of
from tapstack.shell.watch import Watch

FAILED = 1
BACKLOG = 8
PROBE_TIME = 1.0
"""Seconds that a UDP port is given to say that nobody listens."""


def run_watched(snc: "Snc", watch: Watch) -> int:
    """Run snc; with `-d` the stack tells meanwhile what it does. Gives the exit status."""
    if not snc.plan.debug:
        return snc.run()
    watcher = watch.add(frozenset({"tcp", "tcpstate", "udp"}), snc.tell)
    try:
        return snc.run()
    finally:
        watch.remove(watcher)


@dataclass(slots=True)
class Snc:
    """One run of snc."""

    plan: Plan
    open_socket: OpenSocket
    stdin: int
    stdout: int
    tell: Callable[[str], None]
    """Prints a message for the user."""
    interrupt: Interrupt

    def run(self) -> int:
        """Do what the plan says; give the exit status."""
        try:
            if not self.plan.remotes:
                return self._listen()
            return self._call_each(self.plan.remotes)
        except OSError as error:
            self.tell(f"snc: {error.strerror or error}")
            return FAILED

    def _open(self) -> Socket:
        kind = socket.SOCK_DGRAM if self.plan.udp else socket.SOCK_STREAM
        return self.open_socket(socket.AF_INET, kind, 0)

    # --- connecting ---

    def _call_each(self, remotes: tuple[Endpoint, ...]) -> int:
        """Call one after the other; 0: somebody answered."""
        statuses = []
        for remote in remotes:
            if self.interrupt.is_up:
                return INTERRUPTED
            statuses.append(self._call(remote))
        return INTERRUPTED if INTERRUPTED in statuses else min(statuses)

    def _call(self, remote: Endpoint) -> int:
        with closing(self._open()) as opened:
            if any(self.plan.local):
                opened.bind(name_of(self.plan.local))
            number = self._connect(opened, remote)
            if self.interrupt.is_up:
                return INTERRUPTED
            protocol = "udp" if self.plan.udp else "tcp"
            way = f"{format_ipv4(remote.address)} port {remote.port} ({protocol})"
            if number:
                if self.plan.verbose or not self.plan.scan:
                    self.tell(f"snc: connect to {way} failed: {os.strerror(number)}")
                return FAILED
            if self.plan.verbose:
                address = format_ipv4(remote.address)
                self.tell(f"Connection to {address} {remote.port} port [{protocol}/*] succeeded!")
            return 0 if self.plan.scan else self._carry(opened)

    def _connect(self, opened: Socket, remote: Endpoint) -> int:
        """Connect, or learn why not: an errno, or 0."""
        opened.setblocking(False)
        number = opened.connect_ex(name_of(remote))
        if number == errno.EINPROGRESS:
            if not self._wait_writable(opened):
                return errno.ETIMEDOUT
            number = int(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        if self.plan.udp and self.plan.scan and not number:
            number = self._probe(opened)
        opened.setblocking(True)
        return number

    def _wait_writable(self, opened: Socket) -> bool:
        """Wait for the handshake, or for the user; False: it took too long."""
        files = poll()
        files.register(opened, POLLOUT)
        files.register(self.interrupt, POLLIN)
        return bool(files.poll(None if self.plan.timeout is None else self.plan.timeout * 1000))

    def _probe(self, opened: Socket) -> int:
        """Send an octet to a UDP port: only a refusal is an answer."""
        opened.send(b"X")
        wait_readable(opened, self.interrupt, timeout=self.plan.timeout or PROBE_TIME)
        return int(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _carry(self, opened: Socket) -> int:
        plan = self.plan
        if plan.udp:
            return Exchange(opened, self.stdin, self.stdout, self.interrupt, plan.timeout).run()
        return Conversation(
            opened,
            self.stdin,
            self.stdout,
            self.interrupt,
            ends_own_half=plan.ends_own_half,
            sends_all_input=plan.sends_all_input,
            timeout=plan.timeout,
        ).run()

    # --- listening ---

    def _listen(self) -> int:
        with closing(self._open()) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                opened.bind(name_of(self.plan.local))
                if not self.plan.udp:
                    opened.listen(BACKLOG)
            except OSError as error:
                self.tell(f"snc: cannot listen on {self.plan.local}: {error.strerror}")
                return USAGE_MISTAKE
            if self.plan.verbose:
                word = "Bound" if self.plan.udp else "Listening"
                self.tell("{} on {} {}".format(word, *opened.getsockname()))
            return self._receive_from_anyone(opened) if self.plan.udp else self._accept(opened)

    def _accept(self, listener: Socket) -> int:
        while True:
            wait_readable(listener, self.interrupt)
            if self.interrupt.is_up:
                return INTERRUPTED
            connection, peer = listener.accept()
            with closing(connection):
                self._welcome(peer)
                status = self._carry_for_listener(connection)
            if not self.plan.keep_listening:
                return status

    def _carry_for_listener(self, connection: Socket) -> int:
        """Carry one connection's octets; with -k its failure does not keep the next one away."""
        try:
            return self._carry(connection)
        except OSError as error:
            self.tell(f"snc: {error.strerror or error}")
            return FAILED

    def _receive_from_anyone(self, opened: Socket) -> int:
        """Wait for the first datagram, whose sender becomes the peer; with -k all are heard."""
        if self.plan.keep_listening:
            return Exchange(opened, None, self.stdout, self.interrupt, self.plan.timeout).run()
        wait_readable(opened, self.interrupt)
        if self.interrupt.is_up:
            return INTERRUPTED
        data, peer = opened.recvfrom(MAX_DATAGRAM)
        opened.connect(peer)
        self._welcome(peer)
        with suppress(BrokenPipeError):
            write_datagram(self.stdout, data, self.interrupt)
        return self._carry(opened)

    def _welcome(self, peer: tuple[str, int]) -> None:
        if self.plan.verbose:
            self.tell(f"Connection received on {peer[0]} {peer[1]}")
