"""Whatever octets come in, the stack lives: it answers, and it counts what it dropped."""

import re

from tests.live.netns import PROMPT, STACK, Namespace


def test_garbage_on_the_wire_ends_nothing(namespace: Namespace) -> None:
    stack = namespace.shell()
    namespace.run("ping", "-n", "-c", "1", STACK)

    attack = namespace.python("hostile_frames.py", "tap0", "5000")
    assert attack.wait(60) == 0, attack

    # As long as the stack has not come to the end of them, there may be no room for another.
    namespace.run("ping", "-n", "-c", "1", "-w", "15", STACK)
    namespace.ping(5, "-i", "0.01")
    prompts = stack.stderr.count(PROMPT)
    stack.type("stat")
    stack.wait_for(re.escape(PROMPT), count=prompts + 1)
    for layer in ("Ethernet", "ARP", "IPv4", "ICMP", "UDP", "TCP"):
        assert re.search(rf"{layer}: .*\d", stack.stdout), stack
    stack.end_input()
    assert stack.wait() == 0, stack
    assert "Traceback" not in stack.stderr
