"""Who waits drives, and makes room; whatever ends a wait, somebody drives after it.

Two stacks share a link. Their threads that stand by are kept from driving where it matters that an
application's thread does.
"""

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tapstack.base.address import MAC_ZERO, parse_network
from tapstack.base.contracts import Frame
from tapstack.base.units import MILLISECOND, SECOND, Instant
from tapstack.runtime import driving
from tapstack.runtime.answers import PAUSE
from tapstack.runtime.clock import monotonic
from tapstack.runtime.default import Settings, bring_up
from tapstack.runtime.entropy import SystemEntropy
from tapstack.runtime.lock import StackLock
from tapstack.runtime.runtime import Runtime
from tapstack.runtime.switching import SWITCH_INTERVAL
from tapstack.runtime.waiters import Waiter
from tapstack.socket.watching import Watchers
from tapstack.stack import Stack
from tests.runtime.test_runtime import HERE, THERE, link, start
from tests.socket.nets import PATIENCE, Background, Net, until
from tests.socket.test_default_sockets import run


class Hosts:
    """Two hosts with a connection between them that answers: what comes is sent back."""

    def __init__(self) -> None:
        devices = link()
        self.here, self.there = start(devices[0], HERE), start(devices[1], THERE)
        self.nets = Net(self.here), Net(self.there)
        self.listener = self.nets[1].socket()
        self.listener.bind((THERE, 0))
        self.listener.listen()

    def connect(self) -> tuple[Any, Any]:
        client = self.nets[0].socket()
        client.settimeout(PATIENCE)
        client.connect(self.listener.getsockname())
        return client, self.nets[1].accept(self.listener)

    def close(self) -> None:
        self.here.close()
        self.there.close()
        for net in self.nets:
            net.close()


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    hosts = Hosts()
    yield hosts
    hosts.close()


def leader_of(runtime: Runtime) -> Any:
    return runtime._leadership._leader


def until_it_leads(runtime: Runtime, thread: threading.Thread) -> None:
    deadline = monotonic() + int(PATIENCE * SECOND)
    while leader_of(runtime) is None or leader_of(runtime).thread != thread.ident:
        assert monotonic() < deadline
        threading.Event().wait(0.001)


def until_it_stands_by(runtime: Runtime) -> threading.Thread:
    """Wait until the stack's own thread drives, and give it."""
    thread = runtime._leadership.thread
    until_it_leads(runtime, thread)
    return thread


def echo(client: Any, server: Any, times: int) -> None:
    for _ in range(times):
        server.sendall(b"x")
        assert client.recv(9) == b"x"


def test_who_waits_again_and_again_comes_to_drive(hosts: Hosts) -> None:
    """Even beside one that waits for what never comes."""
    client, server = hosts.connect()
    idle, _ = hosts.connect()
    waiting = Background(idle.recv, 1)
    until_it_leads(hosts.here, waiting)
    for _ in range(5):
        reader = Background(client.recv, 1)
        reader.until_blocked()
        server.sendall(b"x")
        assert reader.result() == b"x"
    reader = Background(client.recv, 1)
    until_it_leads(hosts.here, reader)
    server.sendall(b"y")
    assert reader.result() == b"y"
    idle.shutdown(socket.SHUT_RD)
    assert waiting.result() == b""


def test_many_who_wait_are_all_served(hosts: Hosts) -> None:
    pairs = [hosts.connect() for _ in range(8)]
    busy = [Background(echo, *pair, 200) for pair in pairs]
    for each in busy:
        each.result()


def test_after_a_leader_has_gone_deadlines_are_met_still(hosts: Hosts) -> None:
    client, server = hosts.connect()
    echo(client, server, 5)
    reached = threading.Event()

    def arm(*, now: int) -> None:
        timers = hosts.here.stack.timers
        timers.timer(None, lambda _, __: reached.set()).arm(now + 20 * MILLISECOND)

    hosts.here.call(arm)
    assert reached.wait(PATIENCE)


