"""Numbers that only a seed decides, so that a world can be repeated."""

from random import Random


class SeededEntropy:
    """The `Entropy` contract, from a seed."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def random_bits(self, count: int) -> int:
        """Return an integer of `count` bits."""
        return self._random.getrandbits(count)
