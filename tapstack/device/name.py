"""What a network device may be called (Linux: dev_valid_name in net/core/dev.c).

Not done here: whether there is such a device.
"""

import re

MAX_NAME_LENGTH = 15
"""Octets: IFNAMSIZ of <linux/if.h>, without the terminating zero."""

# The kernel takes any other octet, too; but '%d' asks it to choose a number by itself.
_NAME = re.compile(rf"(?!\.{{1,2}}\Z)[!-~]{{1,{MAX_NAME_LENGTH}}}")
_FORBIDDEN = frozenset("%:/")


def check_device_name(name: str) -> None:
    """See that a device can have a name. Raises: ValueError with one clear sentence."""
    if not _NAME.fullmatch(name) or _FORBIDDEN & set(name):
        raise ValueError(
            f"{name!r} is not a device name: 1 to {MAX_NAME_LENGTH} letters and digits such as tap0"
        )