def test_a_deadline_that_comes_up_while_a_leader_sleeps(hosts: Hosts) -> None:
    client, _ = hosts.connect()
    waiting = Background(client.recv, 1)
    until_it_leads(hosts.here, waiting)
    reached = threading.Event()

    def arm(*, now: int) -> None:
        hosts.here.stack.timers.timer(None, lambda _, __: reached.set()).arm(now)

    hosts.here.call(arm)
    assert reached.wait(PATIENCE)
    client.shutdown(socket.SHUT_RD)
    waiting.result()


class InterruptionError(Exception):
    """What a signal handler raises."""


def interrupt() -> None:
    raise InterruptionError


@pytest.fixture
def on_alarm() -> Iterator[Any]:
    """Have a function called in the main thread whenever the alarm goes off."""

    def call(handle: Any) -> None:
        signal.signal(signal.SIGALRM, lambda *_: handle())

    before = signal.getsignal(signal.SIGALRM)
    yield call
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def ring_while_it_sleeps(runtime: Runtime, thread: threading.Thread) -> None:
    """Have the alarm go off while a thread drives, without the lock: we have that."""
    until_it_leads(runtime, thread)
    assert thread.ident is not None
    runtime.call(lambda ident, *, now: signal.pthread_kill(ident, signal.SIGALRM), thread.ident)


