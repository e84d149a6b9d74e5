"""The stacks of the socket tests, and the loop that is each one's own: asyncio's, or ours."""

import asyncio
from collections.abc import Iterator

import pytest

from tapstack.event_loop import EventLoop
from tests.socket.conftest import net as net, ours as ours, runtime as runtime
from tests.socket.nets import Net


@pytest.fixture
def loop(net: Net) -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.SelectorEventLoop() if net.runtime is None else EventLoop()
    yield loop
    loop.close()
