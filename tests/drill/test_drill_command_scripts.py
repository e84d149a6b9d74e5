"""Scripts about commands pass on the stack; the kernel holds them, too (tests/live)."""

from pathlib import Path

import pytest

from tapstack.drill.running import Manner, Verdict, run_file

SCRIPTS = sorted((Path(__file__).parent / "commands").glob("*.pkt"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_passes(script: Path) -> None:
    result = run_file(script, Manner())
    assert (result.verdict, result.report) == (Verdict.PASSED, "")
