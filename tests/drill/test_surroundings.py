"""Commands of scripts: a real `sh`, real programs and files, and a simulated stack around them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tapstack.base.units import MILLISECOND, MINUTE, SECOND
from tapstack.drill.surroundings.programs import PROGRAMS
from tapstack.drill.surroundings.shell import KILLED, CommandShell
from tapstack.drill.surroundings.simple import read_simple
from tapstack.drill.surroundings.surroundings import Surroundings
from tapstack.sim import World
from tests.drill.command_bench import Bench, bench, has_files, needs_namespaces

__all__ = ["bench"]  # a fixture

# --- plain commands -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "status", "output"),
    [
        ("", 0, ""),
        ("echo finish", 0, "finish\n"),
        ("exit 3", 3, ""),
        ("false", 1, ""),
        ("false; true", 0, ""),
        ("echo out; echo err >&2; echo more", 0, "out\nerr\nmore\n"),
        ("printf 'no end of line'", 0, "no end of line"),
        ("printf 'a\\nb'\ncat", 0, "a\nb"),
        ('echo "it\'s" \'a "b"\' $((1 + 2))', 0, 'it\'s a "b" 3\n'),
        ("echo é; printf '\\377'", 0, "é\n\N{REPLACEMENT CHARACTER}"),
        ("x=1; export x; sh -c 'echo $x'", 0, "1\n"),
        ("set -e; false; echo not reached", 1, ""),
    ],
)
def test_a_command_is_run_as_by_sh(bench: Bench, command: str, status: int, output: str) -> None:
    assert bench.run(command) == (status, output)


def test_what_sh_cannot_read_fails(bench: Bench) -> None:
    shell = bench.run("echo 'never closed")
    assert shell.status == 2
    assert "Unterminated quoted string" in shell.output or "unexpected EOF" in shell.output
    assert bench.run("no-such-program-anywhere").status == 127


def test_a_command_runs_in_the_directory_of_its_script(bench: Bench) -> None:
    (bench.directory / "helper.sh").write_text("#!/bin/sh\nsysctl -q net.ipv4.tcp_sack=$1\npwd\n")
    (bench.directory / "helper.sh").chmod(0o755)
    assert bench.run("./helper.sh 0") == (0, f"{bench.directory}\n")
    assert bench.get("net.ipv4.tcp_sack") == "0"


@pytest.mark.parametrize("name", ["python", "python3"])
def test_helpers_in_python_run_where_the_system_has_none_of_that_name(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = bench.directory / "helper.py"
    helper.write_text(f"#!/usr/bin/env {name}\nimport sys\nprint(sys.executable, *sys.argv[1:])\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(bench.directory))
    shell = CommandShell(PROGRAMS)
    try:
        outcome = shell.run("./helper.py 'a b'", bench.directory, bench.surroundings)
    finally:
        shell.close()
    assert outcome == (0, f"{sys.executable} a b\n")


def test_commands_leave_each_other_alone(bench: Bench) -> None:
    bench.run("cd /; x=1; trap 'echo trapped' EXIT; exec 2>/dev/null; umask 777")
    assert bench.run("pwd; echo ${x-unset}; echo err >&2") == (
        0,
        f"{bench.directory}\nunset\nerr\n",
    )


def test_a_script_is_told_who_plays_it(bench: Bench) -> None:
    pid = os.getpid()
    assert bench.run("echo $PPID $PACKETDRILL_PID").output == f"{pid} {pid}\n"


def test_a_background_process_does_not_hold_its_command_up(bench: Bench) -> None:
    assert bench.run("/bin/sh -c 'read x </dev/tty; exit' >/dev/null 2>&1 & echo on") == (0, "on\n")


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "true; "])  # by ourselves, and through sh
def test_sysctl_acts_on_the_stack(bench: Bench, prefix: str) -> None:
    assert bench.run(f"{prefix}sysctl -q net.ipv4.tcp_sack=0") == (0, "")
    assert bench.get("net.ipv4.tcp_sack") == "0"
    assert bench.run(f"{prefix}sysctl net.ipv4.tcp_sack").output == "net.ipv4.tcp_sack = 0\n"
    wish = 'sysctl -w net.ipv4.tcp_rmem="4096 540000 15728640" net.ipv4.tcp_ecn=0'
    assert bench.run(prefix + wish).output == (
        "net.ipv4.tcp_rmem = 4096 540000 15728640\nnet.ipv4.tcp_ecn = 0\n"
    )
    assert bench.get("net.ipv4.tcp_rmem") == "4096\t540000\t15728640"


@pytest.mark.parametrize("prefix", ["", "true; "])
def test_sysctl_fails_loudly(bench: Bench, prefix: str) -> None:
    assert bench.run(f"{prefix}sysctl -q net.ipv4.tcp_no_such=1") == (
        1,
        "sysctl: cannot stat /proc/sys/net/ipv4/tcp_no_such: No such file or directory\n",
    )
    assert bench.run(f"{prefix}sysctl net.ipv4.tcp_ecn=7") == (
        1,
        'sysctl: setting key "net.ipv4.tcp_ecn": Invalid argument\n',
    )
    assert bench.run(f"{prefix}sysctl -z").status == 1


def test_what_has_no_effect_is_kept_and_listed(bench: Bench) -> None:
    assert bench.surroundings.inert_used == {}
    assert bench.run("sysctl -q net.ipv4.tcp_limit_output_bytes=150").status == 0
    assert bench.run("sysctl -n net.ipv4.tcp_limit_output_bytes").output == "150\n"
    assert list(bench.surroundings.inert_used) == ["net.ipv4.tcp_limit_output_bytes"]
    with World() as world:
        world.link(world.host("a"), world.host("b"))
        other = Bench(world.hosts["a"], bench.directory)
        assert other.run("true; sysctl -n net.ipv4.tcp_limit_output_bytes").output == "4194304\n"
        assert other.surroundings.inert_used == {}


def test_standard_error_is_apart(bench: Bench) -> None:
    assert bench.run("sysctl net.ipv4.foo net.ipv4.tcp_sack 2>/dev/null") == (
        1,
        "net.ipv4.tcp_sack = 1\n",
    )


def test_long_answers_and_pipes(bench: Bench) -> None:
    assert int(bench.run("sysctl -a | wc -l").output) > 700
    out = bench.run("sysctl -a 2>&1 | grep -c '^net.ipv4.tcp_sack = 1$'").output
    assert out == "1\n"


@pytest.mark.parametrize(
    "command",
    [
        "sysctl -q -p - <<END\n%s\nEND",
        "echo '%s' | sysctl -q -p /dev/stdin",
        "bash -c 'sysctl -q -p - <<<\"%s\"'",
        "env sysctl -p - >/dev/null <<END\n%s\nEND",
        "{ sysctl net.ipv4.tcp_ecn; echo '%s'; } | sysctl -q -p -",  # and both are ours
    ],
)
def test_settings_come_from_standard_input(bench: Bench, command: str) -> None:
    wanted = "# two settings\nnet.ipv4.tcp_sack = 0\nnet.ipv4.tcp_rmem=4096 5000 6000"
    assert bench.run(command % wanted) == (0, "")
    assert bench.get("net.ipv4.tcp_sack") == "0"
    assert bench.get("net.ipv4.tcp_rmem") == "4096\t5000\t6000"


def test_programs_at_the_same_time_get_their_own_answers(bench: Bench) -> None:
    names = [f"net.ipv4.tcp_{name}" for name in ("sack", "rmem", "ecn", "retries2", "wmem")] * 4
    command = " & ".join(f"sysctl {name}" for name in names) + " & wait"
    lines = bench.run(command).output.splitlines()
    assert sorted(lines) == sorted(f"{name} = {bench.get(name)}" for name in names)


@needs_namespaces
@pytest.mark.parametrize("program", ["/sbin/sysctl", "/usr/sbin/sysctl"])
def test_absolute_paths_are_ours_too(bench: Bench, program: str) -> None:
    if not os.path.exists(program):
        pytest.skip("is not there")
    assert bench.run(f"{program} -q net.ipv4.tcp_sack=0").status == 0
    assert bench.get("net.ipv4.tcp_sack") == "0"


# --- files --------------------------------------------------------------------------------------

SACK = "/proc/sys/net/ipv4/tcp_sack"


@needs_namespaces
def test_files_say_what_the_stack_has(bench: Bench) -> None:
    bench.set("net.ipv4.tcp_rmem", "4096 5000 6000")
    assert bench.run("cat /proc/sys/net/ipv4/tcp_rmem").output == "4096\t5000\t6000\n"
    assert bench.run(f"cat {SACK}; sysctl -q net.ipv4.tcp_sack=0; cat {SACK}").output == "1\n0\n"
    assert bench.run(f"sysctl -q net.ipv4.tcp_sack=1; cat {SACK}").output == "1\n"


@needs_namespaces
def test_what_is_written_to_files_counts(bench: Bench) -> None:
    assert bench.run(f"echo 0 > {SACK}; sysctl -n net.ipv4.tcp_sack") == (0, "0\n")
    assert bench.run(f"echo 1 > {SACK}") == (0, "")
    assert bench.get("net.ipv4.tcp_sack") == "1"
    program = f"""{sys.executable} -c "open('{SACK}', 'w').write('0')" """
    assert bench.run(program) == (0, "")
    assert bench.get("net.ipv4.tcp_sack") == "0"


@needs_namespaces
def test_what_is_appended_to_files_takes_the_place_of_what_they_say(bench: Bench) -> None:
    assert bench.run(f"echo 0 >> {SACK}; sysctl -n net.ipv4.tcp_sack; cat {SACK}") == (0, "0\n0\n")
    assert bench.run(f"printf 1 >> {SACK}") == (0, "")
    assert bench.run(f"cat {SACK}").output == "1\n"
    rmem = "/proc/sys/net/ipv4/tcp_rmem"
    assert bench.run(f"echo 4096 5000 6000 >> {rmem}").status == 0
    assert bench.get("net.ipv4.tcp_rmem") == "4096\t5000\t6000"


@needs_namespaces
def test_what_cannot_be_is_refused_at_files_too(bench: Bench) -> None:
    shell = bench.run("echo 7 > /proc/sys/net/ipv4/tcp_ecn")
    assert shell == (1, "ipv4/tcp_ecn: 7: Invalid argument\n")
    assert bench.run("cat /proc/sys/net/ipv4/tcp_ecn").output == "2\n"
    assert bench.run("echo 1 > /proc/sys/net/ipv4/tcp_foo").status == 1
    assert bench.run("cat /proc/sys/net/ipv4/tcp_foo").status == 1


@needs_namespaces
def test_the_real_system_is_out_of_reach(bench: Bench) -> None:
    panic = Path("/proc/sys/kernel/panic")
    before = panic.read_text(), Path(SACK).read_text()
    assert bench.run(f"echo 77 > {panic}").status != 0
    bench.run(f"echo {1 - int(before[1])} > {SACK}")
    assert (panic.read_text(), Path(SACK).read_text()) == before


def test_each_script_has_files_of_its_own(bench: Bench) -> None:
    bench.run("true; sysctl -q net.ipv4.tcp_sack=0")
    with World() as world:
        world.link(world.host("a"), world.host("b"))
        other = Bench(world.hosts["a"], bench.directory)
        assert other.run("true; sysctl -n net.ipv4.tcp_sack").output == "1\n"
        if has_files():
            assert other.run(f"cat {SACK}").output == "1\n"
            assert bench.run(f"cat {SACK}").output == "0\n"


# --- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "true; "])
def test_sleeping_lets_virtual_time_pass(bench: Bench, prefix: str) -> None:
    for words in ("10", "0.25", ".5s", "1m", "1 2m", "0"):
        assert bench.run(f"{prefix}sleep {words}") == (0, "")
    assert bench.run(f"{prefix}usleep 7") == (0, "")
    assert bench.slept == [
        *(10 * SECOND, 250 * MILLISECOND, 500 * MILLISECOND, MINUTE, SECOND + 2 * MINUTE, 0),
        7,
    ]


@pytest.mark.parametrize("words", ["", "1x", "-1", "infinity", "1e400", "٣"])
def test_sleep_takes_intervals_only(bench: Bench, words: str) -> None:
    shell = bench.run(f"sleep {words}")
    assert shell.status == 1
    assert shell.output.startswith("sleep: ")
    assert bench.slept == []


def test_what_takes_too_long_is_killed(bench: Bench) -> None:
    shell = CommandShell(PROGRAMS, patience=0.3)
    try:
        command = "echo begun; exec 3<>fifo; read x <&3"
        os.mkfifo(bench.directory / "fifo")
        outcome = shell.run(command, bench.directory, bench.surroundings)
        assert outcome.status == KILLED
        assert outcome.output == "begun\nkilled: it took more than 0.3 s of real time\n"
        after = shell.run("sysctl -n net.ipv4.tcp_sack", bench.directory, bench.surroundings)
        assert after == (0, "1\n")
    finally:
        shell.close()


def test_a_command_that_kills_the_shell_is_told_of(bench: Bench) -> None:
    assert bench.run("kill -9 $$") == (KILLED, "the command has killed the shell that ran it\n")
    assert bench.run("echo back") == (0, "back\n")


def test_an_error_of_ours_comes_through(bench: Bench) -> None:
    def fail(_: int) -> None:
        raise RuntimeError("the world stands still")

    surroundings = Surroundings(bench.host, bench.directory, fail)
    for command in ("sleep 1", "true; sleep 1"):
        with pytest.raises(RuntimeError, match="the world stands still"):
            surroundings.run(command)
    assert bench.run("true; sysctl -n net.ipv4.tcp_sack") == (0, "1\n")


# --- the end ------------------------------------------------------------------------------------

PROGRAM = """
import os, sys
from pathlib import Path
from tapstack.drill.surroundings.surroundings import Surroundings
from tapstack.sim import World
with World() as world:
    world.link(world.host("a"), world.host("b"))
    surroundings = Surroundings(world.hosts["a"], Path("/"), lambda _: None)
    assert surroundings.run("echo on").output == "on\\n"
    if sys.argv[1] == "fork" and os.fork() == 0:
        assert surroundings.run("echo $PPID").output == f"{os.getpid()}\\n"
        sys.exit()
    if sys.argv[1] == "fork":
        assert os.wait()[1] == 0
    elif sys.argv[1]:
        os.kill(os.getpid(), int(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("how", "status"), [("", 0), ("fork", 0), ("2", -2), ("15", -15), ("9", -9)]
)
def test_nothing_is_left_behind(how: str, status: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, how], stderr=subprocess.PIPE) as process:
        _, words = process.communicate()
    assert process.returncode == status, words
    folders = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    for _ in range(10**6):
        if not any(list(folder.glob(f"tapstack-{process.pid}-*")) for folder in folders):
            return
        os.sched_yield()
    pytest.fail("the folder is still there")


