"""A flag that one thread raises and others wait for as they wait for a file.

Not done here: waiting (`interrupt.wait_readable`).
"""

import os


class Flag:
    """Lowered at first; once raised, its descriptor is readable and stays so."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_up = False

    def up(self) -> None:
        """Raise it. Safe in a signal handler."""
        self.is_up = True
        os.eventfd_write(self._fd, 1)

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._fd

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)
