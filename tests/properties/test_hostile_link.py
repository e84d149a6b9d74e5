"""Two TCP engines over a link that loses, repeats, delays, reorders and corrupts.

Whatever the link does, what has arrived is a prefix of what was sent; and once the link heals, all
of it arrives. At every step the connection's own invariants hold.
"""

from __future__ import annotations

import random

from hypothesis import example, given, settings, strategies as st

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.seq import le, sub
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tests.tcp.pair import World


class BadLink:
    """Does to segments what its rates say, until it heals."""

    def __init__(self, loss: int, repeat: int, reorder: int, corrupt: int) -> None:
        self.rates = (loss, repeat, reorder, corrupt)
        self.healed = False

    def __call__(self, octets: bytes, chance: random.Random) -> list[tuple[int, bytes]]:
        if self.healed:
            return [(0, octets)]
        loss, repeat, reorder, corrupt = (chance.randrange(100) < rate for rate in self.rates)
        if loss:
            return []
        if corrupt:
            at = chance.randrange(len(octets))
            octets = octets[:at] + bytes([octets[at] ^ 1 << chance.randrange(8)]) + octets[at + 1 :]
        late = chance.randrange(20 * MILLISECOND) if reorder else 0
        return [(late, octets)] + ([(chance.randrange(MILLISECOND), octets)] if repeat else [])


def assert_invariants(world: World, tcb: Tcb) -> None:
    assert le(tcb.snd_una, tcb.snd_nxt)
    sent = tcb.sent
    assert 0 <= sent.in_flight <= sent.packets_out + sent.retrans_out
    assert sent.sacked_out + sent.lost_out <= sent.packets_out
    assert tcb.window.cwnd >= 1
    assert tcb.window.ssthresh >= 2
    if tcb.state is State.ESTABLISHED:
        assert sub(tcb.snd_nxt, tcb.snd_una) <= tcb.send_buffer.octets
        assert not sent or tcb.retransmission_timer.deadline is not None
        waiting = tcb.send_buffer.octets and not sent and not world.host_of(tcb).outbox
        assert not waiting or tcb.persist_timer.deadline is not None
    full = tcb.receive_space.buffer // 2
    beyond = tcb.reassembly.octets if tcb.reassembly else 0
    assert len(tcb.receive_queue) + beyond <= full + 65536


RATES = st.integers(0, 30)


@settings(max_examples=200)
@given(
    rates=st.tuples(RATES, RATES, RATES, st.integers(0, 10)),
    sizes=st.tuples(st.integers(0, 120_000), st.integers(0, 120_000)),
    mtu=st.sampled_from([576, 1500, 9000]),
    options=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    seed=st.integers(0, 2**32),
)
# A tail that was SACKed is sent again as a probe, and is overdue for RACK then.
@example(
    rates=(19, 18, 10, 1), sizes=(118921, 64281), mtu=9000, options=(True, True, False), seed=64283
)
def test_a_prefix_arrives_always_and_everything_once_the_link_heals(
    rates: tuple[int, int, int, int],
    sizes: tuple[int, int],
    mtu: int,
    options: tuple[bool, bool, bool],
    seed: int,
) -> None:
    link = BadLink(*rates)
    sack, timestamps, scaling = options
    config = TcpConfig(tcp_sack=sack, tcp_timestamps=timestamps, tcp_window_scaling=scaling)
    world = World(delay=5 * MILLISECOND, mtu=mtu, seed=seed, config=config)
    client, server = world.pair()
    world.fate = link
    chance = random.Random(seed)
    texts = {client: chance.randbytes(sizes[0]), server: chance.randbytes(sizes[1])}
    sent = dict.fromkeys(texts, 0)
    got = {client: bytearray(), server: bytearray()}
    heals_at = world.now + 20 * SECOND
    while any(
        len(got[end]) < len(texts[other]) for end, other in [(client, server), (server, client)]
    ):
        before = (sum(sent.values()), sum(map(len, got.values())))
        for end, text in texts.items():
            if sent[end] < len(text):
                sent[end] += world.send(
                    end, text[sent[end] : sent[end] + chance.randrange(1, 9999)]
                )
            piece = world.receive(end, chance.randrange(1, 9999))
            got[end] += piece or b""
            assert_invariants(world, end)
        assert texts[server].startswith(got[client])
        assert texts[client].startswith(got[server])
        link.healed = world.now >= heals_at
        progress = before != (sum(sent.values()), sum(map(len, got.values())))
        assert world.step() or progress, "nothing more will ever happen"
        assert world.now < heals_at + 3600 * SECOND
    link.healed = True
    world.close(client)
    world.close(server)
    world.run_for(300 * SECOND)
    for host in (world.a, world.b):
        assert list(host.tcp.connections) == []
        assert list(host.timers.armed()) == []
