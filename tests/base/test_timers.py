"""The timer queue against the plainest model: a dict of deadlines, searched from end to end."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tapstack.base.timers import NEVER_ARMED, NeverArmed, Timer, TimerQueue

NAMES = "abcde"


@dataclass
class Diary:
    """Owner of timers that writes down what expired, and when."""

    entries: list[tuple[int, str]] = field(default_factory=list)

    def on_alarm(self, name: str, now: int) -> None:
        self.entries.append((now, name))


class AgainstAModel(RuleBasedStateMachine):
    """Arms, cancels and expires; the model knows each timer's deadline and when it was set."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = TimerQueue()
        self.diary = Diary()
        self.timers: dict[str, Timer | NeverArmed] = dict.fromkeys(NAMES, NEVER_ARMED)
        self.model: dict[str, int] = {}
        self.now = 0

    @rule(name=st.sampled_from(NAMES), delay=st.integers(1, 20))
    def arm(self, name: str, delay: int) -> None:
        timer, deadline = self.timers[name], self.now + delay
        self.timers[name] = self.queue.arm(timer, deadline, name, self.diary.on_alarm)
        self.model[name] = deadline

    @rule(name=st.sampled_from(NAMES))
    def cancel(self, name: str) -> None:
        self.timers[name].cancel()
        self.model.pop(name, None)

    @rule(step=st.integers(0, 15))
    def expire(self, step: int) -> None:
        self.now += step
        self.diary.entries.clear()

        fired = self.queue.expire(self.now)

        due = {name: deadline for name, deadline in self.model.items() if deadline <= self.now}
        assert fired == len(due)
        assert {name for _, name in self.diary.entries} == set(due)
        assert all(when == self.now for when, _ in self.diary.entries)
        order = [due[name] for _, name in self.diary.entries]
        assert order == sorted(order), "soonest first"
        for name in due:
            del self.model[name]

    @invariant()
    def the_next_deadline_is_exact(self) -> None:
        assert self.queue.next_deadline() == min(self.model.values(), default=None)

    @invariant()
    def armed_timers_are_listed_soonest_first(self) -> None:
        listed = [(timer.deadline, timer.owner) for timer in self.queue.armed()]
        assert sorted(listed) == sorted((when, name) for name, when in self.model.items())
        assert [when for when, _ in listed] == sorted(when for when, _ in listed)


TestAgainstAModel = AgainstAModel.TestCase


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_equal_deadlines_expire_in_the_order_of_arming(order: list[str]) -> None:
    queue, diary = TimerQueue(), Diary()
    timers = {name: queue.timer(name, diary.on_alarm) for name in NAMES}
    for name in order:
        timers[name].arm(5)

    queue.expire(5)

    assert [name for _, name in diary.entries] == order


def test_a_timer_that_is_armed_for_sooner_comes_behind_those_that_were_before() -> None:
    queue, diary = TimerQueue(), Diary()
    first, second = (queue.timer(name, diary.on_alarm) for name in "ab")
    first.arm(20)
    second.arm(10)
    first.arm(10)

    queue.expire(10)

    assert diary.entries == [(10, "b"), (10, "a")]


def test_a_timer_may_be_armed_again_by_its_own_expiry() -> None:
    queue = TimerQueue()
    ticks: list[int] = []

    def on_tick(owner: list[Timer], now: int) -> None:
        ticks.append(now)
        owner[0].arm(now + 10)

    owner: list[Timer] = []
    owner.append(queue.timer(owner, on_tick))
    owner[0].arm(10)
    for now in (9, 10, 15, 25):
        queue.expire(now)

    assert ticks == [10, 25]
    assert queue.next_deadline() == 35


def test_an_expiry_may_cancel_another_timer_that_is_due() -> None:
    queue, diary = TimerQueue(), Diary()
    second = queue.timer("second", diary.on_alarm)
    first = queue.timer("first", lambda owner, now: second.cancel())
    first.arm(1)
    second.arm(1)

    assert queue.expire(1) == 1
    assert diary.entries == []


def test_rearming_later_does_not_grow_the_heap() -> None:
    queue, diary = TimerQueue(), Diary()
    timer = queue.timer("x", diary.on_alarm)
    for deadline in range(1, 1001):
        timer.arm(deadline)

    assert queue.entries == 1
    assert queue.next_deadline() == 1000


def test_cancelled_timers_do_not_fill_the_memory() -> None:
    queue = TimerQueue()
    kept = queue.timer("kept", Diary().on_alarm)
    kept.arm(7200)
    for _ in range(10_000):
        timer = queue.timer("gone", Diary().on_alarm)
        timer.arm(7200)
        timer.cancel()
    assert queue.entries < 100
    assert list(queue.armed()) == [kept]
    assert queue.next_deadline() == 7200


def test_a_timer_that_was_cleared_up_can_be_armed_again() -> None:
    queue = TimerQueue()
    diary = Diary()
    timers = [queue.timer(str(index), diary.on_alarm) for index in range(200)]
    for timer in timers:
        timer.arm(1000)
        timer.cancel()
    timers[0].arm(500)
    queue.timer("other", diary.on_alarm).arm(600)
    timers[1].arm(2000)
    assert queue.expire(3000) == 3
    assert [name for _, name in diary.entries] == ["0", "other", "1"]


def test_timers_can_be_run_one_at_a_time() -> None:
    queue, diary = TimerQueue(), Diary()
    for name, deadline in (("late", 30), ("first", 10), ("second", 10)):
        queue.timer(name, diary.on_alarm).arm(deadline)
    assert [queue.expire_next(20) for _ in range(3)] == [True, True, False]
    assert [name for _, name in diary.entries] == ["first", "second"]


def test_a_timer_is_named_for_what_it_does() -> None:
    assert TimerQueue().timer("x", Diary().on_alarm).kind == "on_alarm"


@pytest.mark.parametrize("now", [-1, 0, 10**15])
def test_an_empty_queue_has_no_deadline_and_expires_nothing(now: int) -> None:
    queue = TimerQueue()
    assert queue.next_deadline() is None
    assert queue.expire(now) == 0


def test_timers_of_one_alarm_go_off_each_for_its_owner() -> None:
    queue, rung = TimerQueue(), []

    def on_alarm(name: str, now: int) -> None:
        rung.append((now, name))

    timers = [Timer(queue.alarm(on_alarm), name) for name in "ab"]
    assert timers[0].alarm is timers[1].alarm
    timers[0].arm(20)
    timers[1].arm(10)
    assert queue.expire(20) == 2
    assert rung == [(20, "b"), (20, "a")]
