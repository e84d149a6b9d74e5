"""SipHash-2-4 against its published vectors: key 00…0f, messages 00 01 02 … of each length."""

import pytest

from tapstack.base.siphash import siphash

KEY = bytes(range(16))
VECTORS = {  # vectors.h of the reference implementation, and appendix A of the paper (15)
    0: "310e0edd47db6f72",
    1: "fd67dc93c539f874",
    2: "5a4fa9d909806c0d",
    3: "2d7efbd796666785",
    4: "b7877127e09427cf",
    5: "8da699cd64557618",
    6: "cee3fe586e46c9cb",
    7: "37d1018bf50002ab",
    8: "6224939a79f5f593",
    15: "e545be4961ca29a1",
}


@pytest.mark.parametrize(("length", "expected"), VECTORS.items())
def test_the_published_vectors(length: int, expected: str) -> None:
    assert siphash(KEY, bytes(range(length))).hex() == expected


def test_every_bit_of_the_key_and_of_the_message_counts() -> None:
    message = bytes(range(20))
    hashes = {siphash(KEY, message)}
    for bit in range(128):
        changed = (int.from_bytes(KEY, "big") ^ 1 << bit).to_bytes(16, "big")
        hashes.add(siphash(changed, message))
    for bit in range(160):
        changed = (int.from_bytes(message, "big") ^ 1 << bit).to_bytes(20, "big")
        hashes.add(siphash(KEY, changed))
    assert len(hashes) == 1 + 128 + 160
