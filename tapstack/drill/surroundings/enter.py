"""A program: become a shell that sees a simulated network, in namespaces of its own.

    python enter.py FOLDER

`FOLDER/bin` has programs, which lie over the system's of the same names from then on;
`FOLDER/sys-net` lies over /proc/sys/net, `FOLDER/cubic` over CUBIC's parameters, `FOLDER/net` over
/proc/net. What else is below /proc/sys and /sys cannot be written, whoever tries. The network is
empty. Where that cannot be had it prints why, and ends.

It is run as a file by itself, so that it imports nothing but the standard library.

Not done here: filling the folder (`shell.py`).
"""

import ctypes
import os
import sys
from pathlib import Path

# <linux/sched.h>
_NEW_MOUNTS = 0x00020000
_NEW_NETWORK = 0x40000000
_NEW_USERS = 0x10000000
# <linux/mount.h>
_READ_ONLY = 0x1
_REMOUNT = 0x20
_BIND = 0x1000
_RECURSIVE = 0x4000
_PRIVATE = 0x40000
_KEPT = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC  # have the same values in both
# <asm/unistd.h>, the same on every machine but Alpha
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
# <linux/mount.h> and <linux/fcntl.h>
_HERE = -100
_CLONE_TREE = 0x1
_NOT_FOLLOWED = 0x100
_FROM_EMPTY_PATH = 0x4

_CUBIC = Path("/sys/module/tcp_cubic/parameters")
_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

_libc = ctypes.CDLL(None, use_errno=True)


def main(folder: Path) -> None:
    """Enter, and become the shell. Raises: OSError."""
    _unshare()
    _mount("none", "/", _PRIVATE | _RECURSIVE)
    for place in ("/proc/sys", "/sys"):
        _make_read_only(place)
    _mount(str(folder / "sys-net"), "/proc/sys/net", _BIND)
    if _CUBIC.is_dir():
        _mount(str(folder / "cubic"), str(_CUBIC), _BIND)
    for path, program in _programs_of_the_system(folder / "bin").items():
        _mount(str(program), path, _BIND)
    _lay_over_link(folder / "net-link", "/proc/net")
    os.execv("/bin/sh", ["sh"])


def _programs_of_the_system(ours: Path) -> dict[str, Path]:
    """Find where the system has programs of the names of ours, each once.

    Not those that are one program under many names, such as busybox, which is `sh`, too.
    """
    places = (Path(place, program.name) for place in _PLACES for program in ours.iterdir())
    found = {os.path.realpath(path) for path in places if path.is_file()}
    return {path: ours / name for path in found if (ours / (name := Path(path).name)).is_file()}


def _unshare() -> None:
    """Enter new namespaces: with rights over them and nothing else, where that can be had."""
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_NEW_USERS | _NEW_MOUNTS | _NEW_NETWORK) == 0:
        Path("/proc/self/setgroups").write_text("deny")  # user_namespaces(7) asks for it
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    else:
        _check(_libc.unshare(_NEW_MOUNTS | _NEW_NETWORK))


def _make_read_only(place: str) -> None:
    _mount(place, place, _BIND | _RECURSIVE)
    kept = os.statvfs(place).f_flag & _KEPT
    _mount("none", place, _REMOUNT | _BIND | _READ_ONLY | kept)


def _lay_over_link(link: Path, place: str) -> None:
    """Lay a symbolic link over another one, which mount(2) would follow."""
    tree = _libc.syscall(_SYS_OPEN_TREE, _HERE, os.fsencode(link), _CLONE_TREE | _NOT_FOLLOWED)
    _check(tree)
    moved = _libc.syscall(_SYS_MOVE_MOUNT, tree, b"", _HERE, place.encode(), _FROM_EMPTY_PATH)
    _check(moved)
    os.close(tree)


def _mount(source: str, target: str, flags: int) -> None:
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, flags, None))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except OSError as error:
        print(error, flush=True)
