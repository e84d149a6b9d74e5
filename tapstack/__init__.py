"""A TCP/IP stack in pure Python, in user space, on a Linux TAP device."""

from typing import Any


def configure(**settings: Any) -> None:
    """Set what the default stack will be brought up with: the fields of `runtime.default.Settings`.

        tapstack.configure(dev="tap1", addr="10.1.0.1/24", host_addr="10.1.0.2/24")

    Raises: TypeError for an unknown setting or one of the wrong type, ValueError for a bad one,
    RuntimeError once it is up.
    """
    from tapstack.runtime.default import Settings, default_stack

    default_stack.configure(Settings(**settings))
