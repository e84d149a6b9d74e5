"""The flags of receiving and sending, as plain integers (recv(2), send(2)).

The standard library's are members of an enumeration, whose `&` takes longer than all else that some
calls have to do.
"""

import socket as constants

MSG_DONTWAIT = int(constants.MSG_DONTWAIT)
MSG_ERRQUEUE = int(constants.MSG_ERRQUEUE)
MSG_FASTOPEN = int(constants.MSG_FASTOPEN)
MSG_EOR = int(constants.MSG_EOR)
MSG_MORE = int(constants.MSG_MORE)
MSG_OOB = int(constants.MSG_OOB)
MSG_PEEK = int(constants.MSG_PEEK)
MSG_TRUNC = int(constants.MSG_TRUNC)
MSG_WAITALL = int(constants.MSG_WAITALL)
MSG_ZEROCOPY = 0x4000000  # <linux/socket.h>: Python 3.10 has no name for it

NEVER_WAITS = MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB
"""Whoever receives with one of these takes what there is, or is told that there is nothing."""

GOES_ON = 1 << 32
"""No flag of Linux's: what is sent is the rest of one call, whose beginning was taken before."""
TAKES_ALL = 1 << 33
"""Nor is this: the call goes on until all of it is taken."""
