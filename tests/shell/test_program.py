"""The programs among what their users do to their descriptors: closed, full, read by nobody."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tapstack.shell.session import PROMPT

UP = "tapstack up --dev none"


INTERRUPTS = """
import os, signal, sys, weakref

class Impatient:
    def find_spec(self, name, *_):
        if name == os.environ["INTERRUPTED_AT"]:
            watched = type("Watched", (), {})()
            weakref.finalize(watched, signal.raise_signal, signal.SIGINT)  # errors are lost in it
            del watched

sys.meta_path.insert(0, Impatient())
"""
"""A sitecustomize: Ctrl-C as the import of a module begins."""


def run_line(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the user's shell; it may take its time, but not for ever."""
    scripts = sysconfig.get_path("scripts")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"PATH={scripts}:$PATH; {line}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_closed_input_is_an_empty_one() -> None:
    program = run_line(f"{UP} <&-")
    assert program.returncode == 0, program.stderr
    assert program.stderr.endswith(f"{PROMPT}\n")


def test_a_closed_output_swallows_what_is_written() -> None:
    program = run_line(f"{UP} -c 'ping -c 1 127.0.0.1' >&-")
    assert program.returncode == 0, program.stderr
    assert program.stderr.splitlines()[-1].startswith("threads: "), "it is the announcement's end"


def test_a_closed_error_output_takes_nothing_from_the_output() -> None:
    program = run_line(f"{UP} -c 'ping -c 1 127.0.0.1' 2>&-")
    assert program.returncode == 0
    assert program.stdout.startswith("PING 127.0.0.1")
    assert program.stderr == ""


def test_no_file_of_ours_passes_for_a_closed_one() -> None:
    look = "import os; from tapstack.shell.program import open_standard_files as see_to_it;"
    look += "see_to_it(); show = os.fdopen(3, 'w');"
    look += "print(*(os.readlink(f'/proc/self/fd/{n}') for n in range(3)), file=show)"
    program = run_line(f'{sys.executable} -c "{look}" 3>&1 <&- >&- 2>&-')
    assert program.stdout == "/dev/null /dev/null /dev/null\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "program", ["tapstack --help", "tapstack", "tapstack --version", "snc -h", "tapstack snc -h"]
)
def test_an_output_that_takes_nothing_is_told_in_one_sentence(
    program: str, unbuffered: str
) -> None:
    ended = run_line(f"PYTHONUNBUFFERED={unbuffered} {program} > /dev/full")
    assert ended.returncode == 1
    assert ended.stderr == f"{program.split()[0]}: No space left on device\n"


def test_a_command_whose_help_cannot_be_shown_says_so() -> None:
    ended = run_line(f"{UP} -c 'ping -h' > /dev/full")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "ping: No space left on device"


def test_an_error_output_that_takes_nothing_brings_nothing_to_the_output() -> None:
    ended = run_line(f"{UP} -c route 2> /dev/full")
    assert (ended.returncode, ended.stdout) == (1, "")


def test_nobody_reading_the_output_is_no_cause_for_complaint() -> None:
    ended = run_line(f"{UP} -c help -c help | true")
    assert ended.returncode == 0
    assert ended.stderr.splitlines()[-1].startswith("threads: "), "it is the announcement's end"


def test_debugging_ends_with_its_reader_though_nothing_happens() -> None:
    ended = run_line(f"{UP} -c 'debug all' -c 'ping 127.0.0.1' | true")
    assert ended.returncode == 0
    assert ended.stderr.splitlines()[-1].startswith("threads: "), "it is the announcement's end"


@pytest.mark.parametrize(
    ("program", "module"),
    [
        ("tapstack", "tapstack.shell.command_line"),
        ("tapstack", "click"),
        ("tapstack", "tapstack.shell.program"),
        (UP, "tapstack.shell.up"),
        ("tapstack drill tests/drill", "tapstack.drill.command_line"),
        ("tapstack drill tests/drill", "tapstack.drill.program"),
        ("tapstack snc -h", "tapstack.shell.snc_options"),
        ("snc -h", "tapstack.shell.program"),
        ("snc -h", "tapstack.shell.command"),
        ("TAPSTACK_DEV=none snc -l 1", "tapstack.stack"),
    ],
)
def test_ctrl_c_ends_a_program_quietly_while_it_is_loaded(
    tmp_path: Path, program: str, module: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    surroundings = f"export INTERRUPTED_AT={module} PYTHONPATH={tmp_path}:$PYTHONPATH"
    ended = run_line(f"{surroundings}; {program}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_ctrl_c_that_is_ignored_does_not_end_a_program_that_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    surroundings = f"export INTERRUPTED_AT=click PYTHONPATH={tmp_path}:$PYTHONPATH; trap '' INT"
    ended = run_line(f"{surroundings}; tapstack --version")
    assert (ended.returncode, ended.stderr) == (0, "")
