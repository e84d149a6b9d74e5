"""Whatever the arguments of a call are, it is made, or refused with the place of what is wrong."""

from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings, strategies as st

from tapstack.drill.calls.table import FORMS
from tapstack.drill.language.parser import parse
from tapstack.drill.language.syntax import (
    Expression,
    Field,
    Items,
    ScriptError,
    SystemCall,
    UnsupportedError,
)
from tapstack.sim import World
from tapstack.socket.calls.process import Process
from tests.drill.call_bench import CONNECTED, Bench

SCRIPT = parse("".join(f"+0 {form.written}\n" for form in FORMS.values()), "forms.pkt")
CALLS = [event.action for event in SCRIPT.events if isinstance(event.action, SystemCall)]
THAT_WAIT = {"poll", "epoll_wait"}
ODD = [
    "-1",
    "0",
    "5",
    "0xffffffff",
    "0x80000000",
    "0xffffffffffffffff",
    "...",
    "NULL",
    '""',
    '"abc"...',
    "[]",
    "{}",
    "[1, 2]",
    "[{..., 5}]",
    "{fd=4, events=POLLIN}",
    "{onoff=1, linger=...}",
    "{onoff=0xffffffffff, linger=1}",
    "{cmsg_level=1, cmsg_type=1, cmsg_data={scm_sec=1, scm_nsec=...}}",
    "{cmsg_level=0, cmsg_type=1, cmsg_data={ee_errno=-1, ee_origin=256}}",
    'inet_addr("1.2.3.4")',
    "MSG_DONTWAIT|MSG_PEEK",
    "x=5",
]
OTHERS = [
    argument
    for event in parse("".join(f"+0 close({odd}) = 0\n" for odd in ODD), "odd.pkt").events
    if isinstance(event.action, SystemCall)
    for argument in event.action.arguments
]


@dataclass
class Muddle:
    """Puts something else in the place of some parts of expressions."""

    data: st.DataObject
    left: int = field(default=2)

    def up(self, expression: Expression) -> Expression:
        if self.left and self.data.draw(st.integers(0, 5)) == 0:
            self.left -= 1
            return self.data.draw(st.sampled_from(OTHERS))
        match expression:
            case Items(items=items):
                return expression._replace(items=tuple(self.up(item) for item in items))
            case Field(value=value):
                return expression._replace(value=self.up(value))
            case _:
                return expression


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CALLS), st.data())
def test_a_call_is_made_or_refused(call: SystemCall, data: st.DataObject) -> None:
    muddle = Muddle(data)
    call = call._replace(arguments=tuple(muddle.up(argument) for argument in call.arguments))
    with World() as world:
        process = Process(world.host("here"))
        bench = Bench(process)
        bench.play(*CONNECTED, *(f"fcntl({fd}, F_SETFL, O_NONBLOCK) = 0" for fd in (3, 4, 5)))
        with suppress(ScriptError, UnsupportedError):
            made = bench.prepare_one(call)
            if call.name not in THAT_WAIT:
                made(process)
        assert not bench.play("socket(..., SOCK_STREAM, 0) = 9", "close(9) = 0")
        process.end()
