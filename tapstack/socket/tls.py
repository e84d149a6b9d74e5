"""What `ssl` is told when it would do TLS over a descriptor, which never carries any text.

Not done here: TLS itself. asyncio does it over these sockets, and so can who moves the octets
between a socket and `ssl.MemoryBIO`.
"""

from errno import EOPNOTSUPP
from types import FrameType

_REASON = (
    "TLS cannot be had by wrap_socket, which would read and write the descriptor: "
    "have asyncio do it, or SSLContext.wrap_bio with ssl.MemoryBIO"
)


def refuse_to_be_wrapped(caller: FrameType) -> None:
    """Refuse `SSLContext.wrap_socket`, which would wait for ever for what never comes.

    Before it takes the descriptor from its owner it asks for SO_TYPE, and so it is known by that
    question. Raises: OSError with EOPNOTSUPP.
    """
    if caller.f_globals.get("__name__") == "ssl":
        raise OSError(EOPNOTSUPP, _REASON)
