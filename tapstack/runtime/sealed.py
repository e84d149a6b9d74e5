"""A network namespace from within which nothing else of the machine's settings can be changed.

What is mounted here is seen here alone. /sys shows this namespace's interfaces; of /sys and of
/proc/sys only /proc/sys/net may be written, which is the namespace's own: the kernel shows there
what each namespace has for itself (mount_namespaces(7), network_namespaces(7)).

Not done here: keeping root from files.
"""

import ctypes
import os
from contextlib import suppress

from tapstack.device import host
from tapstack.runtime.namespace import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    enter_private_namespace,
    unshare,
)

# <linux/mount.h>
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000

_KEPT = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
"""What a mount says that a user namespace may not take back; statvfs(3) has the same bits."""


def enter_sealed_namespace() -> None:
    """Move this process into new namespaces, with the loopback up. Call before any thread.

    Root stays the machine's root, so that the kernel loads what modules the settings ask for.
    Raises: OSError with one clear sentence.
    """
    try:
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        host.bring_up("lo")
    except PermissionError:
        enter_private_namespace()
        unshare(CLONE_NEWNS)
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    _show_own_interfaces()
    _mount("/proc/sys", "/proc/sys", _MS_BIND)
    _remount("/proc/sys", _MS_RDONLY)
    _mount("/proc/sys/net", "/proc/sys/net", _MS_BIND)
    with suppress(PermissionError):  # it was read-only, and a user may not change that
        _remount("/proc/sys/net", 0)


def _show_own_interfaces() -> None:
    try:
        _mount("sysfs", "/sys", _MS_RDONLY | _KEPT, "sysfs")
    except PermissionError:  # where /sys is covered in part, no user may see it whole
        _mount("/sys", "/sys", _MS_BIND | _MS_REC)
        _remount("/sys", _MS_RDONLY)


def _remount(path: str, flags: int) -> None:
    _mount("none", path, _MS_REMOUNT | _MS_BIND | flags | os.statvfs(path).f_flag & _KEPT)


def _mount(source: str, target: str, flags: int, kind: str = "none") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None
    if libc.mount(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot seal {target} in a namespace: {os.strerror(number)}")
