"""Runs many random worlds, on every core: `python -m tests.properties.many_worlds [WORLDS [SEED]]`.

It tells how far it is, and each failure as hypothesis has shrunk it; the exit status is 1 if there
is any. Another first seed makes other worlds.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.properties.test_random_worlds import WORLDS, check

CHUNK = 250
"""Worlds of one task: its seed is told with what it finds."""


def run_chunk(number: int, worlds: int) -> str:
    """Run some worlds; give what is wrong, or nothing."""
    test = given(WORLDS)(check)
    quietly = settings(
        max_examples=worlds,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
    )
    try:
        warnings.simplefilter("ignore", ResourceWarning)  # of sockets in a world that broke down
        seed(number)(quietly(test))()
    except BaseException:  # noqa: BLE001 - whatever it is, it is what we look for
        return traceback.format_exc()
    return ""


def main(worlds: int, first: int) -> int:
    """Run them all, and tell. Returns the exit status."""
    began, done, failures = time.monotonic(), 0, 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sizes = [min(CHUNK, worlds - begin) for begin in range(0, worlds, CHUNK)]
        tasks = {
            pool.submit(run_chunk, first + number, size): (first + number, size)
            for number, size in enumerate(sizes)
        }
        for task in as_completed(tasks):
            number, size = tasks[task]
            done += size
            if wrong := task.result():
                failures += 1
                print(f"--- seed {number}\n{wrong}", flush=True)
            seconds = time.monotonic() - began
            print(f"{done} of {worlds} worlds, {failures} failures, {seconds:.0f} s", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*[int(each) for each in (sys.argv[1:] + ["10000", "0"][len(sys.argv) - 1 :])]))
