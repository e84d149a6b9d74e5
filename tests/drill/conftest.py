"""The hosts that a script's calls are made on: a stack in virtual time, and this kernel."""

import socket
from collections.abc import Iterator

import pytest

from tapstack.sim import World
from tapstack.socket.calls.process import Process
from tests.drill.call_bench import Bench
from tests.socket.kernel_calls import KernelCalls


@pytest.fixture
def stack() -> Iterator[Bench]:
    with World() as world:
        process = Process(world.host("here"))
        yield Bench(process)
        process.end()


@pytest.fixture
def kernel() -> Iterator[Bench]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    calls = KernelCalls()
    yield Bench(calls, port, lacking=frozenset())
    calls.end()


@pytest.fixture(params=["stack", "kernel"])
def bench(request: pytest.FixtureRequest) -> Bench:
    made: Bench = request.getfixturevalue(request.param)
    return made
