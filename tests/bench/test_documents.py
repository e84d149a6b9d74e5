"""What the bench has written is in place, and can be written again."""

from bench import layers, side_by_side
from bench.figures import document_table, from_json, replace_between
from bench.trials import KERNEL, TAPSTACK, TRIALS

FIGURES = from_json(side_by_side.LATEST.read_text())
DOCUMENT = side_by_side.DOCUMENT.read_text()


def test_the_latest_figures_are_those_of_the_document() -> None:
    assert f"\n{document_table(FIGURES)}\n{side_by_side.MARKERS[1]}\n" in DOCUMENT


def test_the_latest_figures_are_of_every_trial() -> None:
    measured = {(each.measure, each.peer) for each in FIGURES}
    assert measured >= {(trial.title, peer) for trial in TRIALS for peer in (KERNEL, TAPSTACK)}


def test_both_tables_can_be_written_anew() -> None:
    for markers in (layers.MARKERS, side_by_side.MARKERS):
        assert "| new |" in replace_between(DOCUMENT, *markers, "| new |")
