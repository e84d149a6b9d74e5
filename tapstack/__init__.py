"""A TCP/IP stack in pure Python, in user space, on a Linux TAP device."""
