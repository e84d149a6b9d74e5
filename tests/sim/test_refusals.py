"""What makes no sense is refused in one sentence, when it is made."""

import re
from collections.abc import Callable

import pytest

from tapstack.sim import (
    BlackHole,
    CoDel,
    DropTail,
    GilbertElliott,
    Host,
    Link,
    ListLoss,
    LossIf,
    RandomLoss,
    Reordering,
    StepMarker,
    Way,
    World,
)
from tests.sim.worlds import two_hosts


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: DropTail(0), "the room of a queue is at least 1 frames, not 0"),
        (lambda: DropTail(octets=-5), "the room of a queue is at least 1 octets, not -5"),
        (lambda: DropTail(2.5), "the room of a queue is a whole number of frames, not 2.5"),
        (lambda: StepMarker(0), "the threshold of a queue is at least 1 frames, not 0"),
        (lambda: StepMarker(5, packets=3), "a queue of 3 frames never has 5 waiting"),
        (lambda: CoDel(target=0), "the target of CoDel is at least 1 µs, not 0"),
        (lambda: CoDel(interval=0.1), "the interval of CoDel is a whole number of µs, not 0.1"),
        (lambda: Way(queue=DropTail), "the queue of a way is one such as DropTail(100), not <cl"),
    ],
)
def test_a_queue_that_cannot_be(wrong: Callable[[], object], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(sentence)):
        wrong()


@pytest.mark.parametrize("which", ["tcp_config", "ip_config"])
def test_settings_that_are_none(which: str) -> None:
    with World() as world, pytest.raises(TypeError, match=f"^{which} is one such as .*, not {{}}$"):
        world.host("a", **{which: {}})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: RandomLoss("5%"), "a chance is a number from 0 to 1, not '5%'"),
        (lambda: ListLoss([2, 0]), "a frame's number is at least 1, not 0"),
        (lambda: ListLoss([1], which=5), "what tells which frames count is a function, not 5"),
        (lambda: LossIf(None), "what tells which frames get lost is a function, not None"),
        (lambda: BlackHole(0), "the MTU of a black hole is at least 68 octets, not 0"),
        (lambda: Reordering(0.1, by=-1), "how much later a frame comes is at least 1 µs, not -1"),
        (lambda: Way(impairments=[RandomLoss]), "an impairment is a function, not <class"),
        (lambda: Way(impairments=RandomLoss(0.1)), "the impairments of a way are a list of them"),
    ],
)
def test_an_impairment_that_cannot_be(wrong: Callable[[], object], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(sentence)):
        wrong()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda world, a, _: world.link(a, a), "a link has two ends, and not a at both"),
        (lambda world, a, _: world.link(a, World().host("b")), "is no host of this world"),
        (lambda world, a, b: world.link(a, b, DropTail(5)), "a link is made from a Way, and not"),
        (
            lambda world, a, b: world.link(a, b, addresses=("10.0.0.1/24", "10.0.1.2/24")),
            "10.0.0.1/24 and 10.0.1.2/24 are not of one network",
        ),
        (
            lambda world, a, b: world.link(a, b, addresses=("10.0.0.1/24", "10.0.0.1/24")),
            "both ends of a link cannot be 10.0.0.1/24",
        ),
        (
            lambda world, a, b: world.link(a, b, addresses=("10.0.0.1/24",)),
            "a link has two addresses, and not 1",
        ),
    ],
)
def test_a_link_that_cannot_be(wrong: Callable[[World, Host, Host], object], sentence: str) -> None:
    with World() as world:
        ends = world.host("a"), world.host("b")
        with pytest.raises((ValueError, TypeError), match=sentence):
            wrong(world, *ends)
        assert not world.links
        assert not ends[0].interfaces


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda world, _: world.sleep(-1), "a sleep of -1 s is less than none"),
        (lambda world, _: world.run_for(-1), "a duration is at least 0 µs, not -1"),
        (lambda world, _: world.run_for(0.5), "a duration is a whole number of µs, not 0.5"),
        (lambda world, _: world.run(until=0.5), "until is an instant in whole µs, or a function"),
        (lambda world, _: world.spawn(None), "a process is a function and its arguments, not None"),
        (lambda _, link: link.watch(None), "what watches a link is a function, not None"),
        (lambda _, link: link.capture("/dev/null", at=2), "the ends of a link are 0 and 1, and"),
    ],
)
def test_what_a_world_cannot_do(wrong: Callable[[World, Link], object], sentence: str) -> None:
    with World() as world:
        two_hosts(world)
        with pytest.raises((ValueError, TypeError), match=sentence):
            wrong(world, world.links[0])
        assert world.now == 0


def test_a_burst_that_never_begins_loses_nothing() -> None:
    assert GilbertElliott(0, 0).stationary_loss == 0
    assert GilbertElliott(0, 0.5, loss_when_good=0.25).stationary_loss == 0.25
