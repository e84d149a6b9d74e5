"""The parameters of Linux's module tcp_cubic, as files below /sys/module have them.

Not done here: the algorithm (`tcp/congestion/cubic.py`), which heeds three of them.
"""

from __future__ import annotations

from errno import EINVAL

from tapstack.base.errors import os_error
from tapstack.tcp.config import TcpConfig

_HEEDED = {
    "fast_convergence": "cubic_fast_convergence",
    "hystart": "cubic_hystart",
    "tcp_friendliness": "cubic_tcp_friendliness",
}
_KEPT = {
    "beta": 717,
    "bic_scale": 41,
    "hystart_ack_delta_us": 2000,
    "hystart_detect": 3,
    "hystart_low_window": 16,
    "initial_ssthresh": 0,
}
"""What is only kept and read back, with its default."""


class CubicParameters:
    """The parameters, by the names of their files."""

    def __init__(self, config: TcpConfig) -> None:
        self.inert_used: dict[str, str] = {}
        """Those without effect that were set, and why they have none."""
        self._config = config
        self._kept = dict(_KEPT)

    def names(self) -> list[str]:
        """Give the names of the files."""
        return [*_HEEDED, *_KEPT]

    def get(self, name: str) -> str:
        """Give what a file says."""
        if name in _HEEDED:
            return str(int(getattr(self._config, _HEEDED[name])))
        return str(self._kept[name])

    def set(self, name: str, text: str) -> None:
        """Take what was written to a file. Raises: OSError with EINVAL."""
        try:
            number = int(text, 0)
        except ValueError:
            raise os_error(EINVAL) from None
        if name in _HEEDED:
            setattr(self._config, _HEEDED[name], number != 0)
        else:
            self._kept[name] = number
            self.inert_used[f"tcp_cubic {name}"] = "CUBIC has Linux's own value of it"
