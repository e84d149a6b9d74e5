"""Scripts are tests that the Linux kernel can take, too."""

from pathlib import Path

import pytest

from tests.drill.test_drill_program import FAILING, PASSING, Done, write
from tests.drill.test_pytest_plugin import run_pytest

pytestmark = pytest.mark.usefixtures("able")


def test_the_kernel_is_tested_where_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, good=PASSING, bad=FAILING)
    status, out = run_pytest(tmp_path, "--drill-live")
    assert status == 1
    assert "1 failed, 1 passed" in out
    assert "bad.pkt:9: another packet was sent than the one expected" in out


def test_the_program_plays_on_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, good=PASSING, bad=FAILING)
    done = Done("--live", "good.pkt")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert Done("--live", "bad.pkt").status == 1
    done = Done("--compare", "good.pkt", "bad.pkt")
    assert done.status == 1, "both hosts do the same, and fail"
    assert "Linux fails alike." in done.out
    assert "2 scripts: 1 passed, 1 failed" in done.out


def test_a_live_script_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a=PASSING + "+0 `sleep 1000`\n", b=PASSING)
    done = Done("--live", "--timeout", "5", "-j1", ".")
    assert done.status == 1
    assert "a.pkt:10: it takes more than 5 s of real time" in done.out
    assert "2 scripts: 1 passed, 1 failed" in done.out
