"""Another means is taken where there is no /dev/net/tun for us, and not where a device is refused.

Stand-ins refuse: a kernel that forbids a TAP and allows a veth pair cannot be had here. The real
devices are put through `open_link` in tests/live.
"""

import errno

import pytest

from tapstack.base.address import parse_network
from tapstack.device import open as opening
from tapstack.device.tap import TunUnavailableError

OURS, HOSTS = parse_network("10.0.0.1/24"), parse_network("10.0.0.2/24")


class Refusal:
    """A kind of device that cannot be had."""

    def __init__(self, error: OSError) -> None:
        self.error = error
        self.asked = 0

    def __call__(self, *_: object, **__: object) -> None:
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(
    ("refused", "pairs_asked_for"),
    [
        (OSError(errno.EPERM, "not yours"), 0),
        (OSError(errno.ENODEV, "no such device"), 0),
        (OSError(errno.EBUSY, "in use"), 0),
        (TunUnavailableError(errno.EACCES, "closed"), 1),
        (TunUnavailableError(errno.ENOENT, "missing"), 1),
    ],
    ids=lambda value: str(value),
)
def test_only_a_closed_tun_leads_to_another_means(
    monkeypatch: pytest.MonkeyPatch, refused: OSError, pairs_asked_for: int
) -> None:
    pair = Refusal(OSError(errno.EPERM, "no right to make it"))
    monkeypatch.setattr(opening, "TapDevice", Refusal(refused))
    monkeypatch.setattr(opening, "PacketDevice", pair)
    with pytest.raises(OSError, match=str(refused.strerror)):
        opening.open_link("tap0", OURS, HOSTS)
    assert pair.asked == pairs_asked_for
