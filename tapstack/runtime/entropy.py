"""Randomness from the system, for what nobody must guess."""

import secrets


class SystemEntropy:
    """The `Entropy` contract, from the kernel's generator."""

    def random_bits(self, count: int) -> int:
        """Return an unpredictable integer of `count` bits."""
        return secrets.randbits(count)
