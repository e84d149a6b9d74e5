"""What ioctl(2) asks of a socket: octets that wait, and the urgent mark (tcp(7), udp(7)).

Not done here: the answers (`stream.py`, `messages.py`).
"""

SIOCINQ = 0x541B
"""Octets that may be read now, up to the urgent mark; FIONREAD is another name for it."""
SIOCOUTQ = 0x5411
"""Octets that are queued or in flight; TIOCOUTQ is another name for it."""
SIOCOUTQNSD = 0x894B
"""Octets that were never sent."""
SIOCATMARK = 0x8905
"""1 when the next octet of the stream is the urgent one: sockatmark(3)."""
UNACKNOWLEDGED = frozenset({SIOCOUTQ, SIOCOUTQNSD})
