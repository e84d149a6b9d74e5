"""Both stacks that the socket tests run over: the kernel's loopback, and one of ours."""

from collections.abc import Iterator

import pytest

from tapstack.runtime.default import Settings, bring_up
from tapstack.runtime.runtime import Runtime
from tests.socket.nets import Net


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """A stack with nothing but its loopback, which takes no rights."""
    runtime = bring_up(Settings(dev="none")).runtime
    yield runtime
    runtime.close()


@pytest.fixture
def ours(runtime: Runtime) -> Iterator[Net]:
    """Sockets of our stack, where it is not the kernel that says what is right."""
    net = Net(runtime)
    yield net
    net.close()


@pytest.fixture(params=["kernel", "tapstack"])
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    """Sockets of one stack or the other."""
    ours = request.param == "tapstack"
    net = Net(request.getfixturevalue("runtime") if ours else None)
    yield net
    net.close()
