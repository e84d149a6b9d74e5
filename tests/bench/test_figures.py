"""What the bench makes of its samples."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from bench.figures import (
    Figure,
    Samples,
    document_table,
    from_json,
    number,
    replace_between,
    screen_table,
    to_json,
)
from bench.picture import advantage, picture
from bench.trials import CEILING, KERNEL, RATE, TAPSTACK, TIME, TRIALS

KEYS = {"measure", "peer", "median", "min", "max", "unit", "ratio_to_kernel"}


def samples() -> Samples:
    taken = Samples()
    for in_round, kernel, tapstack in ((0, 40.0, 10.0), (1, 20.0, 8.0), (2, 30.0, 12.0)):
        taken.add("bulk", RATE, TAPSTACK, in_round, tapstack)
        taken.add("bulk", RATE, KERNEL, in_round, kernel)
    taken.add("round trip", TIME, TAPSTACK, 0, 50.0)
    return taken


def test_a_ratio_is_taken_within_each_round() -> None:
    bulk = {each.peer: each for each in samples().figures() if each.measure == "bulk"}
    assert bulk[TAPSTACK] == Figure("bulk", TAPSTACK, 10.0, 8.0, 12.0, RATE, 0.4)
    assert bulk[KERNEL].ratio_to_kernel == 1.0


def test_only_rounds_that_both_have_make_a_ratio() -> None:
    taken = samples()
    taken.add("bulk", RATE, TAPSTACK, 3, 1000.0)
    ours = taken.figures()[1]
    assert (ours.max, ours.ratio_to_kernel) == (1000.0, 0.4)


def test_without_the_kernel_there_is_no_ratio() -> None:
    assert samples().figures()[-1] == Figure("round trip", TAPSTACK, 50, 50, 50, TIME, None)


def test_a_trial_done_again_counts_once() -> None:
    taken = Samples()
    taken.add("bulk", RATE, KERNEL, 0, 1.0)
    taken.add("bulk", RATE, KERNEL, 0, 2.0)
    assert taken.figures() == [Figure("bulk", KERNEL, 2.0, 2.0, 2.0, RATE, 1.0)]


def test_the_kernel_comes_first() -> None:
    assert [each.peer for each in samples().figures()] == [KERNEL, TAPSTACK, TAPSTACK]


def test_json_is_a_list_of_objects_with_seven_keys() -> None:
    figures = samples().figures()
    objects = json.loads(to_json(figures))
    assert all(each.keys() == KEYS for each in objects)
    assert objects[-1]["ratio_to_kernel"] is None
    assert from_json(to_json(figures)) == figures


def test_json_has_four_digits() -> None:
    taken = Samples()
    taken.add("bulk", RATE, KERNEL, 0, 12.345678)
    assert json.loads(to_json(taken.figures()))[0]["median"] == 12.35


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (12345.6, "12,346"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.0123, "0.01"),
        (0.0005, "0.0005"),
        (0, "0.00"),
    ],
)
def test_numbers_have_about_three_digits(value: float, written: str) -> None:
    assert number(value) == written


def test_the_screen_shows_spread_and_ratio() -> None:
    lines = screen_table(samples().figures()).splitlines()
    row = next(line for line in lines if line.strip().startswith("tapstack"))
    assert row.split() == ["tapstack", "10.0", "8.00", "12.0", "0.40"]


def test_the_document_has_a_row_a_measure_and_a_column_a_peer() -> None:
    assert document_table(samples().figures()).splitlines() == [
        "| | kernel | tapstack |",
        "|---|---|---|",
        "| bulk, Gbit/s | 30.0 (20.0–40.0) | **0.40** · 10.0 (8.00–12.0) |",
        "| round trip, µs |  | 50.0 |",
    ]


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    document = "before\n<!-- a -->\nold\nolder\n<!-- b -->\nafter\n"
    new = replace_between(document, "<!-- a -->", "<!-- b -->", "new")
    assert new == "before\n<!-- a -->\nnew\n<!-- b -->\nafter\n"
    assert replace_between(new, "<!-- a -->", "<!-- b -->", "new") == new
    with pytest.raises(ValueError, match="no lines"):
        replace_between("before\n", "<!-- a -->", "<!-- b -->", "new")


def test_better_is_more_of_a_rate_and_less_of_a_time() -> None:
    assert advantage(Figure("bulk", TAPSTACK, 1, 1, 1, RATE, 0.5)) == 0.5
    assert advantage(Figure("round trip", TAPSTACK, 1, 1, 1, TIME, 4.0)) == 0.25


def test_the_picture_is_svg_with_a_bar_for_each_comparison() -> None:
    taken = samples()
    taken.add("bulk", RATE, CEILING, 0, 30.0)
    root = ElementTree.fromstring(picture(taken.figures(), "3 rounds <of> each"))
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["tapstack: 10.0 Gbit/s", "ceiling: 30.0 Gbit/s"]


def test_what_is_tried_has_names_of_its_own() -> None:
    titles = [each.title for each in TRIALS] + [each.cost for each in TRIALS if each.cost]
    assert len(set(titles)) == len(titles)
    assert all(KERNEL in each.peers for each in TRIALS)
