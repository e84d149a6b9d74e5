"""A report shows what differs where it stands, and counts as the script does."""

import pytest

from tapstack.drill.language.syntax import Position, Script
from tapstack.drill.reports.alignment import align
from tapstack.drill.reports.failure import Difference, Failure, Happening
from tapstack.drill.reports.report import report_failure, report_mistake

PLACE = Position(1, 1)


def aligned(expected: str, actual: str, *differences: tuple[str, str, str]) -> list[str]:
    return list(align(expected, actual, [Difference(*each) for each in differences]))


def test_fields_stand_below_each_other() -> None:
    assert aligned(
        "[ect0] SE. 0:0(0) ack 1 <mss 1460>",
        "[noecn] S. 0:0(0) ack 1 win 64240 <mss 1460>",
        ("ecn", "ect0", "noecn"),
        ("flags", "SE.", "S."),
    ) == [
        "expected  [ect0]  SE. 0:0(0) ack 1           <mss 1460>",
        "actual    [noecn] S.  0:0(0) ack 1 win 64240 <mss 1460>",
        "           ^^^^^  ^^",
    ]


@pytest.mark.parametrize(
    ("difference", "marked"),
    [
        (("flags", ".", "P."), "P."),
        (("seq", "2", "1"), "1"),
        (("length", "9", "10"), "10"),
        (("ack", "2", "11"), "11"),
        (("win", "1", "257"), "257"),
        (("time", "0.1", "0.2"), ""),
    ],
)
def test_the_value_that_differs_is_marked(difference: tuple[str, str, str], marked: str) -> None:
    wanted, came = ". 2:11(9) ack 2 win 1", "P. 1:11(10) ack 11 win 257"
    _, actual, *marks = aligned(wanted, came, difference)
    places = [at for at, mark in enumerate("".join(marks)) if mark == "^"]
    assert "".join(actual[at] for at in places) == marked
    if difference[0] == "length":
        assert actual[places[0] - 1] == "("


@pytest.mark.parametrize(
    ("wanted", "came", "marked"),
    [
        ("<mss 1460,nop,wscale 7>", "<mss 1460,nop,wscale 8>", "wscale 8"),
        ("<mss 1460,nop,wscale 7>", "<mss 1460,sackOK,TS val 1 ecr 2,nop,wscale 7>", "sackOKTS"),
        ("<mss 1460,sackOK>", "<mss 1460>", ">"),
        ("<nop,nop,sack 1:2>", "<nop,sack 1:2>", "<"),
    ],
)
def test_options_are_marked_one_by_one(wanted: str, came: str, marked: str) -> None:
    difference = ("options", wanted, came)
    _, actual, marks = aligned(f"S 0:0(0) {wanted}", f"S 0:0(0) {came}", difference)
    shown = "".join(word for word, mark in zip(actual, marks, strict=False) if mark == "^")
    assert shown.startswith(marked)


def test_what_is_no_segment_is_shown_as_it_is() -> None:
    assert aligned("udp (10)", "udp (11)", ("length", "10", "11")) == [
        "expected  udp (10)",
        "actual    udp (11)",
        "               ^^",
    ]
    assert aligned("", "one\ntwo") == ["actual    one", "          two"]


CONNECTION = (
    "tcp ESTAB 0 10 192.168.0.1:8080 192.0.2.1:53055\n"
    "\t SND.UNA:3958893243 SND.NXT:3958893253 SND.WND:1000 SND.WL1:1 SND.WL2:3958893243 "
    "ISS:3958893242 RCV.NXT:5 RCV.WND:64240 IRS:4294967295 cubic rto:300"
)


def test_sequence_numbers_count_from_the_first_as_in_the_script() -> None:
    history = tuple(Happening(each, ">", f"event {each}", "", PLACE) for each in range(20))
    failure = Failure(PLACE, "no", connections=CONNECTION, history=history, hint="Try again.")
    lines = report_failure(Script("x.pkt", "text", (), None, (), None), failure).splitlines()
    assert lines[:2] == ["x.pkt:1: no", "     1 | text"]
    assert lines[3] == "The last events (8 before them):"
    assert lines[4].endswith("> event 8")
    assert lines[-1] == "Try again."
    shown = " ".join(lines)
    assert "SND.UNA:1 SND.NXT:11 SND.WND:1000 SND.WL1:2 SND.WL2:1 " in shown
    assert "RCV.NXT:6 RCV.WND:64240 cubic rto:300" in shown
    assert max(map(len, lines)) <= 100


def test_a_mistake_is_marked_under_tabs_too() -> None:
    assert report_mistake("x.pkt", "\tab cd\n", "no", Position(1, 5)).splitlines() == [
        "x.pkt:1:5: no",
        "     1 | \tab cd",
        "         \t   ^",
    ]
    assert report_mistake("x.pkt", "text", "no", Position(0, 0)) == "x.pkt: no"


def test_only_a_newline_ends_a_line() -> None:
    text = "// a page\f ends, \x85 and so on\r\n0 f() = x\r\n"
    shown = report_mistake("a.pkt", text, "wrong", Position(2, 9))
    assert shown == "a.pkt:2:9: wrong\n     2 | 0 f() = x\n                 ^"
