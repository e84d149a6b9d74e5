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

_LARGEST = 2**31 - 1
_FLAGS = (0, 255)
_SECONDS = (0, 8589934)  # as Linux counts them in ticks
_SEGMENT_SIZES = (48, 65535)
_RANGES: dict[str, tuple[int, int]] = {
    # what Linux takes, in the sysctl's unit; others: 0 to 2^31 - 1, switches 0 to 255.
    # Deviation: it also takes negative numbers where these make no sense.
    "icmp_echo_ignore_all": (0, 1),
    "icmp_echo_ignore_broadcasts": (0, 1),
    "ip_default_ttl": (1, 255),
    "ip_local_port_range": (1, 65535),
    "ip_no_pmtu_disc": _FLAGS,
    "ipfrag_time": _SECONDS,
    "min_pmtu": (68, _LARGEST),
    "mtu_expires": _SECONDS,
    "tcp_app_win": (0, 31),
    "tcp_comp_sack_delay_ns": (0, 2**64 - 1),
    "tcp_comp_sack_nr": _FLAGS,
    "tcp_early_retrans": (0, 4),
    "tcp_ecn": (0, 5),
    "tcp_ecn_fallback": (0, 1),
    "tcp_ecn_option": (0, 2),
    "tcp_ecn_option_beacon": (0, 3),
    "tcp_fin_timeout": _SECONDS,
    "tcp_frto": _FLAGS,
    "tcp_keepalive_intvl": _SECONDS,
    "tcp_keepalive_probes": _FLAGS,
    "tcp_keepalive_time": _SECONDS,
    "tcp_max_reordering": (1, _LARGEST),
    "tcp_min_rtt_wlen": (0, 86400),
    "tcp_min_snd_mss": _SEGMENT_SIZES,
    "tcp_min_tso_segs": (1, 255),
    "tcp_mtu_probe_floor": _SEGMENT_SIZES,
    "tcp_mtu_probing": _FLAGS,
    "tcp_notsent_lowat": (0, 2**32 - 1),
    "tcp_orphan_retries": _FLAGS,
    "tcp_pacing_ca_ratio": (0, 1000),
    "tcp_pacing_ss_ratio": (0, 1000),
    "tcp_probe_interval": (0, 17179869),
    "tcp_recovery": _FLAGS,
    "tcp_reordering": (1, 300),
    "tcp_reflect_tos": (0, 1),
    "tcp_retries1": _FLAGS,
    "tcp_retries2": _FLAGS,
    "tcp_rmem": (1, _LARGEST),
    "tcp_rto_max": (1000, 120000),
    "tcp_rto_min": (1, _LARGEST),
    "tcp_syn_linear_timeouts": (0, 127),
    "tcp_syn_retries": (1, 127),
    "tcp_synack_retries": _FLAGS,
    "tcp_syncookies": _FLAGS,
    "tcp_thin_linear_timeouts": _FLAGS,
    "tcp_timestamps": _FLAGS,
    "tcp_tso_rtt_log": _FLAGS,
    "tcp_tso_win_divisor": _FLAGS,
    "tcp_tw_reuse": (0, 2),
    "tcp_tw_reuse_delay": (1, 60000),
    "tcp_wmem": (1, _LARGEST),
}


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
_CORE = ("somaxconn", "optmem_max")
"""Fields of TcpConfig that net.core has."""
_NO_SYSCTL = frozenset(
    "time_wait tcp_delack_max tcp_mss_default tcp_initial_cwnd max_segment_unit".split()
)
"""Fields of TcpConfig that are constants in Linux."""
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
        self._known: dict[str, _Setting] = {}
        self._interfaces = -1
        """How many the stack had when that was made."""

    def __iter__(self) -> Iterator[str]:
        """Give every name, in order."""
        return iter(sorted(self._table()))

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a setting of a name."""
        return name in self._table()

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
        if setting.field == "tcp_fastopen_blackhole_timeout_sec":
            self._stack.tcp.fast_open_peers.on_success()  # as in Linux, a pause ends

    def _find(self, name: str) -> _Setting:
        setting = self._table().get(name.replace("/", "."))
        if setting is None:
            raise os_error(ENOENT)
        return setting

    def _table(self) -> dict[str, _Setting]:
        if len(self._stack.interfaces) != self._interfaces:
            self._interfaces = len(self._stack.interfaces)
            self._known = dict([*self._tcp(), *self._ip(), *self._links()])
        return self._known

    def _tcp(self) -> Iterator[tuple[str, _Setting]]:
        config = self._stack.tcp.config
        for each in fields(TcpConfig):
            if each.name in (*_NO_SYSCTL, *_CORE) or each.name.startswith("cubic_"):
                continue
            name, unit = _TCP_UNITS.get(each.name, (each.name, 1))
            yield f"net.ipv4.{name}", _Setting(config, each.name, unit)
        for core in _CORE:
            yield f"net.core.{core}", _Setting(config, core)

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
    """Read a value of the same kind as the old one. Raises: OSError with EINVAL.

    As in Linux, what follows the last number that is needed is not looked at.
    """
    if setting.field == "tcp_fastopen_key":
        return _keys("".join(words))
    if isinstance(old, frozenset):
        return frozenset(port for each in ",".join(words).split(",") for port in _ports(each))
    if not words:
        raise os_error(EINVAL)
    if isinstance(old, tuple):
        return _numbers(setting, old, words)
    if isinstance(old, str):
        if words[0] not in ALGORITHMS:
            raise os_error(ENOENT)  # as Linux has it
        return words[0]
    is_switch = isinstance(old, bool)
    least, most = _RANGES.get(setting.field, _FLAGS if is_switch else (0, _LARGEST))
    number = _number(words[0], least, most)
    return bool(number) if is_switch else number * setting.unit


def _numbers(setting: _Setting, old: tuple[int, ...], words: list[str]) -> tuple[int, ...]:
    """Read some numbers; the last ones may be left as they are. Raises: OSError with EINVAL."""
    least, most = _RANGES[setting.field]
    given = [_number(word, least, most) for word, _ in zip(words, old, strict=False)]
    values = (*given, *old[len(given) :])
    if setting.field == "ip_local_port_range" and values[0] > values[1]:
        raise os_error(EINVAL)
    return values


def _number(word: str, least: int, most: int) -> int:
    """Read a number as the kernel does: octal behind 0, hexadecimal behind 0x."""
    is_octal = word[:1] == "0" and word.isdecimal()
    try:
        number = int(word[:21], 8 if is_octal else 0)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise os_error(EINVAL)
    return number


def _ports(text: str) -> range:
    """Read a port or a range of them: 8080, 9000-9010. Raises: OSError with EINVAL."""
    first, dash, last = text.partition("-")
    if not text:
        return range(0)
    begin = _number(first, 0, 65535)
    return range(begin, _number(last, begin, 65535) + 1 if dash else begin + 1)


def _keys(text: str) -> str:
    """Check keys of Fast Open. Raises: OSError with EINVAL."""
    try:
        parse_keys(text)
    except ValueError:
        raise os_error(EINVAL) from None
    return text
