"""The settings of one stack under the names, and in the units, of Linux's sysctl(8).

The values live in the engines' configurations (`tcp/config.py`, `ip/config.py`, `arp/config.py`),
which are read when they are used: what is set here counts at once, or for the next connection.

Not done here: what Linux has elsewhere (CUBIC's settings are a module's), or as a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from errno import EINVAL, ENOENT
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tapstack.base.errors import os_error
from tapstack.base.units import MICROSECOND, MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.congestion import ALGORITHMS
from tapstack.tcp.fast_open_keys import parse_keys

if TYPE_CHECKING:
    from tapstack.arp.config import ArpConfig
    from tapstack.ip.config import IpConfig
    from tapstack.stack import Stack

Value: TypeAlias = bool | int | str | tuple[int, ...] | frozenset[int]

_LARGEST = 2**32 - 1


class _Setting(NamedTuple):
    """Where one sysctl is kept."""

    owner: TcpConfig | IpConfig | ArpConfig
    field: str
    unit: int = 1
    """What one in the sysctl's unit is in the field's."""


_TCP_UNITS = {
    # field: the sysctl's name, and its unit; both are Linux's (Documentation/networking/ip-sysctl)
    "tcp_fin_timeout": ("tcp_fin_timeout", SECOND),
    "tcp_rto_min": ("tcp_rto_min_us", MICROSECOND),
    "tcp_rto_max": ("tcp_rto_max_ms", MILLISECOND),
    "tcp_invalid_ratelimit": ("tcp_invalid_ratelimit", MILLISECOND),
    "tcp_tw_reuse_delay": ("tcp_tw_reuse_delay", MILLISECOND),
}
_NO_SYSCTL = frozenset(
    "time_wait tcp_delack_max tcp_mss_default tcp_initial_cwnd max_segment_unit somaxconn".split()
)
"""Fields of TcpConfig that are constants in Linux, or stand elsewhere."""
_ROUTES = ("min_pmtu", "mtu_expires")
_NEIGHBOURS = {
    "base_reachable_time": ("base_reachable_time_ms", MILLISECOND),
    "delay_first_probe_time": ("delay_first_probe_time", SECOND),
    "retrans_time": ("retrans_time_ms", MILLISECOND),
    "mcast_solicit": ("mcast_solicit", 1),
    "ucast_solicit": ("ucast_solicit", 1),
    "gc_stale_time": ("gc_stale_time", SECOND),
    "unres_qlen_bytes": ("unres_qlen_bytes", 1),
}


_NO_KEY = "00000000-00000000-00000000-00000000"
"""What tcp_fastopen_key says while none was set."""


class Sysctls:
    """Every setting of a stack by its name, such as `net.ipv4.tcp_sack`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def __iter__(self) -> Iterator[str]:
        """Give every name, in order."""
        return iter(sorted(self._table()))

    def get(self, name: str) -> str:
        """Give a value as sysctl prints it. Raises: OSError with ENOENT."""
        setting = self._find(name)
        value: Value = getattr(setting.owner, setting.field)
        if isinstance(value, tuple):
            return "\t".join(map(str, value))
        if isinstance(value, str):
            return value or _NO_KEY
        if isinstance(value, frozenset):
            return ",".join(map(str, sorted(value)))
        return str(int(value) // setting.unit)

    def set(self, name: str, text: str) -> None:
        """Set a value from what sysctl takes. Raises: OSError with ENOENT or EINVAL."""
        setting = self._find(name)
        old: Value = getattr(setting.owner, setting.field)
        setattr(setting.owner, setting.field, _parse(setting, old, text.split()))

    def _find(self, name: str) -> _Setting:
        setting = self._table().get(name.replace("/", "."))
        if setting is None:
            raise os_error(ENOENT)
        return setting

    def _table(self) -> dict[str, _Setting]:
        return dict([*self._tcp(), *self._ip(), *self._links()])

    def _tcp(self) -> Iterator[tuple[str, _Setting]]:
        config = self._stack.tcp.config
        for each in fields(TcpConfig):
            if each.name in _NO_SYSCTL or each.name.startswith("cubic_"):
                continue
            name, unit = _TCP_UNITS.get(each.name, (each.name, 1))
            yield f"net.ipv4.{name}", _Setting(config, each.name, unit)
        yield "net.core.somaxconn", _Setting(config, "somaxconn")

    def _ip(self) -> Iterator[tuple[str, _Setting]]:
        config = self._stack.ip.config
        for each in fields(config):
            if each.name in _ROUTES:
                yield f"net.ipv4.route.{each.name}", _Setting(config, each.name)
            elif each.name == "send_redirects":
                yield "net.ipv4.conf.all.send_redirects", _Setting(config, each.name)
            else:
                yield f"net.ipv4.{each.name}", _Setting(config, each.name)

    def _links(self) -> Iterator[tuple[str, _Setting]]:
        for interface in self._stack.interfaces.values():
            if interface.neighbours is None:
                continue
            config = interface.neighbours.config
            for field, (name, unit) in _NEIGHBOURS.items():
                yield f"net.ipv4.neigh.{interface.name}.{name}", _Setting(config, field, unit)


def _parse(setting: _Setting, old: Value, words: list[str]) -> Value:
    """Read a value of the same kind as the old one. Raises: OSError with EINVAL."""
    if isinstance(old, tuple):
        values = tuple(_number(word) for word in words)
        if len(values) != len(old) or list(values) != sorted(values):
            raise os_error(EINVAL)
        return values
    if setting.field == "tcp_fastopen_key":
        return _keys("".join(words))
    if isinstance(old, frozenset):
        return frozenset(port for each in ",".join(words).split(",") for port in _ports(each))
    if len(words) != 1:
        raise os_error(EINVAL)
    if isinstance(old, str):
        if words[0] not in ALGORITHMS:
            raise os_error(ENOENT)  # as Linux has it
        return words[0]
    number = _number(words[0])
    if isinstance(old, bool):
        return bool(number)
    return number * setting.unit


def _number(word: str) -> int:
    try:
        number = int(word[:11], 0)  # like sysctl, hexadecimal behind 0x
    except ValueError:
        number = -1
    if not 0 <= number <= _LARGEST:
        raise os_error(EINVAL)
    return number


def _ports(text: str) -> range:
    """Read a port or a range of them: 8080, 9000-9010. Raises: OSError with EINVAL."""
    first, dash, last = text.partition("-")
    if not text:
        return range(0)
    ports = range(_number(first), _number(last if dash else first) + 1)
    if ports.stop > 65536:
        raise os_error(EINVAL)
    return ports


def _keys(text: str) -> str:
    """Check keys of Fast Open. Raises: OSError with EINVAL."""
    try:
        parse_keys(text)
    except ValueError:
        raise os_error(EINVAL) from None
    return text
