"""Scripts are tests of pytest where that is asked for, and nowhere else."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.drill.test_drill_program import FAILING, PASSING, UNREADABLE, UNSUPPORTED, write

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
NOT_LIVE = "// Waits for an hour.\n// not live: an hour is long\n" + PASSING


def run_pytest(folder: Path, *words: str) -> tuple[int, str]:
    """Run pytest in a project of its own, in which every warning is an error."""
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    program = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider"]
    plugin = "tapstack.drill.pytest_plugin"
    done = subprocess.run(
        [*program, "-p", plugin, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "CI": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_without_its_option_the_plugin_does_nothing(tmp_path: Path) -> None:
    write(tmp_path, bad=FAILING)
    (tmp_path / "test_costs.py").write_text(
        "import sys\n\n\ndef test_costs() -> None:\n"
        "    loaded = {name for name in sys.modules if name.startswith('tapstack')}\n"
        "    assert loaded == {'tapstack', 'tapstack.drill', 'tapstack.drill.pytest_plugin'}\n"
    )
    status, out = run_pytest(tmp_path)
    assert status == 0, out
    assert "1 passed" in out


def test_scripts_are_collected_everywhere(tmp_path: Path) -> None:
    write(tmp_path, a__good=PASSING, a__other=UNSUPPORTED, b__bad=FAILING, b__none=UNREADABLE)
    status, out = run_pytest(tmp_path, "--drill", "-rA")
    assert status == 1
    assert "2 failed, 1 passed, 1 skipped" in out
    assert "PASSED a/good.pkt::good" in out
    assert "SKIPPED [1] a/other.pkt:1: unsupported: --ip_version=ipv6" in out
    assert "FAILED b/bad.pkt::bad - line 9: another packet was sent than the one expected" in out
    assert "FAILED b/none.pkt::none - line 8: there is no system call writ" in out


def test_a_script_that_hangs_fails_when_its_time_is_up(tmp_path: Path) -> None:
    write(tmp_path, endless=PASSING + "+0 %{\nwhile True: pass\n}%\n", good=PASSING)
    status, out = run_pytest(tmp_path, "--drill", "--drill-timeout", "0.5")
    assert status == 1
    assert "1 failed, 1 passed" in out
    assert "0.5 s of real time" in out


@pytest.mark.parametrize("wrong", ["0", "-1", "soon", "inf", "nan"])
def test_a_timeout_is_a_number_of_seconds(tmp_path: Path, wrong: str) -> None:
    words = ["-m", "pytest", "-p", "tapstack.drill.pytest_plugin", f"--drill-timeout={wrong}"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert done.returncode == 4
    assert f"argument --drill-timeout: '{wrong}' is not a number of seconds above 0" in done.stderr


def test_a_failure_shows_the_report_and_no_traceback(tmp_path: Path) -> None:
    write(tmp_path, bad=FAILING + "+0 %{ print('seen') }%\n")
    status, out = run_pytest(tmp_path, "--drill", "bad.pkt")
    assert status == 1
    begin = out.index("bad.pkt:9: another packet was sent")
    assert "expected  P. 1:11(10) ack 2" in out[begin:]
    assert "The sockets then:" in out[begin:]
    assert "pytest_plugin.py" not in out
    assert "Error" not in out


def test_what_a_script_prints_is_shown_with_its_failure(tmp_path: Path) -> None:
    code = "+0 %{ print('seen'); assert tcpi_unacked == 2 }%\n"
    write(tmp_path, bad=PASSING + code)
    out = run_pytest(tmp_path, "--drill")[1]
    assert re.search(r"Captured stdout call -+\nseen\n", out)
    assert "tcpi_unacked is 1" in out


def test_a_junit_file_has_them(tmp_path: Path) -> None:
    write(tmp_path, a__good=PASSING, a__bad=FAILING, a__other=UNSUPPORTED)
    run_pytest(tmp_path, "--drill", "--junitxml=results.xml")
    root = ElementTree.parse(tmp_path / "results.xml").getroot()
    cases = {str(case.get("name")): case for case in root.iter("testcase")}
    assert cases.keys() == {"good", "bad", "other"}
    (failure,) = cases["bad"]
    assert failure.get("message") == "line 9: another packet was sent than the one expected"
    assert "P. 1:11(10) ack 2" in str(failure.text)
    assert [each.tag for each in cases["other"]] == ["skipped"]


def test_a_process_that_dies_fails_its_script_alone(tmp_path: Path) -> None:
    write(tmp_path, a=PASSING + "+0 %{ import os; os._exit(7) }%\n", b=PASSING)
    status, out = run_pytest(tmp_path, "--drill")
    assert status == 1
    assert "1 failed, 1 passed" in out
    assert "the process that played it ended with status 7" in out


def test_a_script_may_say_that_it_is_not_for_a_kernel(tmp_path: Path) -> None:
    write(tmp_path, long=NOT_LIVE)
    status, out = run_pytest(tmp_path, "--drill-live", "-rs")
    assert status == 0, out
    assert "SKIPPED [1] long.pkt:1: not live: an hour is long" in out
    assert "1 passed" in run_pytest(tmp_path, "--drill")[1]


@pytest.mark.skipif(find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_workers_of_xdist_play_them_too(tmp_path: Path) -> None:
    write(tmp_path, a=PASSING, b=FAILING, c=UNSUPPORTED, d=PASSING)
    status, out = run_pytest(tmp_path, "--drill", "-n2")
    assert status == 1
    assert "1 failed, 2 passed, 1 skipped" in out
    assert "b.pkt:9: another packet was sent than the one expected" in out
