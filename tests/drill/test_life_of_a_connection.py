"""The script of a connection's whole life holds: whatever is changed in it fails, at its line."""

from pathlib import Path

import pytest

from tapstack.drill.running import Manner, Verdict, run_file

SCRIPT = Path(__file__).with_name("life_of_a_connection.pkt")
MUTATIONS = [  # line, what stands there, what is put in its place: one character is another
    (5, "= 0", "= 1"),  # a result
    (8, "S.", "SP"),  # a flag
    (8, "ack 1", "ack 2"),  # the acknowledgment of a SYN
    (10, "accept(3", "accept(5"),  # a descriptor
    (12, "= 10", "= 11"),  # what write takes
    (13, "P.", "F."),
    (13, "+0", "+1"),  # a time
    (13, "ack 1", "ack 7"),
    (17, "ack 2", "ack 1"),  # the acknowledgment of a FIN
    (17, "11:11", "11:12"),  # a range that does not add up
    (18, "close(4)", "close(7)"),
    (19, "F.", "R."),
    (19, "ack 2", "ack 3"),
    (19, "+0", "+3"),
]


def test_it_passes_silently() -> None:
    result = run_file(SCRIPT, Manner())
    assert (result.verdict, result.report) == (Verdict.PASSED, "")


@pytest.mark.parametrize(("line", "there", "instead"), MUTATIONS)
def test_one_other_character_fails_at_its_line(
    tmp_path: Path, line: int, there: str, instead: str
) -> None:
    lines = SCRIPT.read_text().splitlines(keepends=True)
    assert there in lines[line - 1]
    assert sum(a != b for a, b in zip(there, instead, strict=True)) == 1
    lines[line - 1] = lines[line - 1].replace(there, instead, 1)
    mutant = tmp_path / SCRIPT.name
    mutant.write_text("".join(lines))
    result = run_file(mutant, Manner())
    assert result.verdict in (Verdict.FAILED, Verdict.UNREADABLE)
    assert result.report.startswith(f"{mutant}:{line}:"), result.report
