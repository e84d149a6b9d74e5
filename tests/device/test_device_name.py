"""A device's name is checked before anything is opened by it, or a file of that name written."""

import pytest

from tapstack.device.name import check_device_name
from tapstack.device.packet import PacketDevice
from tapstack.device.tap import TapDevice

WRONG = [
    "",
    ".",
    "..",
    "tap%d",
    "tap:1",
    "a/b",
    "tap 0",
    "tap0\n",
    "tap\t0",
    "tap\xa00",
    "tap\0",
    "täp0",
    "sixteen-letters0",
]


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("use", [check_device_name, TapDevice, PacketDevice])
def test_what_no_device_can_be_called_is_refused_in_one_sentence(use, name: str) -> None:
    with pytest.raises(ValueError, match="is not a device name: 1 to 15 letters") as refusal:
        use(name)
    assert str(refusal.value).startswith(repr(name))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["tap0", "...", ".a", "br-lan.7", "fifteen-letters", "a@b"])
def test_what_a_device_can_be_called_is_taken(name: str) -> None:
    check_device_name(name)
