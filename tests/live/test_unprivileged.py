"""A user without rights gets a stack in a namespace of their own, or one clear sentence.

Root plays that user, in a mount namespace in which /dev/net/tun has the mode that the test wants.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.netns import HOST, PROGRAMS, SEARCH_PATH, Namespace, Process, script

pytestmark = pytest.mark.usefixtures("able")

NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all"


def closing_folder(path: Path) -> Path | None:
    """Find what keeps other users from a path: the outermost folder that they cannot enter."""
    for folder in reversed([path, *path.parents]):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def open_the_way(hold: Path) -> list[str]:
    """Give the shell lines that let any user reach the interpreter and this project."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[2]}
    closed = {path: folder for path in needed if (folder := closing_folder(path))}
    for path, folder in closed.items():
        if path == folder:
            pytest.skip(f"{folder} is closed to other users")
    kept = {path: hold / str(number) for number, path in enumerate(closed)}
    return [
        f"mount -t tmpfs tmpfs '{hold}'",
        *(f"mkdir '{copy}' && mount --rbind '{path}' '{copy}'" for path, copy in kept.items()),
        *(f"mount -t tmpfs -o mode=755 tmpfs '{folder}'" for folder in set(closed.values())),
        *(f"mkdir -p '{path}' && mount --rbind '{copy}' '{path}'" for path, copy in kept.items()),
    ]


def run_as_nobody(folder: Path, tun_mode: str, program: str) -> Process:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    hold = folder / "hold"
    hold.mkdir()
    lines = [
        "set -e",
        *open_the_way(hold),
        "mount -t tmpfs -o mode=755 tmpfs /dev/net",
        f"mknod -m {tun_mode} /dev/net/tun c 10 200",
        "cd /",
        f"exec {NOBODY} {program}",
    ]
    process = Process(
        ["unshare", "-nm", "sh", "-c", "\n".join(lines)],
        folder,
        "nobody",
        subprocess.DEVNULL,
        {"HOME": "/nonexistent", "PATH": SEARCH_PATH},
    )
    process.wait()
    return process


@pytest.mark.parametrize(
    ("tun_mode", "means"),
    [
        pytest.param("0666", "tap0 is a TAP device", id="tun open to all"),
        pytest.param("0600", "tap0 is a veth pair", id="tun closed"),
    ],
)
def test_nobody_gets_a_stack_in_a_namespace_of_their_own(
    tmp_path: Path, tun_mode: str, means: str
) -> None:
    program = f"'{script('tapstack')}' up -c 'ping -c 1 {HOST}'"
    process = run_as_nobody(tmp_path, tun_mode, program)
    assert process.popen.returncode == 0, process
    assert "1 received, 0% packet loss" in process.stdout
    assert means in process.stderr
    assert "nsenter --preserve-credentials -U -n -t " in process.stderr, "how to join it"


CONNECT = """
from tapstack import socket
try:
    socket.create_connection(("10.0.0.2", 80), timeout=5)
except OSError as refused:
    print(type(refused).__name__, refused.strerror)
"""


@pytest.mark.parametrize(
    ("tun_mode", "reason"),
    [
        pytest.param("0666", "no right to attach to tap0 by /dev/net/tun: ", id="tun open to all"),
        pytest.param("0600", "no right to open /dev/net/tun: ", id="tun closed"),
    ],
)
def test_nobodys_program_is_told_how_it_gets_a_stack(
    tmp_path: Path, tun_mode: str, reason: str
) -> None:
    program = f"'{sys.executable}' -c '{CONNECT}'"
    process = run_as_nobody(tmp_path, tun_mode, program)
    assert process.stdout.startswith(f"PermissionError {reason}"), process
    way = process.stdout.partition("start the program by `")[2].partition("`")[0]
    (tmp_path / "again").mkdir()
    process = run_as_nobody(tmp_path / "again", tun_mode, f"{way} {program}")
    assert process.stdout == "ConnectionRefusedError Connection refused\n", process


def test_nobody_gets_a_kernel_for_scripts(tmp_path: Path) -> None:
    program = f"'{sys.executable}' '{PROGRAMS / 'drill_kernel.py'}'"
    process = run_as_nobody(tmp_path, "0666", program)
    assert process.stdout == "net.ipv4.tcp_sack = 0\na socket\n", process


def test_where_namespaces_are_forbidden_one_sentence_says_so(namespace: Namespace) -> None:
    # In a user namespace of its own the limit binds nobody else (user_namespaces(7)).
    command = f"echo 0 > /proc/sys/user/max_user_namespaces && exec {script('tapstack')} up -c stat"
    process = namespace.start("unshare", "-Ur", "sh", "-c", command)
    assert process.wait() == 2, process
    assert process.stdout == ""
    assert len(process.stderr.strip().splitlines()) == 1, process
    assert "run as root" in process.stderr
