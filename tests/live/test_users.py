"""A user's mistakes are met with one clear sentence."""

import sys

import pytest

from tests.live.netns import STACK, Namespace, Process


def assert_one_sentence(process: Process, status: int = 2) -> None:
    assert process.wait() == status, process
    assert "Traceback" not in process.stderr, process
    said = [line for line in process.stderr.splitlines() if line.strip()]
    assert said, process
    assert said[-1][0].isalpha(), process
    assert process.stdout == "", process


@pytest.mark.parametrize(
    "options",
    [
        ("--addr", "10.0.0.300/24"),
        ("--addr", "10.0.0.1"),
        ("--addr", "tap"),
        ("--addr", "127.0.0.1/8"),
        ("--addr", "224.0.0.1/24"),
        ("--host-addr", "10.0.0.2/99"),
        ("--host-addr", ""),
        ("--mtu", "12"),
        ("--mtu", "70000"),
        ("--mtu", "big"),
        ("--dev", "a-name-that-is-too-long"),
        ("--dev", "a/b"),
        ("--dev", "lo"),
        ("--pcap", "/nonexistent/folder/x.pcap"),
        ("--impair", "loss=often"),
        ("--impair", "loss=101%"),
        ("--impair", "teleport=5%"),
        ("--nonsense",),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(
    namespace: Namespace, options: tuple[str, ...]
) -> None:
    process = namespace.tapstack(*options, "-c", "ifconfig")
    assert_one_sentence(process)
    assert "tap0" not in namespace.run("ip", "link").stdout


@pytest.mark.parametrize(
    "command",
    [
        "snc -b 10.0.0.1:99999",
        "snc -b 10.0.0.300:1",
        "snc -b 10.0.0.9:80",
        "snc -c 10.0.0.2",
        "snc",
        "snc --nonsense",
        "ping",
        "ping 10.0.0.300",
        "ping -c many 10.0.0.2",
        "ping -s 65508 10.0.0.2",
        "debug nonsense",
        "route add nonsense",
        "nonsense",
        'ping "10.0.0.2',
    ],
)
def test_a_bad_command_is_refused_in_one_sentence(namespace: Namespace, command: str) -> None:
    process = namespace.tapstack("-c", command)
    assert process.wait() != 0, process
    assert process.popen.returncode == 2, process
    assert "Traceback" not in process.stderr, process
    assert process.stdout == "", process


def test_a_busy_device_is_named(namespace: Namespace) -> None:
    namespace.shell()
    second = namespace.tapstack("-c", "ifconfig")
    assert_one_sentence(second)
    assert "tap0" in second.stderr
    namespace.run("ping", "-n", "-c", "1", STACK)


def test_a_port_in_use_is_told(namespace: Namespace) -> None:
    program = namespace.folder / "twice.py"
    program.write_text(
        "from tapstack import socket\n"
        "first = socket.create_server(('10.0.0.1', 80))\n"
        "try:\n"
        "    socket.create_server(('10.0.0.1', 80))\n"
        "except OSError as error:\n"
        "    print(error.errno, error.strerror)\n"
    )
    process = namespace.start(sys.executable, str(program))
    assert process.wait() == 0, process
    assert process.stdout.startswith("98 Address already in use")