def receive_until_the_alarm(client: Any, seconds: float) -> None:
    """Receive again and again; the alarm goes off in a while, wherever that is."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        client.recv(100)


def test_what_a_signal_handler_raises_ends_the_wait_and_nothing_else(
    hosts: Hosts, on_alarm: Any
) -> None:
    client, server = hosts.connect()
    other, theirs = hosts.connect()
    echo(client, server, 5)
    on_alarm(interrupt)
    ringing = Background(ring_while_it_sleeps, hosts.here, threading.current_thread())
    with pytest.raises(InterruptionError):
        client.recv(1)
    ringing.result()
    assert leader_of(hosts.here) is None or leader_of(hosts.here).thread != threading.get_ident()
    waiting = Background(other.recv, 9)
    theirs.sendall(b"other")
    assert waiting.result() == b"other"
    echo(client, server, 5)


@pytest.mark.parametrize("error", [InterruptionError, TimeoutError])  # which is an OSError
def test_signals_that_raise_at_any_time(
    hosts: Hosts, on_alarm: Any, error: type[Exception]
) -> None:
    """Wherever they interrupt a thread that waits and drives, the next one finds all in order."""
    client, server = hosts.connect()
    stop = threading.Event()

    def chatter() -> None:
        while not stop.is_set():
            server.sendall(b"x" * 100)
            stop.wait(0.0005)

    def ring() -> None:
        raise error("alarm")

    on_alarm(ring)
    sender = Background(chatter)
    for index in range(60):
        with pytest.raises(error, match="alarm"):
            receive_until_the_alarm(client, 0.001 + index * 0.00007)
    stop.set()
    sender.result()
    other, theirs = hosts.connect()
    echo(other, theirs, 5)


@pytest.mark.parametrize("call", ["send", "sendall"])
def test_a_signal_handler_ends_a_call_that_has_sent_some(
    hosts: Hosts, on_alarm: Any, call: str
) -> None:
    """Though what it raises is an OSError, too, as is why a connection ends."""
    client, server = hosts.connect()
    client.settimeout(None)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    handled = threading.Event()

    def handle() -> None:
        handled.set()
        raise TimeoutError("alarm")

    def ring(sender: threading.Thread) -> None:
        assert server.recv(1)  # so that the call has begun to send
        ring_while_it_sleeps(hosts.here, sender)
        assert handled.wait(PATIENCE)
        server.close()  # or it would wait on, if nothing was raised

    on_alarm(handle)
    ringing = Background(ring, threading.current_thread())
    with pytest.raises(TimeoutError, match="alarm"):
        getattr(client, call)(bytes(3_000_000))
    ringing.result()


def test_a_signal_handler_waits_in_the_stack_while_its_thread_drives(
    hosts: Hosts, on_alarm: Any
) -> None:
    client, server = hosts.connect()
    other, theirs = hosts.connect()
    echo(client, server, 5)
    handled = []

    def handle() -> None:
        theirs.sendall(b"inner")
        server.sendall(b"outer")
        handled.append(other.recv(9))

    on_alarm(handle)
    ringing = Background(ring_while_it_sleeps, hosts.here, threading.current_thread())
    assert client.recv(9) == b"outer"
    assert handled == [b"inner"]
    ringing.result()


class Reading:
    """Who reads a host's device."""

    def __init__(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.readers: set[threading.Thread] = set()
        (device,) = [
            each.device for each in runtime.stack.interfaces.values() if each.mac != MAC_ZERO
        ]
        read = device.read_run

        def note_and_read(now: Instant, most: int) -> list[Frame]:
            self.readers.add(threading.current_thread())
            return read(now, most)

        monkeypatch.setattr(device, "read_run", note_and_read)


def test_who_sends_much_takes_the_answers_himself(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands by makes room for him, and drives again when that is over."""
    client, server = hosts.connect()
    standing_by = until_it_stands_by(hosts.here)
    reading = Reading(hosts.here, monkeypatch)
    for _ in range(20):
        client.sendall(bytes(10_000))
        assert server.recv(10_000, socket.MSG_WAITALL) == bytes(10_000)
    assert threading.current_thread() in reading.readers
    until_it_leads(hosts.here, standing_by)


def datagram_sockets(hosts: Hosts) -> tuple[Any, Any]:
    here, there = (each.socket(socket.SOCK_DGRAM) for each in hosts.nets)
    here.bind((HERE, 0))
    here.settimeout(PATIENCE)
    there.sendto(b"the neighbours know each other", here.getsockname())
    here.recv(99)
    return here, there


def nobody_stands_by(runtime: Runtime) -> None:
    leadership = runtime._leadership
    runtime._lock.run(leadership._reserve.wake, 0)
    leadership.thread.join()


def test_who_had_not_to_wait_for_a_frame_does_not_ask_for_the_next(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless somebody else wants to get into the stack, or there is none."""
    here, there = datagram_sockets(hosts)
    address = here.getsockname()
    nobody_stands_by(hosts.here)
    driver, waiter, slept = hosts.here._driver, Waiter(None, 0), []
    poll = driver._poll
    monkeypatch.setattr(driving, "_NO_SLEEP", SECOND)
    monkeypatch.setattr(driver, "_poll", lambda *when: slept.append(1) or poll(*when))

    def take_turns(*, now: int) -> list[int]:
        nights = []
        for is_wanted in (False, False, True, False):
            there.sendto(b"x", address)
            if is_wanted:
                hosts.here._lock.tasks.append(lambda: None)
            driver.take_turn(waiter, now + SECOND)
            nights.append(len(slept))
        driver.take_turn(waiter, now)
        return [*nights, len(slept)]

    assert hosts.here.call(take_turns) == [1, 1, 2, 2, 3]
    assert [here.recv(9) for _ in range(4)] == [b"x"] * 4


def test_what_has_come_by_now_needs_no_waiting_for(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load: where the last frame was there at once."""
    here, there = datagram_sockets(hosts)
    monkeypatch.setattr(driving, "_NO_SLEEP", SECOND)
    nobody_stands_by(hosts.here)
    waits: list[Waiter] = []
    wait = hosts.here.wait
    monkeypatch.setattr(
        hosts.here, "wait", lambda waiter, deadline: waits.append(waiter) or wait(waiter, deadline)
    )
    # One wait is for the first, or the second: the first may seem to answer what left before.
    for _ in range(5):
        there.sendto(b"x", here.getsockname())
        assert here.recv(9) == b"x"
    assert len(waits) == 1
    here.settimeout(0.05)
    with pytest.raises(TimeoutError):
        here.recv(9)
    assert len(waits) == 2


def test_who_was_answered_at_once_need_not_wait_for_that(hosts: Hosts) -> None:
    """Once it was in vain, it is not tried again for a while; nor where nothing has left."""
    here, there = datagram_sockets(hosts)
    address = here.getsockname()
    nobody_stands_by(hosts.here)
    stack = hosts.here.stack

    def look(*, now: int) -> bool:
        return hosts.here.take_arrivals()

    def look_after_sending(*, answered: bool) -> bool:
        stack.counters["IfOutOctets"] += 60
        if answered:
            there.sendto(b"x", address)
        return bool(hosts.here.call(look))

    hosts.here.call(look)
    hosts.here._driver.answers.note_looked(found=True)
    assert [look_after_sending(answered=True) for _ in range(5)] == [True] * 5
    there.sendto(b"x", address)
    assert not hosts.here.call(look)
    assert look_after_sending(answered=True)
    assert not look_after_sending(answered=False)
    again = [look_after_sending(answered=True) for _ in range(PAUSE + 2)]
    assert again == [False] * PAUSE + [True] * 2


def test_who_stands_by_sleeps_through_what_comes_during_a_call(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who calls sees to it; of what comes after the call, who stands by hears again."""
    client, server = hosts.connect()
    standing_by = until_it_stands_by(hosts.here)
    reading = Reading(hosts.here, monkeypatch)
    passed_on: list[StackLock] = []
    pass_on = StackLock.pass_on
    monkeypatch.setattr(
        StackLock, "pass_on", lambda lock, task: passed_on.append(lock) or pass_on(lock, task)
    )
    for _ in range(20):
        hosts.here.call(lambda now: server.sendall(b"x"))
    assert threading.current_thread() in reading.readers
    assert hosts.here._lock not in passed_on
    text = b""
    while len(text) < 20:
        text += client.recv(20)
    assert text == b"x" * 20
    until_it_leads(hosts.here, standing_by)
    reading.readers.clear()
    server.sendall(b"y")
    until(lambda: standing_by in reading.readers)
    assert client.recv(9) == b"y"


def test_a_call_that_fails_leaves_who_stands_by_awake(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, server = hosts.connect()
    standing_by = until_it_stands_by(hosts.here)
    reading = Reading(hosts.here, monkeypatch)

    def fail(*, now: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hosts.here.call(fail)
    server.sendall(b"x")
    until(lambda: standing_by in reading.readers)


def test_a_flush_that_is_interrupted_leaves_who_stands_by_awake(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = datagram_sockets(hosts)
    standing_by = until_it_stands_by(hosts.here)
    reading, flush = Reading(hosts.here, monkeypatch), hosts.here.stack.flush

    def interrupted(now: Instant) -> None:
        if threading.current_thread() is not standing_by:
            raise KeyboardInterrupt
        flush(now)

    def leave_something_to_flush(*, now: Instant) -> None:
        hosts.here.stack.tcp.context.is_due = True

    with monkeypatch.context() as patched:
        patched.setattr(hosts.here.stack, "flush", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hosts.here.call(leave_something_to_flush)
    assert not hosts.here._driver.has_watch_off  # else he would sleep until something is due
    there.sendto(b"x", here.getsockname())
    until(lambda: standing_by in reading.readers)


def test_a_call_that_outlives_the_driving_ends_without_a_word() -> None:
    """It entered while somebody stood by, and waited until the stack was closed."""
    stack = Stack(SystemEntropy())
    here, there = link()
    stack.attach(here, parse_network(f"{HERE}/24"), monotonic())
    driver = driving.Driver(stack, StackLock(), Watchers())
    driver.take_watch_off()
    driver.close()
    driver.leave()
    there.close()


def until_passed_on(runtime: Runtime) -> None:
    """Wait, within the stack, until who stands by has left to us what has come."""
    deadline = monotonic() + int(PATIENCE * SECOND)
    while not runtime._lock.tasks:
        assert monotonic() < deadline
        threading.Event().wait(0.001)


def test_what_comes_while_somebody_is_in_the_stack_he_sees_to(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But who stands by goes on with what is beyond a turn."""
    here, there = datagram_sockets(hosts)
    address = here.getsockname()
    standing_by = until_it_stands_by(hosts.here)
    reading = Reading(hosts.here, monkeypatch)
    monkeypatch.setattr(driving, "_FRAMES_A_RUN", 1)

    def be_in_the_stack() -> None:
        for index in range(80):
            there.sendto(b"%d" % index, address)
        until_passed_on(hosts.here)

    hosts.here._lock.run(be_in_the_stack)
    until(lambda: len(reading.readers) == 2)
    assert reading.readers == {threading.current_thread(), standing_by}
    assert [here.recv(9) for _ in range(80)] == [b"%d" % index for index in range(80)]


def test_what_nobody_sees_to_who_stands_by_does(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a signal handler interrupts who was to, in the very moment."""
    client, server = hosts.connect()
    until_it_stands_by(hosts.here)
    reading = Reading(hosts.here, monkeypatch)

    def be_in_the_stack() -> None:
        server.sendall(b"x")
        until_passed_on(hosts.here)
        hosts.here._lock.tasks.clear()

    hosts.here._lock.run(be_in_the_stack)
    until(lambda: bool(reading.readers))
    assert reading.readers == {hosts.here._leadership.thread}
    assert client.recv(9) == b"x"


def test_closing_ends_who_drives(hosts: Hosts) -> None:
    client, _ = hosts.connect()
    waiting = Background(client.recv, 1)
    until_it_leads(hosts.here, waiting)
    Background(hosts.here.close).result()
    with pytest.raises(OSError, match="Network is down"):
        waiting.result()


def test_a_child_of_fork_leaves_the_stack_to_its_parent() -> None:
    """Whatever its parent's threads were at, and without a word to its peers."""
    ended = run("""
import errno, os, sys, threading
from itertools import repeat
from tapstack import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
busy, _ = socket.create_connection(server.getsockname()), server.accept()[0]
def chatter():
    for _ in repeat(None):
        busy.send(b"x")
threading.Thread(target=chatter, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if not child:
        for use in (lambda: client.send(b"x"), lambda: client.recv(1), socket.socket):
            try:
                use()
            except OSError as error:
                assert error.errno == errno.ENETDOWN
                assert error.strerror == "Network is down: a stack stays with the parent of a fork"
            else:
                raise AssertionError
        client.close()
        del accepted  # unread text would reset the peer
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
client.send(b"still here")
assert accepted.recv(99) == b"still here"
os._exit(0)
""")
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


def test_a_call_gets_in_between_two_turns_of_who_drives(hosts: Hosts) -> None:
    """And a thread that calls without a pause does not keep the driver out."""
    client, server = hosts.connect()
    stop = threading.Event()

    def call_all_the_time() -> None:
        while not stop.is_set():
            hosts.here.now()
            hosts.here.call(lambda *, now: now)

    busy = [Background(call_all_the_time) for _ in range(2)]
    echo(client, server, 50)
    stop.set()
    for each in busy:
        each.result()


def test_threads_that_compute_give_way_sooner_while_a_stack_is_up() -> None:
    before = sys.getswitchinterval()
    first = bring_up(Settings(dev="none")).runtime
    second = bring_up(Settings(dev="none")).runtime
    first.close()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL)
    second.close()
    assert sys.getswitchinterval() == before


def test_an_interval_that_a_program_has_set_is_its_own() -> None:
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(SWITCH_INTERVAL / 2)
        runtime = bring_up(Settings(dev="none")).runtime
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL / 2)
        sys.setswitchinterval(1e-3)
        runtime.close()
        assert sys.getswitchinterval() == pytest.approx(1e-3)
    finally:
        sys.setswitchinterval(before)
