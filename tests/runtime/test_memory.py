"""What a process frees it keeps: text comes and goes without the system being asked for pages."""

import resource
import subprocess
import sys

PIECES = 500


def allocate_and_free() -> int:
    """Hold 32 MB of text for a moment; give how many pages the system had to find for that."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    text = [b"x" * 65_160 for _ in range(PIECES)]
    del text
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def faults(preparation: str) -> int:
    program = (
        f"from tests.runtime.test_memory import allocate_and_free\n{preparation}\n"
        "allocate_and_free()\nprint(allocate_and_free())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return int(run.stdout)


def test_freed_memory_is_used_again_without_new_pages() -> None:
    keep = "from tapstack.runtime.memory import keep_freed_memory; keep_freed_memory()"
    assert faults(keep) < PIECES < faults("")
