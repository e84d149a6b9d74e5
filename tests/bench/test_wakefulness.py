"""What keeps processors awake does so for as long as it is to, where that is ours to ask."""

import struct
from pathlib import Path

import pytest

from bench.wakefulness import kept_awake

DEVICE = Path("/dev/cpu_dma_latency")


def latency() -> int:
    """Give the µs that waking up may take by what anybody has asked for."""
    with DEVICE.open("rb") as device:
        return int(struct.unpack("@i", device.read(4))[0])


def test_waking_up_may_take_no_time_meanwhile() -> None:
    with kept_awake() as is_kept:
        if not is_kept:
            pytest.skip(f"{DEVICE} is not ours to write: root of the machine may")
        assert latency() == 0


def test_who_may_not_ask_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.wakefulness._DEVICE", str(tmp_path / "none"))
    with kept_awake() as is_kept:
        assert not is_kept
