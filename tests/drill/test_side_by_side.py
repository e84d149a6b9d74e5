"""Two hosts that part are shown side by side, at the place where they do."""

from tapstack.base.units import MILLISECOND, Instant
from tapstack.drill.language.syntax import Position
from tapstack.drill.reports.failure import Difference, Failure, Happening
from tapstack.drill.reports.side_by_side import Played, compare_plays

SYN = "S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 7,nop,wscale 8>"
TEXT = "P. 1:1001(1000) ack 1"


def sent(text: str, milliseconds: float, line: int) -> Happening:
    instant: Instant = round(milliseconds * MILLISECOND)
    return Happening(instant, ">", text, "", Position(line, 1))


def played(
    host: str, history: list[Happening], failed_at: int | None = None, headline: str = "wrong"
) -> Played:
    failure = None if failed_at is None else Failure(Position(failed_at, 1), headline)
    return Played(host, history, failure)


def test_two_that_agree_have_nothing_to_show() -> None:
    ours = [sent(SYN, 0, 5), sent(TEXT, 200, 7)]
    theirs = [sent(SYN.replace("val 100", "val 4711"), 0.3, 5), sent(TEXT, 203, 7)]
    assert compare_plays(played("tapstack", ours), played("Linux", theirs)) == ""


def test_both_failing_alike_is_no_difference() -> None:
    history = [sent(SYN, 0, 5)]
    one, other = played("tapstack", history, 5), played("Linux", history, 5)
    assert compare_plays(one, other) == ""


def test_the_first_difference_is_shown_with_what_led_to_it() -> None:
    ours = [sent(SYN, 0, 5), sent("P. 1:501(500) ack 1", 200, 7), sent("F. 501:501(0)", 300, 8)]
    theirs = [sent(SYN, 0, 5), sent(TEXT, 200, 7), sent("F. 1001:1001(0)", 300, 8)]
    shown = compare_plays(played("tapstack", ours, 7), played("Linux", theirs)).splitlines()
    assert shown[:3] == ["tapstack fails at line 7: wrong", "Linux passes", ""]
    table = [[cell.rstrip() for cell in line.split("|")] for line in shown[3:]]
    assert table == [
        ["          tapstack", " Linux"],
        [f"       5      0.000000 > {SYN}", f"     0.000000 > {SYN}"],
        [">>     7      0.200000 > P. 1:501(500) ack 1", f"     0.200000 > {TEXT}"],
        [" " * 28 + "^" * 10, " " * 19 + "^" * 12],
    ]
    assert len({line.index("|") for line in shown[3:]}) == 1


def test_a_time_that_is_off_is_a_difference() -> None:
    one = played("tapstack", [sent(SYN, 0, 5), sent(TEXT, 200, 7)])
    other = played("Linux", [sent(SYN, 0, 5), sent(TEXT, 300, 7)])
    last, marks = compare_plays(one, other).splitlines()[-2:]
    assert last.startswith(">>     7      0.200000")
    assert marks.split() == ["^" * 12, "|", "^" * 12]


def test_one_that_says_nothing_differs() -> None:
    one = played("tapstack", [sent(SYN, 0, 5)], 7, "nothing was sent by 0.204000")
    other = played("Linux", [sent(SYN, 0, 5), sent(TEXT, 200, 7)])
    shown = compare_plays(one, other)
    assert "tapstack fails at line 7: nothing was sent by 0.204000" in shown
    assert shown.splitlines()[-1].startswith(">>     7  (nothing)")


def test_failing_otherwise_is_shown_even_where_the_packets_agree() -> None:
    history = [sent(SYN, 0, 5)]
    failure = Failure(Position(6, 1), "no", (Difference("result", "10", "-1"),))
    shown = compare_plays(Played("tapstack", history, failure), played("Linux", history))
    assert shown.startswith("tapstack fails at line 6: no\nLinux passes\n")
    assert ">>" not in shown


def test_a_window_is_looked_at_when_all_else_agrees() -> None:
    windows = [sent(f"{SYN} win 1", 0, 5), sent(TEXT, 200, 7)]
    one, other = played("tapstack", windows), played("Linux", [sent(f"{SYN} win 2", 0, 5)])
    other = other._replace(history=[*other.history, sent(TEXT, 200, 7)])
    assert ">>     5" in compare_plays(one, other)
    parted = other._replace(history=[other.history[0], sent("F. 1:1(0)", 200, 7)])
    assert ">>     7" in compare_plays(one, parted)


def test_a_failure_for_a_window_is_shown_where_it_is() -> None:
    one = played("tapstack", [sent(SYN, 0, 5), sent(f"{TEXT} win 1", 200, 7)], 7)
    history = [sent(SYN, 0, 5), sent(f"{TEXT} win 2", 200, 7), sent(TEXT, 300, 8)]
    assert ">>     7" in compare_plays(one, played("Linux", history))


def test_real_time_that_is_late_by_and_by_is_no_difference() -> None:
    ours = [sent(TEXT, 10 * each, each) for each in range(20)]
    theirs = [sent(TEXT, 11 * each, each) for each in range(20)]
    assert compare_plays(played("tapstack", ours), played("Linux", theirs)) == ""
