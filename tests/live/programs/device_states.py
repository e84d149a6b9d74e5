"""Put a TAP device through what can happen to one, and tell what came of it."""

import fcntl
import json
import os
import subprocess
from collections.abc import Callable

from tapstack.base.address import format_mac, parse_network
from tapstack.base.contracts import Frame
from tapstack.device import host
from tapstack.device.descriptor import derive_mac
from tapstack.device.host_addresses import add_address, addresses_of
from tapstack.device.tap import TapDevice

FRAME = Frame((bytes(60),))


def refusal(attempt: Callable[[], object]) -> str:
    """Tell the sentence of an error."""
    try:
        attempt()
    except OSError as error:
        return str(error.strerror)
    except ValueError as error:
        return str(error)
    return "no error"


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def fresh() -> dict[str, object]:
    device = TapDevice("tap0")
    flags = fcntl.fcntl(device.fileno(), fcntl.F_GETFD), fcntl.fcntl(device.fileno(), fcntl.F_GETFL)
    told = {
        "mtu": device.mtu,
        "mac is derived": device.mac == derive_mac("tap0"),
        "mac is the host's": device.mac == host.mac_of("tap0"),
        "capabilities": device.capabilities[:2],
        "closed on exec": bool(flags[0] & fcntl.FD_CLOEXEC),
        "non-blocking": bool(flags[1] & os.O_NONBLOCK),
        "silent": device.read(0) is None,
    }
    device.close()
    device.close()
    told["left over"] = "tap0" in ip("link")
    return told


def chosen() -> dict[str, object]:
    device = TapDevice("tap0", mac=bytes.fromhex("020000000009"), mtu=9000, offload=False)
    told = {
        "mtu": [device.mtu, host.mtu_of("tap0")],
        "mac": format_mac(device.mac),
        "capabilities": device.capabilities[:2],
    }
    device.close()
    return told


def refused() -> dict[str, object]:
    device = TapDevice("tap0")
    told = {
        "twice": refusal(lambda: TapDevice("tap0")),
        "not a TAP": refusal(lambda: TapDevice("lo")),
        "a long name": refusal(lambda: TapDevice("a-name-too-long0")),
        "no name": refusal(lambda: TapDevice("")),
        "an MTU": refusal(lambda: TapDevice("tap1", mtu=9)),
        "nobody": refusal(lambda: host.bring_up("tap9")),
        "an address of nobody": refusal(lambda: add_address("tap9", parse_network("10.0.0.2/24"))),
    }
    told["left over"] = "tap1" in ip("link")
    device.close()
    return told


def host_side() -> dict[str, object]:
    device = TapDevice("tap0")
    before = addresses_of("tap0")
    for text in ("10.9.9.9/16", "10.0.0.2/24", "10.0.0.2/24"):
        add_address("tap0", parse_network(text))
    host.bring_up("tap0")
    host.bring_up("tap0")
    host.silence_ipv6("tap0")
    told = {
        "before": before,
        "after": [str(each) for each in addresses_of("tap0")],
        "addresses": [
            line.split()[3:6] for line in ip("-o", "-4", "addr", "show", "tap0").splitlines()
        ],
        "routes": [line.split()[:3] for line in ip("route").splitlines()],
        "up": ",UP" in ip("link", "show", "tap0"),
        "IPv6": ip("-6", "addr", "show", "tap0"),
    }
    device.close()
    return told


def lost_and_gone() -> dict[str, object]:
    device = TapDevice("tap0")
    device.write(FRAME, 0)
    told: dict[str, object] = {"lost while down": device.frames_lost}
    host.bring_up("tap0")
    device.write(FRAME, 0)
    told["lost while up"] = device.frames_lost - 1
    device.write(Frame((b"short",)), 0)
    told["lost as too short"] = device.frames_lost - 1
    ip("link", "del", "tap0")
    told["read"] = refusal(lambda: device.read(0))
    device.write(FRAME, 0)
    device.close()
    device.write(FRAME, 0)
    told["lost while gone and closed"] = device.frames_lost - 2
    return told


def prepared_by_another() -> dict[str, object]:
    ip("tuntap", "add", "dev", "tap0", "mode", "tap")
    ip("link", "set", "tap0", "mtu", "1400")
    TapDevice("tap0").close()
    device = TapDevice("tap0", offload=False)
    told = {"mtu": device.mtu, "kept": False}
    device.close()
    told["kept"] = "tap0" in ip("link")
    ip("link", "del", "tap0")
    return told


def made_for_many_queues() -> dict[str, object]:
    ip("tuntap", "add", "dev", "tap0", "mode", "tap", "multi_queue")
    ip("tuntap", "add", "dev", "tun0", "mode", "tun", "multi_queue")
    told: dict[str, object] = {}
    for times in ("once", "again"):
        device = TapDevice("tap0")
        host.bring_up("tap0")
        device.write(FRAME, 0)
        told[times] = {"lost": device.frames_lost, "second": refusal(lambda: TapDevice("tap0"))}
        device.close()
    told["a TUN"] = refusal(lambda: TapDevice("tun0"))
    ip("link", "del", "tap0")
    ip("link", "del", "tun0")
    return told


if __name__ == "__main__":
    host.bring_up("lo")
    cases = (
        fresh,
        chosen,
        refused,
        host_side,
        lost_and_gone,
        prepared_by_another,
        made_for_many_queues,
    )
    print(json.dumps({case.__name__: case() for case in cases}))
