"""Real devices against the real kernel: what they carry, how they are refused, how they end."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.netns import PROGRAMS, Namespace
from tests.live.test_wire import VALIDATION, WRONG

LONGEST_FRAME = 1514
IN_USE = (
    "the device tap0 is in use by another program: "
    "end that, or choose another device (--dev or TAPSTACK_DEV)"
)
NO_TUN = "mount -t tmpfs tmpfs /dev/net"


def told(output: str) -> Any:
    return json.loads(output)


def exchange(namespace: Namespace, device: str, capture: Path, before: str = "true") -> Any:
    program = [sys.executable, str(PROGRAMS / "device_exchange.py"), device, str(capture)]
    shell = ["sh", "-c", f'{before} && exec "$@"', "sh"]
    return told(namespace.run("unshare", "-m", *shell, *program).stdout)


def shark(namespace: Namespace, capture: Path, *options: str) -> list[str]:
    return namespace.run(
        "tshark", "-n", "-r", str(capture), *VALIDATION, *options
    ).stdout.splitlines()


@pytest.mark.parametrize("device", ["tap", "packet", "link"])
def test_with_offload_units_pass_whole(namespace: Namespace, tmp_path: Path, device: str) -> None:
    capture = tmp_path / "capture.pcap"
    seen = exchange(namespace, f"{device}+offload", capture)
    assert seen["host received"]
    assert seen["we received"]
    assert seen["largest frame"] > 20 * LONGEST_FRAME
    assert seen["checksums left out"] > 0
    assert shark(namespace, capture, "-Y", WRONG) == []
    lengths = shark(namespace, capture, "-T", "fields", "-e", "frame.len")
    assert max(map(int, lengths)) == LONGEST_FRAME, "the capture shows the wire"


@pytest.mark.parametrize("device", ["tap", "packet"])
def test_without_offload_frames_are_of_wire_size(
    namespace: Namespace, tmp_path: Path, device: str
) -> None:
    capture = tmp_path / "capture.pcap"
    seen = exchange(namespace, device, capture)
    assert seen["host received"]
    assert seen["we received"]
    assert seen["largest frame"] == LONGEST_FRAME
    assert seen["checksums left out"] == 0
    assert shark(namespace, capture, "-Y", WRONG) == []


def test_a_link_without_offload_reads_units_of_frames_of_wire_size(
    namespace: Namespace, tmp_path: Path
) -> None:
    capture = tmp_path / "capture.pcap"
    seen = exchange(namespace, "link", capture)
    assert seen["host received"]
    assert seen["we received"]
    assert shark(namespace, capture, "-Y", WRONG) == []
    lengths = shark(namespace, capture, "-T", "fields", "-e", "frame.len")
    assert max(map(int, lengths)) == LONGEST_FRAME, "the capture shows the wire"


def test_the_best_means_is_a_tap(namespace: Namespace, tmp_path: Path) -> None:
    assert exchange(namespace, "link", tmp_path / "x")["means"] == "tap0 is a TAP device"


@pytest.mark.parametrize("device", ["link", "link+offload"])
def test_without_tun_the_means_is_a_packet_socket(
    namespace: Namespace, tmp_path: Path, device: str
) -> None:
    seen = exchange(namespace, device, tmp_path / "x", before=NO_TUN)
    assert seen["means"].startswith(
        "tap0 is a veth pair with a packet socket (there is no /dev/net"
    )
    assert seen["host received"]
    assert seen["we received"]


@pytest.fixture
def states(namespace: Namespace) -> Any:
    return told(namespace.run(sys.executable, str(PROGRAMS / "device_states.py")).stdout)


def test_a_tap_device_lives_as_it_should(states: Any) -> None:
    assert states["fresh"] == {
        "mtu": 1500,
        "mac is derived": True,
        "mac is the host's": False,
        "capabilities": [True, True],
        "closed on exec": True,
        "non-blocking": True,
        "silent": True,
        "left over": False,
    }
    assert states["chosen"] == {
        "mtu": [9000, 9000],
        "mac": "02:00:00:00:00:09",
        "capabilities": [False, False],
    }
    assert states["refused"] == {
        "twice": IN_USE,
        "not a TAP": "lo exists and is not a TAP device",
        "a long name": "'a-name-too-long0' is not a device name: "
        "1 to 15 letters and digits such as tap0",
        "no name": "'' is not a device name: 1 to 15 letters and digits such as tap0",
        "an MTU": "tap1 does not take an MTU of 9",
        "nobody": "there is no interface tap9",
        "an address of nobody": "there is no interface tap9",
        "left over": False,
    }
    assert states["host_side"] == {
        "before": [],
        "after": ["10.9.9.9/16", "10.0.0.2/24"],
        "addresses": [
            ["10.9.9.9/16", "brd", "10.9.255.255"],
            ["10.0.0.2/24", "brd", "10.0.0.255"],
        ],
        "routes": [["10.0.0.0/24", "dev", "tap0"], ["10.9.0.0/16", "dev", "tap0"]],
        "up": True,
        "IPv6": "",
    }
    assert states["lost_and_gone"] == {
        "lost while down": 1,
        "lost while up": 0,
        "lost as too short": 1,
        "read": "the device tap0 is gone",
        "lost while gone and closed": 2,
    }
    assert states["prepared_by_another"] == {"mtu": 1400, "kept": True}
    in_use = {"lost": 0, "second": IN_USE}
    assert states["made_for_many_queues"] == {
        "once": in_use,
        "again": in_use,
        "a TUN": "tun0 exists and is not a TAP device",
    }


@pytest.mark.parametrize(
    ("on_another_link", "warning"),
    [
        ("10.0.0.9/24", "the host sends to 10.0.0.1 by lan, where it has 10.0.0.0/24"),
        ("10.9.9.9/8", "the host has 10.0.0.0/8 on lan, too, but while tap0 is up it reaches none"),
        ("10.0.0.9/24 metric 100", "the host has 10.0.0.0/24 on lan, too, but while tap0 is up "),
        ("10.0.0.1/32", "10.0.0.1 is the host's own, which keeps what it sends there"),
        ("192.168.1.1/24", ""),
    ],
)
def test_a_network_that_the_host_has_elsewhere_is_told_of(
    namespace: Namespace, on_another_link: str, warning: str
) -> None:
    for words in (
        "link add lan type veth peer name far",
        "link set lan up",
        "link set far up",
        f"addr add dev lan {on_another_link}",
        "route add default dev lan",
    ):
        namespace.run("ip", *words.split())
    process = namespace.tapstack("-c", "ifconfig")
    assert process.wait() == 0, process
    told = [line for line in process.stderr.splitlines() if "--host-addr" in line]
    assert [line.startswith(warning) for line in told] == [True] * bool(warning), process


def test_a_prepared_device_keeps_the_addresses_it_had(namespace: Namespace) -> None:
    namespace.run("ip", "tuntap", "add", "dev", "tap0", "mode", "tap")
    namespace.run("ip", "addr", "add", "192.168.9.1/24", "dev", "tap0")
    for _ in range(2):
        process = namespace.tapstack("-c", "ping -c 1 10.0.0.2")
        assert process.wait() == 0, process
        told = "192.168.9.1 mask 255.255.255.0, 10.0.0.2 mask 255.255.255.0 (set on tap0)"
        assert told in process.stderr, process


def test_a_stack_outlives_its_device_and_says_so_once(namespace: Namespace) -> None:
    shell = namespace.shell()
    namespace.run("ip", "link", "del", "tap0")
    shell.wait_for("tap0 is gone: the device tap0 is gone")
    shell.type("ping -c 3 -i 1 127.0.0.1")  # until ARP has announced our address once more
    shell.wait_for("3 received, 0% packet loss")
    shell.end_input()
    assert shell.wait() == 0, shell
    assert "defect" not in shell.stderr, shell
    assert shell.stderr.count("is gone") == 2, shell


def test_a_namespace_of_ones_own_can_be_entered_once(namespace: Namespace) -> None:
    program = str(PROGRAMS / "private_namespace.py")
    assert told(namespace.run(sys.executable, program).stdout) == {
        "new": True,
        "user": 0,
        "interfaces": ["lo"],
        "loopback": True,
        "beside a thread": "a namespace can be entered only before the process has a second thread",
        "too many": "no more namespaces are allowed here (user.max_user_namespaces): run as root",
    }
