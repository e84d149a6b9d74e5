"""Short texts that go to and fro are taken and read in one pass as the layers do it."""

from __future__ import annotations

from socket import MSG_MORE, MSG_OOB
from typing import Any

import pytest
from hypothesis import event, given, settings, strategies as st

from tapstack.sim import GIGABIT
from tests.properties.scenarios import CONFIGS, End, Meeting, Road, Scenario, Side, Write
from tests.properties.test_express_lane import check
from tests.properties.test_random_worlds import somebody_ends_first

pytestmark = pytest.mark.slow

TALKING_SIDES = st.builds(
    Side,
    writes=st.lists(
        st.builds(
            Write,
            size=st.integers(1, 200) | st.integers(1, 3000) | st.sampled_from([87, 88, 535, 536]),
            flags=st.sampled_from([0, 0, 0, 0, 0, MSG_MORE, MSG_OOB]),
            then=st.sampled_from([None, None, ("TCP_QUICKACK", 1), ("TCP_QUICKACK", 0)]),
        ),
        max_size=12,
    ),
    write_pause=st.sampled_from([1, 3, 7, 25, 50, 300, 1100]),
    end=st.sampled_from([End.WAIT, End.HALF_CLOSE]),
    reads=st.lists(st.sampled_from([100_000, 100_000, 100, 7]), min_size=1, max_size=3),
    read_pause=st.sampled_from([0, 0, 0, 2, 60]),
    stops_after=st.none(),
    options=st.fixed_dictionaries(
        {"TCP_NODELAY": st.booleans().map(int)},
        optional={
            "SO_KEEPALIVE": st.just(1),
            "SO_RCVLOWAT": st.sampled_from([5, 300]),
            "SO_RCVBUF": st.sampled_from([1024, 10_000, 60_000]),
            "SO_SNDBUF": st.sampled_from([1024, 100_000]),
            "TCP_WINDOW_CLAMP": st.sampled_from([1500, 10_000]),
            "TCP_CONGESTION": st.sampled_from([b"reno", b"cubic"]),
        },
    ),
)
TALKS = st.builds(
    Meeting,
    opens_at=st.integers(0, 20),
    link=st.just(0),
    simultaneous=st.just(False),
    client=TALKING_SIDES,
    server=TALKING_SIDES,
)


@settings(max_examples=25)
@given(
    rate=st.none() | st.just(GIGABIT),
    delay=st.sampled_from([0, 20, 300, 5000, 60_000]),
    loss=st.sampled_from([0, 0, 0.02]),
    configs=st.tuples(CONFIGS | st.just({}), CONFIGS | st.just({})),
    talks=st.lists(TALKS, min_size=1, max_size=3),
)
def test_a_talk_goes_as_the_layers_have_it(
    rate: int | None,
    delay: int,
    loss: float,
    configs: tuple[dict[str, Any], dict[str, Any]],
    talks: list[Meeting],
) -> None:
    road = Road(rate, delay, 0, ("drop tail", 1000), loss, None, (0, 1), 0, 0)
    world = Scenario(1, "one link", 1500, 576, (road, road), [], 3000, configs, talks)
    history = check(somebody_ends_first(world))
    event(f"exchanges and reads: {min(history.exchanges, 9)}, {min(history.reads, 9)}")
