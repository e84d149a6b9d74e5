"""Echoes between the host's ping and ours, small, large and on the loopback."""

import re

import pytest

from tests.live.netns import HOST, PROMPT, STACK, Namespace

OFFLOADS = [pytest.param((), id="offload"), pytest.param(("--no-offload",), id="no offload")]


def test_a_hundred_echoes_in_quick_succession_all_come_back(namespace: Namespace) -> None:
    namespace.shell()
    namespace.ping(100, "-i", "0.01")


@pytest.mark.parametrize("options", OFFLOADS)
@pytest.mark.parametrize("size", [0, 6000, 60000, 65507])
def test_the_host_pings_with_fragments(
    namespace: Namespace, options: tuple[str, ...], size: int
) -> None:
    namespace.shell(*options)
    namespace.ping(3, "-i", "0.02", "-s", str(size))


@pytest.mark.parametrize("options", OFFLOADS)
@pytest.mark.parametrize("size", [56, 60000, 65507])
def test_the_stack_pings_with_fragments(
    namespace: Namespace, options: tuple[str, ...], size: int
) -> None:
    stack = namespace.tapstack(*options, "-c", f"ping -c 2 -w 15 -i 0.02 -s {size} {HOST}")
    assert stack.wait() == 0, stack
    assert "2 received, 0% packet loss" in stack.stdout
    assert len(re.findall(rf"^{size + 8} bytes from {HOST}: icmp_seq=", stack.stdout, re.M)) == 2
    assert "rtt min/avg/max/mdev = " in stack.stdout


@pytest.mark.parametrize("target", ["127.0.0.1", "127.1.2.3", STACK])
def test_the_loopback_answers(namespace: Namespace, target: str) -> None:
    stack = namespace.tapstack("-c", f"ping -c 1 -s 65000 {target}")
    assert stack.wait() == 0, stack
    assert f"65008 bytes from {target}: " in stack.stdout


def test_nobody_at_home_is_said(namespace: Namespace) -> None:
    stack = namespace.tapstack("-c", "ping -c 1 10.0.0.77")
    assert stack.wait() == 1, stack
    assert f"From {STACK} icmp_seq=1 Destination Host Unreachable" in stack.stdout


def test_arp_is_answered_and_the_host_is_remembered(namespace: Namespace) -> None:
    stack = namespace.shell()
    arping = namespace.run("arping", "-c", "2", "-I", "tap0", STACK)
    assert "Received 2 response" in arping.stdout
    namespace.run("ping", "-n", "-c", "1", STACK)
    stack.type("arpcache")
    stack.wait_for(re.escape(PROMPT), count=2)
    assert HOST in stack.stdout
    stack.end_input()
    assert stack.wait() == 0, stack
