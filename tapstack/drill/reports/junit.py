"""Results as a JUnit file, which most CI systems read.

Not done here: running anything.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tapstack.drill.outcome import Result, Verdict

_UNPRINTABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML has no place for (XML 1.0 §2.2)."""


def write_junit(path: Path, results: Sequence[Result]) -> None:
    """Write a file with a suite for each folder. Raises: OSError, which names the file."""
    folders: defaultdict[str, list[Result]] = defaultdict(list)
    for each in results:
        folders[str(Path(each.name).parent)].append(each)
    root = ElementTree.Element("testsuites", {"name": "tapstack drill", **_counts(results)})
    for folder, its in folders.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": folder, **_counts(its)})
        for each in its:
            _add_case(suite, folder, each)
    ElementTree.indent(root)
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _counts(results: Sequence[Result]) -> dict[str, str]:
    kinds = [_KINDS[each.verdict] for each in results]
    return {
        "tests": str(len(results)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{sum(each.seconds for each in results):.3f}",
    }


_KINDS = {
    Verdict.PASSED: "",
    Verdict.FAILED: "failure",
    Verdict.UNSUPPORTED: "skipped",
    Verdict.UNREADABLE: "error",
    Verdict.BROKEN: "error",
}


def _add_case(suite: ElementTree.Element, folder: str, result: Result) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=folder.replace("/", "."),
        name=Path(result.name).name,
        file=result.name,
        time=f"{result.seconds:.3f}",
    )
    kind = _KINDS[result.verdict]
    if kind:
        told = ElementTree.SubElement(case, kind, message=_printable(result.reason))
        told.text = _printable(result.report)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
