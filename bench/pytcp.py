"""The program that is measured on PyTCP's fork, `pmd-pytcp`: what `application.py` serves, its way.

Its sockets are not the standard library's: the calls are coroutines, `send` takes everything into a
buffer without an end, and epoll knows nothing of them. So only some of the trials can be made.

usage: python -m bench.pytcp
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from time import perf_counter_ns
from typing import Any

from bench.conversation import prepare_process, reply
from bench.far_end import BLOCK, TOLD
from tapstack.base.address import parse_network
from tapstack.device import host
from tapstack.device.host_addresses import add_address

DEVICE, OURS, HOSTS = "tap7", "10.0.0.1/24", "10.0.0.2/24"
SUPPLY = bytes(1 << 24)
"""More than a trial takes."""

Socket = Any


async def start() -> None:
    """Bring the stack up on a TAP, and the host's side of it."""
    stack, addresses = import_module("pmd_pytcp.stack"), import_module("pmd_net_addr")
    stack.init()
    device = stack.initialize_interface__tap(interface_name=DEVICE)
    host.silence_ipv6(DEVICE)
    add_address(DEVICE, parse_network(HOSTS))
    host.bring_up(DEVICE)
    stack.add_interface(**device, ip6_support=False, ip4_host=addresses.Ip4IfAddr(OURS))
    await stack.start()
    while not stack.local_ip4_unicast():  # it first asks whether the address is another's
        await asyncio.sleep(0.05)


async def sink(connection: Socket) -> bool:
    octets, began = len(await connection.recv(len(BLOCK))), perf_counter_ns()
    while text := await connection.recv(len(BLOCK)):
        octets += len(text)
    await connection.send(TOLD.pack(octets, perf_counter_ns() - began))
    return False


async def source(connection: Socket) -> bool:
    await connection.send(SUPPLY)
    await connection.recv(1)
    return False


async def echo(connection: Socket) -> bool:
    """Echo to the end; tell whether there was anything."""
    said = False
    while text := await connection.recv(4096):
        await connection.send(text)
        said = True
    return said


async def echo_datagrams(udp: Socket) -> None:
    while True:
        text, address = await udp.recvfrom(2048)
        if not text:
            return
        await udp.sendto(text, address)


async def count_datagrams(udp: Socket) -> None:
    count = began = last = 0
    while True:
        text, address = await udp.recvfrom(2048)
        if text:
            last = perf_counter_ns()
            began = began or last
            count += 1
        elif count:
            await udp.sendto(TOLD.pack(count, last - began), address)
            return


STREAMS: dict[str, Callable[[Socket], Awaitable[bool]]] = {
    "sink": sink,
    "source": source,
    "asyncio": echo,
}
DATAGRAMS = {"udp-echo": echo_datagrams, "udp-sink": count_datagrams}


async def accept_all(listener: Socket, serve: Callable[[Socket], Awaitable[bool]]) -> None:
    """Serve connections, each in a task, until one has nothing more to come after it."""
    over = asyncio.Event()

    async def serve_one(connection: Socket) -> None:
        goes_on = False
        with suppress(OSError):
            goes_on = await serve(connection)
        connection.close()
        if not goes_on:
            over.set()

    async def accept() -> None:
        tasks = set()
        while True:
            connection, _ = await listener.accept()
            tasks.add(asyncio.ensure_future(serve_one(connection)))

    accepting = asyncio.ensure_future(accept())
    await over.wait()
    accepting.cancel()


async def run() -> None:
    library = import_module("pmd_pytcp.socket")
    await start()
    reply(ready="pytcp")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        name, kind = request["service"], library.SocketType.STREAM
        if name in DATAGRAMS:
            kind = library.SocketType.DGRAM
        served = library.socket(library.AddressFamily.INET4, kind)
        served.bind(("10.0.0.1", request["port"]))
        if name in STREAMS:
            served.listen()
        reply(ready=name)
        if name in STREAMS:
            await accept_all(served, STREAMS[name])
        else:
            await DATAGRAMS[name](served)
        served.close()


def main() -> None:
    prepare_process()
    asyncio.run(run())


if __name__ == "__main__":
    main()
