"""What a script's options mean: `--tolerance_usecs=10000` and its siblings.

Not done here: reading them, and the addresses' use on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tapstack.base.address import format_ipv4, parse_ipv4, parse_network
from tapstack.drill.contract import Addresses
from tapstack.drill.language.symbols import hint
from tapstack.drill.language.syntax import Option, Position, ScriptError, UnsupportedError
from tapstack.ip.config import LEAST_MTU

LINUX_TOLERANCE = (4_000, 12.5)
"""µs, and percent of the time since the previous event: what the tool allows real time."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a script is to be played. The names are the options'."""

    bind_port: int = 8080
    connect_port: int = 8080
    remote_ip: str = "192.0.2.1"
    local_ip: str = "192.168.0.1"
    gateway_ip: str = "192.168.0.1"
    netmask_ip: str = "255.255.0.0"
    sockets_are_mapped: bool = False
    """Where IPv6's sockets are meant, whose peers are IPv4's: IPv4's own stand for them."""
    mtu: int = 1500
    """Octets of the largest datagram that the device takes."""
    mss: int | None = None
    """Octets of text of the segments that a longer injected one stands for; it arrives whole."""
    tolerance_usecs: int = 0
    tolerance_percent: float = 0.0
    tcp_ts_tick_usecs: int = 0
    """How long a tick of the timestamps is, µs; 0: TS val is not checked."""
    tcp_ts_ecr_scaled: bool = False
    """An injected TS ecr is in the script's ticks, and not one that was seen."""
    strict_segments: bool = False
    """Segments are not joined."""
    non_fatal: frozenset[str] = frozenset()
    """`packet`, `syscall`: what only warns when it fails."""
    dry_run: bool = False
    send_omit_free: bool = False
    """No reset is sent to the connections at the end."""
    init_scripts: tuple[str, ...] = ()
    """Commands that are run before the script's own."""
    definitions: dict[str, str] = field(default_factory=dict)
    verbose: bool = False

    @property
    def addresses(self) -> Addresses:
        """Who is who."""
        length = parse_ipv4(self.netmask_ip).bit_count()
        local, remote, gateway = map(parse_ipv4, (self.local_ip, self.remote_ip, self.gateway_ip))
        return Addresses(local, remote, gateway, length)


def read_options(options: Iterable[Option], settings: Settings) -> Settings:
    """Change settings as a script's options say. Raises: ScriptError, UnsupportedError."""
    for option in options:
        settings = _change(settings, option.name, option.value, option.position)
    return settings


def takes_value(name: str) -> bool:
    """Tell whether an option of this name takes a value, as far as it is known."""
    return name in _KNOWN and name not in _BARE


def _change(settings: Settings, name: str, value: str | None, position: Position) -> Settings:
    if name in _UNSUPPORTED and value not in _UNSUPPORTED[name]:
        raise UnsupportedError(f"--{name}={value}" if value is not None else f"--{name}", position)
    if name in _IDLE or (name in _UNSUPPORTED and name not in _READERS):
        return settings
    if value is not None and ":" in value and name in _ADDRESSES:
        raise UnsupportedError(f"--{name}={value}", position)  # of IPv6
    read = _READERS.get(name)
    if read is None:
        likely = hint(name, _KNOWN, "--{}", 0.6)
        raise ScriptError(f"there is no option --{name}{likely}", position)
    try:
        return replace(settings, **read(settings, value))
    except ValueError as error:
        what = f"--{name}={value}" if value is not None else f"--{name}"
        raise ScriptError(f"{what}: {error}", position) from None


Reader = Callable[[Settings, "str | None"], "dict[str, Any]"]


def _number(name: str, most: int, least: int = 0) -> Reader:
    def read(_: Settings, value: str | None) -> dict[str, Any]:
        is_number = value is not None and value.isascii() and value.isdecimal()
        if value is None or not is_number or not least <= int(value) <= most:
            raise ValueError(f"this takes a number from {least} to {most}")
        return {name: int(value)}

    return read


def _address(name: str) -> Reader:
    def read(_: Settings, value: str | None) -> dict[str, Any]:
        if value is None:
            raise ValueError("this takes an address such as 192.0.2.1")
        return {name: format_ipv4(parse_ipv4(value))}

    return read


