"""`tapstack drill`, run as users run it: what it says, where, and its exit status."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tapstack.capture.pcap import PcapReader

pytestmark = pytest.mark.slow  # each starts the program, and that its processes

ROOT = Path(__file__).parent.parent.parent
PROGRAM = [sys.executable, "-W", "error", "-c", "from tapstack.cli import main; main()", "drill"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

SERVER = """\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 4000 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
"""
LINES = SERVER.count("\n")
PASSING = SERVER + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n"
FAILING = PASSING.replace("1:11(10) ack 1", "1:11(10) ack 2")
UNSUPPORTED = "--ip_version=ipv6\n" + PASSING
UNREADABLE = PASSING.replace("write", "writ")
LATE = SERVER + "+0 write(4, ..., 10) = 10\n+.004 > P. 1:11(10) ack 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **scripts: str) -> None:
    for name, text in scripts.items():
        path = folder / f"{name.replace('__', '/')}.pkt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


class Done:
    """How a run of the program came out."""

    def __init__(self, *words: str, seconds: float = 30, under: Sequence[str] = ()) -> None:
        done = subprocess.run(
            [*under, *PROGRAM, *words],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            text=True,
        )
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


def outcome(*words: str) -> tuple[int, str, str]:
    done = Done(*words)
    return done.status, done.out, done.err


# --- one script -----------------------------------------------------------------------------------


def test_a_script_that_passes_is_silent(folder: Path) -> None:
    write(folder, good=PASSING)
    assert outcome("good.pkt") == (0, "", "")


def test_a_script_that_fails_is_reported(folder: Path) -> None:
    write(folder, bad=FAILING)
    done = Done("bad.pkt")
    assert (done.status, done.err) == (1, "")
    first, *rest = done.out.splitlines()
    assert first == f"bad.pkt:{LINES + 2}: another packet was sent than the one expected"
    assert rest[:4] == [
        "     9 | +0 > P. 1:11(10) ack 2",
        "    expected  P. 1:11(10) ack 2",
        "    actual    P. 1:11(10) ack 1 win 64240",
        "                              ^",
    ]
    assert "`tapstack drill -v bad.pkt`" in done.out
    assert "--pcap FILE" in done.out


def test_what_is_no_script_fails_at_its_place(folder: Path) -> None:
    write(folder, none=UNREADABLE)
    done = Done("none.pkt")
    assert done.status == 1
    assert done.out.startswith(f"none.pkt:{LINES + 1}:4: there is no system call writ; is write")


def test_what_is_unsupported_neither_passes_nor_fails(folder: Path) -> None:
    write(folder, other=UNSUPPORTED)
    done = Done("other.pkt")
    assert done.status == 3
    assert done.out.startswith("other.pkt:1:1: unsupported: --ip_version=ipv6\n")


def test_every_event_is_told_with_its_reason(folder: Path) -> None:
    commands = "`sysctl -q net.ipv4.tcp_mem='4096 8192 16384'`\n"
    write(folder, good=commands + PASSING + "+0 `echo done`\n")
    done = Done("-v", "good.pkt")
    assert done.status == 0
    told = [re.sub(r"^ *\d+ \| +", "", line) for line in done.out.splitlines()]
    assert told[1] == "0.000000   socket(..., SOCK_STREAM, IPPROTO_TCP) = 3"
    assert "0.000000 < S 0:0(0) win 4000 <mss 1000>" in told
    assert "0.100000 > P. 1:11(10) ack 1 win 64240   (new text)" in told
    assert told[-4:-2] == ["0.100000   `echo done`", "0.100000 | done"]
    assert told[-2].startswith("without effect: net.ipv4.tcp_mem (")
    assert re.fullmatch(r"good\.pkt: passed, in 0\.\d{3} s", told[-1])


def test_what_code_prints_is_shown(folder: Path) -> None:
    write(folder, good=PASSING + "+0 %{ print('cwnd', tcpi_snd_cwnd) }%\n")
    assert outcome("good.pkt") == (0, "cwnd 10\n", "")


def test_quiet_leaves_the_status_alone(folder: Path) -> None:
    write(folder, good=PASSING, bad=FAILING)
    assert outcome("-q", "bad.pkt") == (1, "", "")
    assert outcome("-q", "good.pkt", "bad.pkt") == (1, "", "")


def test_a_capture_can_be_read(folder: Path) -> None:
    write(folder, good=PASSING)
    assert outcome("--pcap", "wire.pcap", "good.pkt") == (0, "", "")
    with open("wire.pcap", "rb") as file:
        times = [record.time for record in PcapReader(file)]
    tenth = 100_000
    assert times == [0, 0, tenth, tenth, tenth], "SYN, SYN-ACK, ACK, text, the reset at the end"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--pcap", ("good.pkt: it cannot be played on the stack: ", "")),
        ("--junit", ("", "tapstack: ")),
    ],
)
def test_a_full_disk_is_told_by_the_name_of_the_file(
    folder: Path, option: str, told: tuple[str, str]
) -> None:
    write(folder, good=PASSING)
    done = Done(option, "/dev/full", "good.pkt")
    full = "/dev/full: No space left on device"
    told_out, told_err = (f"{begin}{full}" if begin else "" for begin in told)
    assert done.status == 1
    assert (done.out.split("\n")[0], done.err.rstrip("\n")) == (told_out, told_err)


def test_a_capture_that_ends_early_is_no_fault_of_the_tool(folder: Path) -> None:
    write(folder, good=PASSING)
    # No file may have more octets than so many, as on a disk that is full.
    under = ["env", "PYTHONDONTWRITEBYTECODE=1", "prlimit", "--fsize=30"]
    done = Done("--pcap", "wire.pcap", "good.pkt", under=under)
    assert (done.status, done.err) == (1, "")
    reason = "the packets cannot be written: wire.pcap: File too large"
    assert done.out.split("\n")[0] == f"good.pkt: {reason}"


# --- the options of the language ------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--tolerance_usecs=4000"],
        ["--tolerance_usecs", "4000", "-D", "UNUSED=1"],
        ["--dry_run"],
        ["--non_fatal=packet", "--mtu=1500"],
        ["--ip_version", "ipv4", "--speed", "10", "--debug", "--non_fatal", "packet,syscall"],
    ],
)
def test_options_override_those_of_the_script(folder: Path, words: list[str]) -> None:
    write(folder, late="--tolerance_usecs=3999\n" + LATE)
    assert outcome("late.pkt", *words) == (0, "", "")


def test_options_may_stand_anywhere(folder: Path) -> None:
    write(folder, late=LATE, good=PASSING)
    assert outcome("late.pkt")[0] == 1
    assert outcome("--tolerance_usecs=4000", "-q", "late.pkt", "-j1", "good.pkt")[0] == 0
    assert outcome("--linux-tolerance", "late.pkt") == (0, "", "")


def test_both_ends_may_be_of_one_network(folder: Path) -> None:
    write(folder, good=PASSING)
    ends = ["--local_ip=10.0.0.1", "--gateway_ip=10.0.0.1", "--netmask_ip=255.255.255.0"]
    assert outcome(*ends, "--remote_ip=10.0.0.2", "good.pkt") == (0, "", "")


def test_a_gateway_that_is_no_neighbour_is_told_of(folder: Path) -> None:
    write(folder, good=PASSING)
    done = Done("--local_ip=10.0.0.1", "--remote_ip=10.0.1.2", "good.pkt")
    assert done.status == 1
    why = "no route to 10.0.1.0/24 by the gateway 192.168.0.1: Network is unreachable"
    assert f"good.pkt: it cannot be played on the stack: {why}" in done.out


def test_what_is_defined_is_put_in_the_place_of_its_name(folder: Path) -> None:
    write(folder, good=PASSING.replace("= 10", "= COUNT"))
    assert outcome("-DCOUNT=10", "good.pkt") == (0, "", "")
    assert outcome("-D", "COUNT=11", "good.pkt")[0] == 1
    assert outcome("--define=COUNT=10", "good.pkt") == (0, "", "")


@pytest.mark.parametrize(
    "words",
    [
        ["--ip_version=ipv6"],
        ["--ip_version=ipv6", "--local_ip=2001:db8::1", "--remote_ip=2001:db8::2"],
        ["--gateway_ip=fe80::1", "--ip_version=ipv6"],
        ["--is_anyip"],
    ],
)
def test_an_unsupported_option_makes_scripts_unsupported(folder: Path, words: list[str]) -> None:
    write(folder, good=PASSING)
    said = f"good.pkt: unsupported: {words[0]}\n"
    assert outcome(*words, "good.pkt") == (3, said, "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none.pkt"], "there is no file none.pkt"),
        (["good.pkt", "none"], "there is no file none"),
        (["empty"], "there is no script (*.pkt) in empty or below"),
        ([], "say which scripts are to be played: files, or folders with *.pkt"),
        (["-v"], "say which scripts are to be played: files, or folders with *.pkt"),
        (["--mtv=1400", "good.pkt"], "there is no option --mtv; is --mtu meant?"),
        (["-z", "good.pkt"], "there is no option -z"),
        (["--mtu=x", "good.pkt"], "--mtu=x: this takes a number from 68 to 65535"),
        (["--mtu=67", "good.pkt"], "--mtu=67: this takes a number from 68 to 65535"),
        (["-D", "X", "good.pkt"], "--define=X: this takes SYMBOL=value"),
        (["--pcap=a", "good.pkt", "b.pkt"], "--pcap writes what one script does"),
        (["--pcap=no/a", "good.pkt"], "no/a cannot be written: No such file or directory"),
        (["--junit=no/a", "good.pkt"], "no/a cannot be written: No such file or directory"),
        (["--live", "--compare", "good.pkt"], "--compare plays on the kernel anyway"),
        (["-j", "0", "good.pkt"], "Invalid value for '-j'"),
        (["--timeout=0", "good.pkt"], "Invalid value for '--timeout'"),
    ],
)
def test_wrong_usage_is_told_in_one_sentence(folder: Path, words: list[str], sentence: str) -> None:
    write(folder, good=PASSING, b=PASSING)
    (folder / "empty").mkdir()
    status, out, err = outcome(*words)
    assert (status, out) == (2, "")
    assert err.startswith(f"tapstack: {sentence}")
    assert err.count("\n") == 1


def test_the_example_of_the_help_runs(folder: Path) -> None:
    shown = outcome("--help")[1].splitlines()
    begin = next(at for at, line in enumerate(shown) if line.startswith("      0   socket"))
    end = shown.index("", begin)
    write(folder, hello="\n".join(line[6:] for line in shown[begin:end]) + "\n")
    assert end - begin == 9
    assert outcome("hello.pkt") == (0, "", "")


# --- many scripts ---------------------------------------------------------------------------------


def test_folders_are_played_and_summed_up(folder: Path) -> None:
    write(folder, a__one=PASSING, a__two=FAILING, b__one=UNSUPPORTED, b__two=UNSUPPORTED)
    write(folder, b__three=UNREADABLE)
    (folder / "a" / "notes.txt").write_text("no script")
    done = Done(".")
    assert (done.status, done.err) == (1, "")
    assert "a/two.pkt:9: another packet" in done.out
    assert "b/three.pkt:8:4: there is no system call" in done.out
    summary = re.sub(r" +\d+\.\d\d s", " 0 s", done.out[done.out.index("   passed") :])
    assert summary.split("\n\nTo see more")[0].splitlines() == [
        "   passed  failed  unsupported       time",
        "a       1       1            - 0 s",
        "b       -       1            2 0 s",
        "",
        "Unsupported:",
        "     2  --ip_version=ipv6",
        "",
        "Failed:",
        "  a/two.pkt: line 9: another packet was sent than the one expected",
        "  b/three.pkt: line 8: there is no system call writ; is write meant?",
        "",
        "5 scripts: 1 passed, 2 failed, 2 unsupported, in 0 s",
    ]


def test_the_status_of_many_is_that_of_the_worst(folder: Path) -> None:
    write(folder, a=PASSING, b=PASSING, c=UNSUPPORTED)
    assert outcome("a.pkt", "b.pkt")[0] == 0
    assert outcome("a.pkt", "c.pkt")[0] == 3
    write(folder, b=FAILING)
    assert outcome(".")[0] == 1


def test_a_script_that_is_named_twice_is_played_once(folder: Path) -> None:
    write(folder, a=PASSING, b=PASSING)
    assert "2 scripts: 2 passed" in outcome("b.pkt", ".", "a.pkt")[1]


def test_the_output_is_the_same_however_many_at_once(folder: Path) -> None:
    slow = PASSING + "+0 `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo slow`\n"
    write(folder, a=slow, b=FAILING, c=PASSING + "+0 %{ print('c') }%\n", d=slow, e=FAILING)

    def told(jobs: str) -> str:
        return re.sub(r" +\d+\.\d+ s\b", " 0 s", Done("-v", "-j", jobs, ".").out)

    alone = told("1")
    assert alone == told("3") == told("8")
    heads = ["a.pkt:\n", "b.pkt:9: another", "c.pkt:\n", "c.pkt: passed", "d.pkt:\n", "e.pkt:9:"]
    places = [alone.index(head) for head in heads]
    assert places == sorted(places)


def test_results_are_written_for_a_ci_system(folder: Path) -> None:
    write(folder, a__one=PASSING, a__two=FAILING, b__one=UNSUPPORTED, b__two=UNREADABLE)
    broken = "+0 `printf '\\033\\001'; false`\n"
    write(folder, b__three=PASSING + broken)
    assert outcome("--junit", "results.xml", ".")[0] == 1
    root = ElementTree.parse("results.xml").getroot()
    totals = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert totals == {"tests": "5", "failures": "2", "errors": "1", "skipped": "1"}
    assert [suite.get("name") for suite in root] == ["a", "b"]
    cases = {str(case.get("file")): case for case in root.iter("testcase")}
    assert list(cases["a/one.pkt"]) == []
    (failure,) = cases["a/two.pkt"]
    assert (failure.tag, failure.get("message")) == (
        "failure",
        "line 9: another packet was sent than the one expected",
    )
    assert "P. 1:11(10) ack 2" in str(failure.text)
    assert [each.tag for each in cases["b/one.pkt"]] == ["skipped"]
    assert [each.tag for each in cases["b/two.pkt"]] == ["error"]
    assert "\N{REPLACEMENT CHARACTER}" in str(cases["b/three.pkt"][0].text)


def test_a_terminal_shows_how_far_it_is(folder: Path) -> None:
    write(folder, a=PASSING, b=FAILING)
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*PROGRAM, "a.pkt", "b.pkt"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=30,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 1
    assert "\r2 of 2 scripts, 1 failed" in shown
    assert shown.endswith("\r\x1b[K")


# --- what goes wrong ------------------------------------------------------------------------------

IN_SHELL = PASSING + "+0 `while :; do :; done`\n"
IN_PYTHON = PASSING + "+0 %{ while True: pass }%\n"
IN_C = PASSING + "+0 %{ import itertools; sum(itertools.repeat(0)) }%\n"


@pytest.mark.parametrize(
    ("endless", "words"),
    [
        (IN_SHELL, ":10: it takes more than 2 s of real time"),
        (IN_PYTHON, ":10: the code raises TimeUpError: it takes more than 2 s of real time"),
        (IN_C, ": it takes more than 2 s of real time, and was killed"),
    ],
)
def test_a_script_that_hangs_fails_and_does_not_stop_the_others(
    folder: Path, endless: str, words: str
) -> None:
    write(folder, a=PASSING, b=endless, c=PASSING)
    done = Done("-j1", "--timeout", "2", ".", seconds=20)
    assert done.status == 1
    assert f"b.pkt{words}" in done.out
    assert "3 scripts: 2 passed, 1 failed" in done.out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os._exit(7)", "ended with status 7"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by a signal: Killed"),
    ],
)
def test_a_process_that_dies_does_not_stop_the_others(folder: Path, code: str, words: str) -> None:
    write(folder, a=PASSING, b=PASSING + f"+0 %{{ {code} }}%\n", c=PASSING)
    done = Done("-j1", ".")
    assert (done.status, done.err) == (1, "")
    assert f"b.pkt: this is a bug in tapstack: the process that played it {words}" in done.out
    assert "3 scripts: 2 passed, 1 failed" in done.out


def test_our_own_mistake_is_told_with_its_traceback(folder: Path) -> None:
    spoil = "+0 %{ import tapstack.drill.playing.player as player; player.Player.play = None }%\n"
    write(folder, a=PASSING + spoil, b=PASSING, c=PASSING)
    done = Done("-j1", ".")
    assert (done.status, done.err) == (1, "")
    assert "b.pkt: this is a bug in tapstack" in done.out
    assert "Traceback (most recent call last):" in done.out
    assert "TypeError: 'NoneType' object is not callable" in done.out
    assert "3 scripts: 2 passed, 1 failed" in done.out, "what comes after has a new process"


@pytest.fixture
def hanging(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """The program, in the middle of a script that hangs; what it has printed ends with its pid."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it inherits what nohup has left us
    telling = PASSING + "+0 `echo $PACKETDRILL_PID`\n"
    write(folder, a=telling + "+0 `while :; do :; done`\n", b=PASSING)
    with subprocess.Popen(
        [*PROGRAM, "-v", "-j1", "a.pkt", "b.pkt"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        yield program
        program.kill()
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_everything_at_once(
    hanging: "subprocess.Popen[str]", number: signal.Signals, status: int
) -> None:
    assert hanging.stdout is not None
    line = next(line for line in hanging.stdout if re.search(r"\| \d+$", line))
    worker = int(line.split()[-1])
    os.kill(worker, 0)
    begun = time.monotonic()
    hanging.send_signal(number)
    out, err = hanging.communicate(timeout=10)
    assert hanging.returncode == status
    assert time.monotonic() - begun < 5
    assert (out, err.strip()) == ("", "")
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