# --- without namespaces -------------------------------------------------------------------------

ALONE = """
import sys
from pathlib import Path
from tapstack.drill.surroundings.surroundings import Surroundings
from tapstack.sim import World
with World() as world:
    world.link(world.host("a"), world.host("b"))
    surroundings = Surroundings(world.hosts["a"], Path("/"), lambda _: None)
    for command in sys.argv[1:]:
        print(tuple(surroundings.run(command)))
"""
NO_NAMESPACES = "for x in user mnt net; do echo 0 > /proc/sys/user/max_${x}_namespaces; done; "


def play_alone(*commands: str, before: str) -> list[str]:
    """Run commands where no namespace can be had, having run something there before."""
    words = ["unshare", "-rmn", "sh", "-c", f'{before}exec "$@"', "sh"]
    done = subprocess.run(
        [*words, sys.executable, "-c", ALONE, *commands],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_namespaces
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_where_no_namespaces_can_be_had_programs_on_the_path_remain() -> None:
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys; "
    lines = play_alone(
        "true; sysctl -n net.ipv4.tcp_sack",
        f"cat {SACK}",
        "grep x /proc/net/tcp",
        before=NO_NAMESPACES + read_only,
    )
    assert lines[0] == "(0, '1\\n')"
    assert lines[1] == lines[2]
    assert lines[1].startswith("(1, \"the simulated stack's files cannot be had here: ")


@needs_namespaces
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_nothing_is_run_that_could_change_the_real_settings() -> None:
    lines = play_alone("sysctl -n net.ipv4.tcp_sack", "true", before=NO_NAMESPACES)
    assert lines[0] == "(0, '1\\n')"  # which needs no shell
    assert lines[1].startswith("(1, \"commands could change this system's own settings")


# --- what needs no shell ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "sysctl -q a=1",
        "a 'b c' \"d\"'e' \"\"",
        "a;b\nc && d;\n\n e f\t g",
        "a=b c",
        "  ",
        "a -x=%y,@z:+",
    ],
)
def test_simple_commands_mean_what_sh_makes_of_them(bench: Bench, command: str) -> None:
    commands = read_simple(command)
    assert commands is not None
    words = [word for each in commands for word in each.words]
    names = "abcdef" if command.strip() else ""
    functions = "".join(f"{n}() {{ printf '%s\\n' {n} \"$@\"; }}\n" for n in names)
    if command.startswith("sysctl"):
        functions = "sysctl() { printf '%s\\n' sysctl \"$@\"; }\n"
    if command != "a=b c":  # an assignment, which is no program of ours
        shell = bench.run(f"{functions}{{ :\n{command}\n}}")
        assert shell.output.splitlines() == words


@pytest.mark.parametrize(
    "command",
    [
        *("a $x", "a *", "a ?", "a ~", "a `b`", "a | b", "a & b", "a > b", "a < b", "a # b"),
        *("a \\b", "a 'b", 'a "$b"', "a (b)", "! a", "{ a; }", "a {b,c}", "a [b]", "a && ", "; a"),
        *("a ;; b", "a || b", "a \u00e9", "a\x0bb", "&& a", "a &&\nb"),
    ],
)
def test_what_a_shell_reads_otherwise_is_left_to_it(command: str) -> None:
    assert read_simple(command) is None


def test_the_rest_is_skipped_after_a_failure(bench: Bench) -> None:
    assert bench.run("sysctl -q net.x=1 && sleep 1; sleep 2").status == 0
    assert bench.slept == [2 * SECOND]
    assert bench.run("sleep 3 && sysctl -q net.x=1 && sleep 4").status == 1
    assert bench.slept == [2 * SECOND, 3 * SECOND]
