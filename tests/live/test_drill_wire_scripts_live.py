"""The Linux kernel plays the scripts about what is on the wire as the stack does."""

from pathlib import Path

import pytest

from tapstack.drill.running import Manner, Verdict
from tests.live.kernel_plays import play_on_kernel

pytestmark = pytest.mark.usefixtures("able")

FOLDER = Path(__file__).parents[1] / "drill"
SCRIPTS = sorted([*FOLDER.glob("packets/*.pkt"), *FOLDER.glob("commands/*.pkt")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_passes_on_linux(script: Path) -> None:
    result = play_on_kernel(script, Manner(live=True, linux_tolerance=True))
    assert (result.verdict, result.report) == (Verdict.PASSED, "")
