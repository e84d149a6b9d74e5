"""The send buffer: what it gives is what was put in, whatever becomes of the user's own octets."""

from __future__ import annotations

import pytest

from tapstack.tcp.send_buffer import SendBuffer

TEXT = bytes(range(256)) * 100
SIZE = 10_000


def all_of(buffer: SendBuffer) -> bytes:
    return b"".join(buffer.views(0, buffer.octets))


@pytest.mark.parametrize("text", [TEXT, bytearray(TEXT)])
def test_pieces_are_as_if_put_in_one_by_one(text: bytes | bytearray) -> None:
    one, other = SendBuffer(), SendBuffer()
    for buffer in (one, other):
        buffer.append(b"before")
    pieces = one.append_pieces(memoryview(text), SIZE)
    parts = [text[start : start + SIZE] for start in range(0, len(text), SIZE)]
    assert [bytes(piece) for piece in pieces] == parts
    for part in parts:
        other.append(part)
    for released in (3, 3, SIZE - 1, 2, SIZE):
        assert all_of(one) == all_of(other)
        assert [*map(bytes, one.views(7, 9000))] == [*map(bytes, other.views(7, 9000))]
        one.release(released)
        other.release(released)
    assert all_of(one) == all_of(other) == TEXT[2 * SIZE + 1 :]


def test_what_may_change_is_copied() -> None:
    buffer, text = SendBuffer(), bytearray(TEXT)
    buffer.append_pieces(memoryview(text).toreadonly(), SIZE)
    text[:] = bytes(len(text))
    assert all_of(buffer) == TEXT


def test_what_never_changes_is_kept_as_it_lies() -> None:
    pieces = SendBuffer().append_pieces(memoryview(TEXT)[5:], SIZE)
    assert all(isinstance(piece, memoryview) and piece.obj is TEXT for piece in pieces)


def test_a_small_part_does_not_keep_the_whole() -> None:
    pieces = SendBuffer().append_pieces(memoryview(TEXT)[: len(TEXT) // 2 - 1], SIZE)
    assert all(isinstance(piece, bytes) for piece in pieces)
