"""SipHash-2-4: a keyed hash of short messages (Aumasson and Bernstein, 2012).

Not done here: choosing keys.
"""

from tapstack.base.contracts import Buffer

KEY_LENGTH = 16
_MASK = 0xFFFFFFFFFFFFFFFF
_State = tuple[int, int, int, int]


def siphash(key: bytes, message: Buffer) -> bytes:
    """Hash a message under a key of 16 octets; the hash has eight, the lowest first."""
    k0, k1 = (int.from_bytes(key[at : at + 8], "little") for at in (0, 8))
    # "somepseudorandomlygeneratedbytes", as the paper has it
    state = (
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    )
    whole = len(message) & ~7
    for at in range(0, whole, 8):
        state = _compress(state, int.from_bytes(message[at : at + 8], "little"))
    rest = int.from_bytes(message[whole:], "little")
    state = _compress(state, rest | (len(message) & 0xFF) << 56)
    v0, v1, v2, v3 = state
    state = v0, v1, v2 ^ 0xFF, v3
    for _ in range(4):
        state = _round(state)
    return (state[0] ^ state[1] ^ state[2] ^ state[3]).to_bytes(8, "little")


def _compress(state: _State, word: int) -> _State:
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = _round(_round((v0, v1, v2, v3 ^ word)))
    return v0 ^ word, v1, v2, v3


def _round(state: _State) -> _State:
    v0, v1, v2, v3 = state
    v0 = v0 + v1 & _MASK
    v1 = _rotate(v1, 13) ^ v0
    v0 = _rotate(v0, 32)
    v2 = v2 + v3 & _MASK
    v3 = _rotate(v3, 16) ^ v2
    v0 = v0 + v3 & _MASK
    v3 = _rotate(v3, 21) ^ v0
    v2 = v2 + v1 & _MASK
    v1 = _rotate(v1, 17) ^ v2
    v2 = _rotate(v2, 32)
    return v0, v1, v2, v3


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK
