"""How a profile is divided among the layers."""

import pytest

from bench.layers import FLOWS, ROWS, Edge, gauge, layers_of, spread, table
from tapstack.arp.cache import NeighbourCache
from tapstack.base.checksum import checksum
from tapstack.eth.protocol import Ethernet
from tapstack.stack import Stack

RECEIVE = Stack.receive.__code__
UP, DOWN = Ethernet.receive.__code__, Ethernet.send_frame.__code__
SUM = checksum.__code__


def test_a_layer_is_told_by_the_room_and_a_direction_by_the_name() -> None:
    functions = [UP, DOWN, RECEIVE]
    shares = spread(functions, {code: [] for code in functions})
    assert shares[UP]["Ethernet in"] == 1.0
    assert shares[DOWN]["Ethernet out"] == 1.0
    assert shares[RECEIVE] == {"door": 1.0}


def test_what_is_called_on_the_way_out_is_part_of_it() -> None:
    arms = NeighbourCache.find.__code__
    shares = spread([arms, DOWN], {arms: [Edge(DOWN, 3, 1.0), Edge(UP, 1, 9.0)], DOWN: []})
    assert shares[arms] == {"Ethernet out": 0.75, "Ethernet in": 0.25}


def test_what_has_no_layer_counts_for_its_callers() -> None:
    above = [Edge(UP, 5, 3.0), Edge(DOWN, 5, 1.0)]
    shares = spread([UP, DOWN, SUM], {UP: [], DOWN: [], SUM: above})
    assert shares[SUM]["Ethernet in"] == pytest.approx(0.75)
    assert shares[SUM]["Ethernet out"] == pytest.approx(0.25)


@pytest.mark.parametrize("name", FLOWS)
def test_every_layer_has_its_part_of_a_flow(name: str) -> None:
    flow, _ = FLOWS[name]
    layers = layers_of(flow, 3, gauge())
    assert set(layers) <= set(ROWS)
    assert all(cost >= 0 for cost in layers.values())
    assert min(layers["TCP in"], layers["TCP out"], layers["device"]) > 0


def test_the_table_has_a_row_a_layer_and_their_sum() -> None:
    lines = table({"echo": {"door": 1.0, "TCP in": 2.5}}).splitlines()
    assert "| TCP in | 2.5 |" in lines
    assert lines[-1] == "| all | **3.5** |"
