"""Blocking programs in virtual time: they wait as programs do, to the microsecond, and end."""

import os
import signal
import threading
from functools import partial
from typing import Any

import pytest

from tapstack.sim import MILLISECOND, SECOND, Socket, StandstillError, Way, World
from tests.sim.worlds import PORT, send, transfer, two_hosts

DELAY = 30 * MILLISECOND


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def echo(listener: Socket) -> int:
    """Serve one client; give how many octets it sent."""
    octets = 0
    with listener.accept()[0] as connection:
        while text := connection.recv(4096):
            octets += len(text)
            connection.sendall(text)
    return octets


def test_the_main_program_and_a_process_talk() -> None:
    with World() as world:
        client, server = two_hosts(world, Way(delay=DELAY))
        with server.create_server(("", PORT)) as listener:
            served = world.spawn(echo, listener)
            with client.create_connection((server.address, PORT)) as connection:
                assert world.now == 2 * DELAY
                connection.sendall(b"hello")
                assert connection.recv(100) == b"hello"
                assert world.now == 4 * DELAY
            assert served.result() == 5
            assert world.now == 5 * DELAY


def test_processes_take_turns_and_serve_many() -> None:
    said: list[tuple[str, int]] = []

    def ask(name: str, pause: float) -> None:
        world.sleep(pause)
        with client.create_connection((server.address, PORT)) as connection:
            connection.sendall(name.encode())
            assert connection.recv(100) == name.encode()
        said.append((name, world.now))

    def serve(count: int) -> None:
        with server.create_server(("", PORT)) as listener:
            for _ in range(count):
                echo(listener)

    with World() as world:
        client, server = two_hosts(world, Way(delay=DELAY))
        world.spawn(serve, 3)
        for name, pause in (("late", 2.0), ("soon", 0.0), ("later", 2.000001)):
            world.spawn(ask, name, pause)
        world.run()
    assert said == [
        ("soon", 4 * DELAY),
        ("late", 2 * SECOND + 4 * DELAY),
        ("later", 2 * SECOND + 6 * DELAY),  # accepted once the one before it had closed
    ]


def test_sleep_takes_the_time_it_says_and_a_world_can_be_run_in_pieces() -> None:
    woken: list[int] = []

    def sleeper() -> None:
        for _ in range(3):
            world.sleep(1.5)
            woken.append(world.now)

    with World() as world:
        world.spawn(sleeper)
        world.run(until=1_500_000)
        assert (woken, world.now) == ([1_500_000], 1_500_000)
        world.run_for(1_499_999)
        assert (woken, world.now) == ([1_500_000], 2_999_999)
        world.run(until=lambda: len(woken) == 2)
        assert world.now == 3_000_000
        world.run()
        assert (woken[-1], world.now) == (4_500_000, 4_500_000)
        world.sleep(0.25)
        assert world.now == 4_750_000


@pytest.mark.parametrize("timeout", [0.1, 0.29, 1.1, 8.2, 3600.000001])
def test_a_timeout_is_exact(timeout: float) -> None:
    with World() as world:
        client, server = two_hosts(world, Way(delay=DELAY))
        with (
            server.create_server(("", PORT)) as listener,
            client.create_connection((server.address, PORT), timeout=timeout) as connection,
        ):
            before = world.now
            with pytest.raises(TimeoutError):
                connection.recv(1)
            assert world.now - before == round(timeout * SECOND)
            listener.settimeout(timeout)
            listener.accept()[0].close()
            before = world.now
            with pytest.raises(TimeoutError):
                listener.accept()
            assert world.now - before == round(timeout * SECOND)


def test_a_closed_port_refuses_after_a_round_trip() -> None:
    with World() as world:
        client, server = two_hosts(world, Way(delay=DELAY))
        with pytest.raises(ConnectionRefusedError):
            client.create_connection((server.address, PORT))
        assert world.now == 2 * DELAY


def test_what_a_process_raises_comes_out_of_run_and_ends_the_others() -> None:
    unwound: list[str] = []

    def fail() -> None:
        world.sleep(1)
        raise ZeroDivisionError("of the process")

    def wait(listener: Socket) -> None:
        try:
            listener.accept()
        finally:
            unwound.append("waited")

    world = World()
    _, server = two_hosts(world)
    with server.create_server(("", PORT)) as listener:
        world.spawn(wait, listener)
        world.spawn(fail)
        failed = world.spawn(world.sleep, 60)
        with pytest.raises(ZeroDivisionError, match="of the process"):
            world.run()
    assert unwound == ["waited"]
    assert world.now == SECOND
    with pytest.raises(RuntimeError, match="'sleep' has no result"):
        failed.result()
    world.run()  # there is nobody left
    world.close()


def test_what_a_process_raises_comes_out_of_a_blocking_call_of_the_main_program() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with World() as world:
        _, server = two_hosts(world)
        with server.create_server(("", PORT)) as listener:
            world.spawn(fail)
            with pytest.raises(ZeroDivisionError):
                listener.accept()


