"""A short text that leaves in one pass leaves as by the user call, the flush and the layers."""

from __future__ import annotations

from socket import MSG_EOR, MSG_MORE, MSG_OOB

import pytest
from hypothesis import event, given, settings, strategies as st

from tests.properties.scenarios import End, Meeting, Road, Scenario, Settings, Side, Write
from tests.properties.test_express_lane import LONG_ROADS, check

pytestmark = pytest.mark.slow


def test_texts_with_nothing_before_them_leave_at_once() -> None:
    side = Side([Write(10)] * 20, 100, End.HALF_CLOSE, [100], 0, None, {"TCP_NODELAY": 1})
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(0, 0, False, side, side)]
    history = check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))
    assert history.short_texts >= 2 * 18


SHORT_WRITES = st.builds(
    Write,
    size=st.sampled_from([1, 10, 100, 535, 536, 537, 1447, 1448, 1449, 3000]),
    flags=st.sampled_from([0, 0, 0, 0, 0, 0, MSG_MORE, MSG_OOB, MSG_EOR]),
    then=st.none()
    | st.sampled_from(
        [
            ("TCP_NODELAY", 1),
            ("TCP_CORK", 1),
            ("TCP_CORK", 0),
            ("IP_TTL", 10),
            ("IP_TOS", 16),
            ("SO_SNDBUF", 1000),
            ("TCP_QUICKACK", 1),
        ]
    ),
)
TALKERS = st.builds(
    Side,
    writes=st.lists(SHORT_WRITES, min_size=3, max_size=25),
    write_pause=st.sampled_from([0, 1, 3, 20, 50, 70, 300, 700]),
    end=st.just(End.HALF_CLOSE),
    reads=st.lists(st.sampled_from([100_000, 100, 1]), min_size=1, max_size=2),
    read_pause=st.sampled_from([0, 0, 0, 1, 30]),
    stops_after=st.none(),
    options=st.fixed_dictionaries(
        {},
        optional={
            "TCP_NODELAY": st.just(1),
            "SO_RCVBUF": st.sampled_from([1024, 10_000, 1_000_000]),
            "TCP_CONGESTION": st.sampled_from([b"reno", b"cubic"]),
            "TCP_MAXSEG": st.sampled_from([536, 1000]),
            "TCP_NOTSENT_LOWAT": st.sampled_from([1, 4000]),
            "SO_KEEPALIVE": st.just(1),
        },
    ),
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "tcp_slow_start_after_idle": st.just(False),
        "tcp_early_retrans": st.just(0),
        "tcp_sack": st.just(False),
        "tcp_window_scaling": st.just(False),
        "tcp_initial_cwnd": st.sampled_from([1, 2]),
    },
)


@settings(max_examples=25)
@given(LONG_ROADS, LONG_ROADS, TALKERS, TALKERS, st.tuples(CONFIGS, CONFIGS))
def test_a_short_text_leaves_as_by_the_layers(
    there: Road, back: Road, client: Side, server: Side, configs: tuple[Settings, Settings]
) -> None:
    meetings = [Meeting(0, 0, False, client, server)]
    roads = there, back
    history = check(Scenario(1, "one link", 1500, 576, roads, [], 10_000, configs, meetings))
    event(f"short texts: {min(history.short_texts, 5)}")
