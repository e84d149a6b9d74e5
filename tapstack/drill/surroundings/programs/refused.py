"""Programs that change what the simulated stack does not have: they say so, and fail.

Not done here: `ethtool`'s offloads, which make no difference that a script could see.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapstack.drill.surroundings.machine import Answer, Machine, Program
from tapstack.drill.surroundings.programs.ip_link import find
from tapstack.drill.surroundings.programs.words import Words, not_simulated

_REFUSED = "iptables ip6tables iptables-save iptables-restore nft conntrack arptables ebtables"
_OFFLOADS = frozenset(
    "rx tx sg tso ufo gso gro lro rxvlan txvlan ntuple rxhash "
    "generic-segmentation-offload tcp-segmentation-offload generic-receive-offload "
    "large-receive-offload scatter-gather tx-checksumming rx-checksumming".split()
)
_REASON = "segments are joined before they are matched, however they were cut"


def _refuse(name: str) -> Program:
    def run(_: Machine, __: Sequence[str], ___: Path) -> Answer:
        raise not_simulated(name)

    return run


def ethtool(machine: Machine, given: Sequence[str], _: Path) -> Answer:
    """Switch offloads on and off, without effect. Raises: WrongUse."""
    words = Words(given)
    if not words.take_if("-K", "--offload", "--features"):
        raise not_simulated("ethtool, but for -K")
    find(machine, words.take())
    while words:
        name = words.take()
        if name not in _OFFLOADS or words.take() not in ("on", "off"):
            raise not_simulated(f"ethtool -K {name}")
        machine.inert_used[f"ethtool -K {name}"] = _REASON
    return Answer()


REFUSED: dict[str, Program] = {name: _refuse(name) for name in _REFUSED.split()}
"""By name."""
