"""Arguments that make no sense, refused in one sentence when something is made of them.

Not done here: what a sensible argument is: who takes it says so.
"""

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def check_chance(chance: float) -> float:
    """Give a chance back if it is one. Raises: ValueError, TypeError."""
    if not isinstance(chance, int | float):
        raise TypeError(f"a chance is a number from 0 to 1, not {chance!r}")
    if not 0 <= chance <= 1:
        raise ValueError(f"a chance of {chance} is not between 0 and 1")
    return chance


def check_whole(what: str, number: int, least: int = 1, unit: str = "") -> int:
    """Give a number back if it is whole, and large enough. Raises: ValueError, TypeError."""
    if not isinstance(number, int):
        raise TypeError(f"{what} is a whole number{unit and f' of {unit}'}, not {number!r}")
    if number < least:
        raise ValueError(f"{what} is at least {least} {unit}".rstrip() + f", not {number}")
    return number


def check_function(what: str, function: F) -> F:
    """Give a function back if it is one, or an object that is called as one. Raises: TypeError."""
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"{what} is a function, not {function!r}")
    return function
