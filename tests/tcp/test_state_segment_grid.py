"""Every state meets every kind of segment, and answers as Linux does (measured on 6.18).

A cell says what is sent, at once or (d) within 60 ms, then > and the state that follows; a bare >-
means that the connection is gone, and nothing after the flags that the state stays.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tapstack.base.address import Endpoint
from tapstack.tcp.segment import ACK, FIN, PSH, RST, SYN, URG, Options, format_flags
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host

T0 = 1_000_000
ISN = 0x7FFFFFFF
FAR = 1 << 24


class Peer:
    """The host under test in one state, and the sequence numbers that matter there."""

    def __init__(self, state: str, isn: int) -> None:
        self.host = Host(A)
        self.isn = isn
        self.tcb: Tcb | None = None
        self.rcv_nxt = isn
        self.snd_nxt = 0
        STATES[state](self)
        if self.tcb is not None:
            self.snd_nxt = self.tcb.snd_nxt
        self.host.sent()

    def inject(self, flags: int, seq: int, ack: int = 0, text: bytes = b"") -> list[str]:
        options = Options(mss=1460) if flags & SYN else Options()
        sent = self.host.inject(T0, flags=flags, seq=seq, ack=ack, text=text, options=options)
        return [format_flags(s.flags) for s in sent]

    # --- ways to each state ---

    def closed(self) -> None:
        pass

    def listen(self) -> None:
        binding = self.host.tcp.bind(Endpoint(0, 80))
        self.listener = self.host.tcp.open_passive(binding, 5, UserOptions())

    def syn_sent(self) -> None:
        binding = self.host.tcp.bind(Endpoint(0, 80))
        self.tcb = self.host.tcp.open_active(Endpoint(B, 5000), UserOptions(), T0, binding)
        self.host.tcp.flush(T0)

    def syn_received_passive(self) -> None:
        self.listen()
        self.inject(SYN, self.isn)
        (self.tcb,) = self.host.tcp.connections
        self.rcv_nxt = self.isn + 1

    def syn_received_active(self) -> None:
        self.syn_sent()
        self.inject(SYN, self.isn)
        self.rcv_nxt = self.isn + 1

    def established(self) -> None:
        self.syn_received_passive()
        assert self.tcb is not None
        self.inject(ACK, self.rcv_nxt, self.tcb.snd_nxt)
        assert self.host.tcp.accept(self.listener) is self.tcb

    def shut_down(self) -> None:
        assert self.tcb is not None
        self.host.tcp.shutdown(self.tcb, read=False, write=True)
        self.host.tcp.flush(T0)

    def fin_wait_1(self) -> None:
        self.established()
        self.shut_down()

    def fin_wait_2(self) -> None:
        self.fin_wait_1()
        assert self.tcb is not None
        self.inject(ACK, self.rcv_nxt, self.tcb.snd_nxt)

    def closing(self) -> None:
        self.fin_wait_1()
        assert self.tcb is not None
        self.inject(FIN | ACK, self.rcv_nxt, self.tcb.snd_una)
        self.rcv_nxt += 1

    def close_wait(self) -> None:
        self.established()
        assert self.tcb is not None
        self.inject(FIN | ACK, self.rcv_nxt, self.tcb.snd_nxt)
        self.rcv_nxt += 1
        self.host.expire(T0 + 60_000)  # the ACK of the FIN has left

    def last_ack(self) -> None:
        self.close_wait()
        self.shut_down()

    def time_wait(self) -> None:
        self.fin_wait_2()
        assert self.tcb is not None
        self.inject(FIN | ACK, self.rcv_nxt, self.tcb.snd_nxt)
        self.rcv_nxt += 1

    # --- what follows ---

    def state(self) -> str:
        found = list(self.host.tcp.connections)
        return found[0].state.name if found else "-"


STATES: dict[str, Callable[[Peer], None]] = {
    "CLOSED": Peer.closed,
    "LISTEN": Peer.listen,
    "SYN_SENT": Peer.syn_sent,
    "SYN_RECEIVED": Peer.syn_received_passive,
    "SYN_RECEIVED active": Peer.syn_received_active,
    "ESTABLISHED": Peer.established,
    "FIN_WAIT_1": Peer.fin_wait_1,
    "FIN_WAIT_2": Peer.fin_wait_2,
    "CLOSING": Peer.closing,
    "CLOSE_WAIT": Peer.close_wait,
    "LAST_ACK": Peer.last_ack,
    "TIME_WAIT": Peer.time_wait,
}
COLUMNS = list(STATES)

SEGMENTS: dict[str, Callable[[Peer], list[str]]] = {
    "SYN exact": lambda p: p.inject(SYN, p.rcv_nxt),
    "SYN in": lambda p: p.inject(SYN, p.rcv_nxt + 1000),
    "SYN old": lambda p: p.inject(SYN, p.rcv_nxt - 1000),
    "SYNACK ok": lambda p: p.inject(SYN | ACK, p.rcv_nxt, p.snd_nxt),
    "SYNACK bad": lambda p: p.inject(SYN | ACK, p.rcv_nxt, p.snd_nxt + 1000),
    "RST exact": lambda p: p.inject(RST, p.rcv_nxt),
    "RST in": lambda p: p.inject(RST, p.rcv_nxt + 1000),
    "RST old": lambda p: p.inject(RST, p.rcv_nxt - 1000),
    "RSTACK ok": lambda p: p.inject(RST | ACK, p.rcv_nxt, p.snd_nxt),
    "RSTACK bad": lambda p: p.inject(RST | ACK, p.rcv_nxt, p.snd_nxt + 1000),
    "ACK ok": lambda p: p.inject(ACK, p.rcv_nxt, p.snd_nxt),
    "ACK future": lambda p: p.inject(ACK, p.rcv_nxt, p.snd_nxt + 1000),
    "ACK seq-1": lambda p: p.inject(ACK, p.rcv_nxt - 1, p.snd_nxt),
    "ACK far": lambda p: p.inject(ACK, p.rcv_nxt + FAR, p.snd_nxt),
    "data": lambda p: p.inject(ACK | PSH, p.rcv_nxt, p.snd_nxt, b"x" * 10),
    "data far": lambda p: p.inject(ACK | PSH, p.rcv_nxt + FAR, p.snd_nxt, b"x" * 10),
    "data no ACK": lambda p: p.inject(PSH, p.rcv_nxt, 0, b"x" * 10),
    "FIN no ACK": lambda p: p.inject(FIN, p.rcv_nxt),
    "FINACK ok": lambda p: p.inject(FIN | ACK, p.rcv_nxt, p.snd_nxt),
    "FINACK far": lambda p: p.inject(FIN | ACK, p.rcv_nxt + FAR, p.snd_nxt),
    "SYN+FIN": lambda p: p.inject(SYN | FIN, p.rcv_nxt),
    "no flags": lambda p: p.inject(0, p.rcv_nxt),
    "all flags": lambda p: p.inject(SYN | FIN | RST | PSH | ACK | URG, p.rcv_nxt, p.snd_nxt),
}

SYNR = "SA>SYN_RECEIVED"
# CLOSED, LISTEN, SYN_SENT | SYN_RECEIVED passive, active | EST FW1 FW2 | CLOSING CW LA TW
GRID = {
    "SYN exact": f"RA {SYNR} {SYNR} RA>- A A A A A A A A",
    "SYN in": f"RA {SYNR} {SYNR} RA>- A A A A A A A {SYNR}",
    "SYN old": f"RA {SYNR} {SYNR} A A A A A A A A A",
    "SYNACK ok": "R R A>ESTABLISHED R>- A A A A A A A A",
    "SYNACK bad": "R R R R A A A A A A A A",
    "RST exact": ". . . >- >- >- >- >- >- >- >- >-",
    "RST in": ". . . A A A A A A A A .",
    "RST old": ". . . . . . . . . . . .",
    "RSTACK ok": ". . >- >- >- >- >- >- >- >- >- >-",
    "RSTACK bad": ". . dS >- >- >- >- >- >- >- >- >-",
    "ACK ok": "R R . >ESTABLISHED >ESTABLISHED . >FIN_WAIT_2 . >TIME_WAIT . >- .",
    "ACK future": "R R R R R A A A A A A .",
    "ACK seq-1": "R R . A A A A A A A A A",
    "ACK far": "R R . A A A A A A A A A",
    "data": "R R . A>ESTABLISHED A>ESTABLISHED A A>FIN_WAIT_2 A >TIME_WAIT . >- A",
    "data far": "R R . A A A A A A A A A",
    "data no ACK": "RA . . . . . . . . . . A",
    "FIN no ACK": "RA . . . . . . . . . . A",
    "FINACK ok": "R R . dA>CLOSE_WAIT dA>CLOSE_WAIT dA>CLOSE_WAIT A>TIME_WAIT A>TIME_WAIT "
    ">TIME_WAIT . >- A",
    "FINACK far": "R R . A A A A A A A A A",
    "SYN+FIN": f"RA . {SYNR} RA>- A A A A A A A A",
    "no flags": "RA . . . . . . . . . . .",
    "all flags": ". . >- >- >- >- >- >- >- >- >- >-",
}
CELLS = [
    (segment, state, cell)
    for segment, row in GRID.items()
    for state, cell in zip(COLUMNS, row.split(), strict=True)
]
assert len(CELLS) == 276


@pytest.mark.parametrize("isn", [0, 2**31 - 1, 2**32 - 1, 2**32 - 1460])
@pytest.mark.parametrize(("segment", "state", "cell"), CELLS)
def test_cell(segment: str, state: str, cell: str, isn: int) -> None:
    peer = Peer(state, isn)
    before = peer.state()
    if state in {name.name for name in State} - {"CLOSED", "LISTEN"}:
        assert before == state
    sent = SEGMENTS[segment](peer)
    if cell.startswith("d"):
        assert sent == []
        peer.host.expire(T0 + 60_000)
        sent = [format_flags(s.flags) for s in peer.host.sent()]
        cell = cell[1:]
    flags, arrow, after = cell.partition(">")
    names = {"": [], ".": [], "A": ["."], "R": ["R"], "RA": ["R."], "S": ["S"], "SA": ["S."]}
    assert sent == names[flags]
    assert peer.state() == (after if arrow else before)
