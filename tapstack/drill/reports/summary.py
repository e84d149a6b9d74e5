"""Many scripts' results in few lines: by folder, what was unsupported how often, what failed.

Not done here: the reports of single scripts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tapstack.drill.outcome import Result, Verdict

_COLUMNS = ("passed", "failed", "unsupported")


def summarize(results: Sequence[Result], seconds: float) -> Iterator[str]:
    """Give the lines; `seconds` is the real time that all took together."""
    yield from _table(results)
    unsupported = [each.reason for each in results if each.verdict is Verdict.UNSUPPORTED]
    if unsupported:
        yield from ("", "Unsupported:")
        for construct, times in sorted(Counter(unsupported).items(), key=_often_first):
            yield f"{times:6}  {construct}"
    failed = [each for each in results if has_failed(each)]
    if failed:
        yield from ("", "Failed:")
        yield from (f"  {each.name}: {each.reason}" for each in failed)
    counts = _count(results)
    words = [f"{counts[name]} {name}" for name in _COLUMNS if counts[name] or name == "passed"]
    yield from ("", f"{len(results)} scripts: {', '.join(words)}, in {seconds:.2f} s")


def has_failed(result: Result) -> bool:
    """Tell whether a script neither passed nor asked for what there is not."""
    return result.verdict not in (Verdict.PASSED, Verdict.UNSUPPORTED)


def _often_first(item: tuple[str, int]) -> tuple[int, str]:
    construct, times = item
    return -times, construct


def _count(results: Sequence[Result]) -> Counter[str]:
    return Counter("failed" if has_failed(each) else each.verdict.value for each in results)


def _table(results: Sequence[Result]) -> Iterator[str]:
    folders: defaultdict[str, list[Result]] = defaultdict(list)
    for each in results:
        folders[str(Path(each.name).parent)].append(each)
    width = max(map(len, folders))
    yield f"{'':{width}}  {'  '.join(_COLUMNS)}       time"
    for folder, its in sorted(folders.items()):
        counts = _count(its)
        cells = [f"{counts[name] or '-':>{len(name)}}" for name in _COLUMNS]
        seconds = sum(each.seconds for each in its)
        yield f"{folder:{width}}  {'  '.join(cells)}  {seconds:7.2f} s"
