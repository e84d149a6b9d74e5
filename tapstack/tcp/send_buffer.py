"""The send buffer: text from SND.UNA on, held until it is acknowledged (RFC 9293 §3.10.2).

Text is copied once, on its way in, if it might change at all, and never moves after that: what is
sent, and sent again, are views of it.

Not done here: what of it has been sent (`retransmission_queue.py`) and may be sent (`output.py`).
"""

from bisect import bisect_right

from tapstack.base.contracts import Buffer

_MAX_PARTS = 16
"""Views handed out at most: many small writes are joined rather than gathered."""


class SendBuffer:
    """A queue of octets, addressed by their distance from the oldest one that is held."""

    __slots__ = ("_chunks", "_head", "_starts", "_tail", "octets")

    def __init__(self) -> None:
        # Positions count all octets ever appended; chunk i holds those from _starts[i] on. There
        # are lists only while there is text: most connections have none, most of the time.
        self._chunks: list[Buffer] | None = None
        self._starts: list[int] | None = None
        self._head = 0
        self._tail = 0
        self.octets = 0
        """How many are held."""

    def append(self, text: Buffer) -> None:
        """Copy text to the end of the queue."""
        chunk = bytes(text)
        length = len(chunk)
        if self._chunks is None or self._starts is None:
            self._chunks, self._starts = [chunk], [self._tail]
        else:
            self._chunks.append(chunk)
            self._starts.append(self._tail)
        self._tail += length
        self.octets += length

    def hold(self, chunk: bytes, length: int) -> None:
        """Put text of so many octets into the queue, which is empty, as it lies there."""
        self._chunks, self._starts = [chunk], [self._tail]
        self._tail += length
        self.octets = length

    def append_pieces(self, text: memoryview, size: int) -> list[Buffer]:
        """Put a long text at the end of the queue in pieces of so many octets, and give them.

        It is copied, unless it lies in `bytes`, which never change, and is most of those: so when
        it is queued, no more memory is held than twice what is counted. The last of its pieces to
        be released lets go of all.
        """
        length, whole = len(text), text.obj
        starts = range(0, length, size)
        pieces: list[Buffer] = [text[start : start + size] for start in starts]
        if type(whole) is not bytes or len(whole) > 2 * length:
            pieces = [bytes(piece) for piece in pieces]
        if self._chunks is None or self._starts is None:
            self._chunks, self._starts = [], []
        self._chunks += pieces
        self._starts += range(self._tail, self._tail + length, size)
        self._tail += length
        self.octets += length
        return pieces

    def views(self, offset: int, length: int) -> list[Buffer]:
        """Give the `length` octets that begin `offset` octets behind the oldest, as views."""
        position = self._head + offset
        end = position + length
        assert offset >= 0
        assert end <= self._tail
        chunks, starts = self._chunks, self._starts
        assert chunks
        assert starts
        if position >= starts[-1]:
            last = chunks[-1]
            if length == len(last):
                return [last]
            return [memoryview(last)[position - starts[-1] : end - starts[-1]]]
        index = bisect_right(starts, position) - 1
        parts: list[Buffer] = []
        while position < end:
            start, chunk = starts[index], chunks[index]
            stop = min(end, start + len(chunk))
            parts.append(memoryview(chunk)[position - start : stop - start])
            position = stop
            index += 1
        return parts if len(parts) <= _MAX_PARTS else [b"".join(parts)]

    def release(self, count: int) -> None:
        """Let go of the oldest `count` octets: they are acknowledged."""
        self._head += count
        self.octets -= count
        assert self.octets >= 0
        if not self.octets:
            self._chunks = self._starts = None
        elif self._chunks and self._starts:
            done = bisect_right(self._starts, self._head) - 1
            if done:
                del self._chunks[:done], self._starts[:done]

    def clear(self) -> None:
        """Let go of everything."""
        self._head = self._tail
        self.octets = 0
        self._chunks = self._starts = None