def test_leaving_a_world_ends_what_runs() -> None:
    ended: list[str] = []

    def clean_up_slowly() -> None:
        try:
            world.sleep(60)
        finally:
            ended.append("first")
            world.sleep(1)  # not any more
            ended.append("never")

    with World() as world:
        world.spawn(clean_up_slowly)
        world.run_for(SECOND)
        world.spawn(ended.append, "never begun")
    assert ended == ["first"]


def test_an_error_of_a_process_that_is_ended_is_not_lost() -> None:
    def fail_at_the_end() -> None:
        try:
            world.sleep(60)
        finally:
            raise ZeroDivisionError

    world = World()
    world.spawn(fail_at_the_end)
    world.run_for(SECOND)
    with pytest.raises(ZeroDivisionError):
        world.close()
    world.close()


def test_what_ends_may_begin_another_which_ends_too() -> None:
    def begin_another() -> None:
        try:
            world.sleep(60)
        finally:
            world.spawn(begin_another)

    with World() as world:
        world.spawn(begin_another)
        world.run_for(SECOND)
        world.close()
        world.run()  # there is nobody left
        assert world.now == SECOND


def interrupt() -> bool:
    """Do what Ctrl-C does: the signal is the main thread's, whoever runs."""
    os.kill(os.getpid(), signal.SIGINT)
    return False


def test_an_interrupt_while_a_process_runs_ends_everything() -> None:
    def sleep_for_ever() -> None:
        world.sleep(1)
        interrupt()
        while True:
            world.sleep(1)

    world = World()
    process = world.spawn(sleep_for_ever)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert process.has_ended


def test_an_interrupt_while_the_main_program_runs_ends_everything() -> None:
    world = World()
    process = world.spawn(world.sleep, 1)
    world.run(until=lambda: process.waits_for is not None)
    with pytest.raises(KeyboardInterrupt):
        world.run(until=interrupt)
    assert process.has_ended


def test_anything_that_can_be_called_can_be_a_process() -> None:
    with World() as world:
        assert world.spawn(partial(max, 3), 5).result() == 5


def test_a_standstill_says_who_waits_for_what() -> None:
    def listen() -> None:
        with server.create_server(("", PORT)) as listener, listener.accept()[0] as connection:
            connection.recv(100)

    with World() as world:
        client, server = two_hosts(world)
        listening = world.spawn(listen)
        world.spawn(listening.result)
        connection = client.create_connection((server.address, PORT))
        local, peer = f"{server.address}:{PORT}", "{}:{}".format(*connection.getsockname())
        with connection, pytest.raises(StandstillError) as raised:
            world.run()
    assert str(raised.value).splitlines() == [
        "nothing will ever happen again, and yet",
        "  the main program waits for all processes to end",
        f"  listen waits for something to read on {local} > {peer} (ESTABLISHED) of server",
        "  result waits for the end of 'listen'",
    ]


def test_the_main_program_alone_can_stand_still() -> None:
    with World() as world:
        _, server = two_hosts(world)
        with (
            server.create_server(("", PORT)) as listener,
            pytest.raises(StandstillError, match=r"main program waits for a connection on 0.0.0.0"),
        ):
            listener.accept()


def test_who_is_no_process_cannot_wait() -> None:
    errors: list[BaseException] = []

    def stranger() -> None:
        try:
            world.sleep(1)
        except RuntimeError as error:
            errors.append(error)

    def run_inside() -> None:
        with pytest.raises(RuntimeError, match="cannot run the world"):
            world.run()

    with World() as world:
        thread = threading.Thread(target=stranger)
        thread.start()
        thread.join()
        assert "only processes" in str(errors[0])
        world.spawn(run_inside)
        world.run()


def test_an_idle_hour_costs_nothing() -> None:
    with World() as world:
        client, server = two_hosts(world, Way(delay=DELAY))
        listener = server.create_server(("", PORT))
        served = world.spawn(echo, listener)
        with listener, client.create_connection((server.address, PORT)) as connection:
            connection.sendall(b"before")
            assert connection.recv(100) == b"before"
            world.sleep(1)
            before = world.steps
            world.sleep(3600)
            assert world.steps - before == 1  # the end of the sleep
            connection.sendall(b"after")
            assert connection.recv(100) == b"after"
            connection.close()
            assert served.result() == len(b"beforeafter")


def test_nothing_is_left_of_a_transfer() -> None:
    text = bytes(range(256)) * 4096
    with World() as world:
        client, server = two_hosts(world, Way(delay=DELAY))
        assert transfer(world, client, server, text) == text
        world.run_for(120 * SECOND)
        for host in (client, server):
            assert not list(host.stack.tcp.connections)
            assert not list(host.stack.tcp.listeners)
            assert not list(host.stack.timers.armed())
        with server.create_server(("", PORT)):  # the port is free
            pass


def test_a_forgotten_socket_is_closed_before_the_next_thing_happens() -> None:
    with World() as world:
        client, server = two_hosts(world, Way(delay=DELAY))
        listener = server.create_server(("", PORT))
        with pytest.warns(ResourceWarning, match="unclosed"):
            del listener
        with pytest.raises(ConnectionRefusedError):
            send(client, server, b"")