def _remote(_: Settings, value: str | None) -> dict[str, Any]:
    """Take an address, or a network, whose first address is meant."""
    if value is None:
        raise ValueError("this takes an address such as 192.0.2.1")
    return {
        "remote_ip": format_ipv4(
            parse_network(value).address if "/" in value else parse_ipv4(value)
        )
    }


def _percent(_: Settings, value: str | None) -> dict[str, Any]:
    percent = float(value or "nothing")
    if not 0 <= percent <= 1e6:
        raise ValueError("this takes a number of percent")
    return {"tolerance_percent": percent}


def _netmask(_: Settings, value: str | None) -> dict[str, Any]:
    mask = parse_ipv4(value or "")
    if (mask | (mask - 1)) != 0xFFFFFFFF and mask:
        raise ValueError("this takes a mask such as 255.255.0.0")
    return {"netmask_ip": format_ipv4(mask)}


def _flag(name: str) -> Reader:
    def read(_: Settings, value: str | None) -> dict[str, Any]:
        if value not in (None, "0", "1", "true", "false"):
            raise ValueError("this takes 0 or 1, or nothing")
        return {name: value not in ("0", "false")}

    return read


def _non_fatal(settings: Settings, value: str | None) -> dict[str, Any]:
    kinds = frozenset((value or "").split(","))
    if not kinds <= {"packet", "syscall"}:
        raise ValueError("this takes packet, syscall, or both with a comma")
    return {"non_fatal": settings.non_fatal | kinds}


def _scripts(settings: Settings, value: str | None) -> dict[str, Any]:
    if not value:
        raise ValueError("this takes the names of programs, with commas")
    return {"init_scripts": (*settings.init_scripts, *value.split(","))}


def _define(settings: Settings, value: str | None) -> dict[str, Any]:
    symbol, equals, text = (value or "").partition("=")
    if not equals or not symbol.isidentifier():
        raise ValueError("this takes SYMBOL=value")
    return {"definitions": {**settings.definitions, symbol: text}}


def _ip_version(_: Settings, value: str | None) -> dict[str, Any]:
    return {"sockets_are_mapped": value == "ipv4_mapped_ipv6"}


_ADDRESSES = ("remote_ip", "local_ip", "gateway_ip")
_FLAGS = ("tcp_ts_ecr_scaled", "strict_segments", "dry_run", "send_omit_free", "verbose")
_READERS: dict[str, Reader] = {
    "ip_version": _ip_version,
    "bind_port": _number("bind_port", 65535),
    "connect_port": _number("connect_port", 65535),
    "remote_ip": _remote,
    "local_ip": _address("local_ip"),
    "gateway_ip": _address("gateway_ip"),
    "netmask_ip": _netmask,
    "mtu": _number("mtu", 65535, LEAST_MTU),
    "mss": _number("mss", 65535),
    "tolerance_usecs": _number("tolerance_usecs", 10**9),
    "tolerance_percent": _percent,
    "tcp_ts_tick_usecs": _number("tcp_ts_tick_usecs", 1_000_000),
    "non_fatal": _non_fatal,
    "init_scripts": _scripts,
    "define": _define,
    **{name: _flag(name) for name in _FLAGS},
}
_UNSUPPORTED: dict[str, tuple[str | None, ...]] = {
    # the option: the values that there are
    "ip_version": ("ipv4", "ipv4_mapped_ipv6"),
    "is_anyip": ("0", "false"),
    "wire_client": (),
    "wire_server": (),
    "wire_client_dev": (),
    "wire_server_dev": (),
    "wire_server_ip": (),
    "wire_server_port": (),
    "so_filename": (),
    "so_flags": (),
    "code_command": ("python", "python3", "/usr/bin/python", "/usr/bin/python3"),
    "code_format": ("python",),
    "code_sockopt": ("TCP_INFO", ""),
}
_IDLE = frozenset({"speed", "debug"})
"""Options without effect: a device has no speed in virtual time."""
_BARE = frozenset({*_FLAGS, "is_anyip", "wire_client", "wire_server", "debug"})
"""Options without a value."""
_KNOWN = (*_READERS, *_UNSUPPORTED, *_IDLE)
