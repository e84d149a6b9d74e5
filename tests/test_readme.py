"""What the README and the other documents say, is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


EXAMPLES = re.findall(r"```python\n(.*?)```\n\nIt prints `(.*?)`", README, re.S)


def test_every_example_has_a_promise() -> None:
    assert len(EXAMPLES) == README.count("```python") == 3


@pytest.mark.parametrize(("example", "promised"), EXAMPLES)
def test_an_example_prints_what_the_readme_says(
    example: str, promised: str, tmp_path: Path
) -> None:
    (tmp_path / "example.py").write_text(example)

    done = subprocess.run(
        [sys.executable, "-W", "error", str(tmp_path / "example.py")],
        env={**os.environ, "TAPSTACK_DEV": "none"},
        capture_output=True,
        timeout=30,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == (promised + "\n", "")


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:`|^ +|\$ )make ([a-z]+)\b", README, re.M))
    assert targets >= {"up", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_every_file_named_in_the_design_is_there() -> None:
    design = (ROOT / "docs" / "design.md").read_text()
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", design))
    assert len(named) > 20
    tree = [f"/{path.relative_to(ROOT)}" for path in (ROOT / "tapstack").rglob("*.py")]
    for name in named:
        assert (ROOT / name).exists() or any(f"/{name}" in path for path in tree), name


SCRIPT = re.search(r"```packetdrill\n(.*?)```", README, re.S)


def drill(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from tapstack.cli import main; main()", "drill", script.name],
        cwd=script.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=30,
        text=True,
    )


def test_the_script_passes_and_fails_as_the_readme_shows(tmp_path: Path) -> None:
    assert SCRIPT is not None
    script = tmp_path / "hello.pkt"
    script.write_text(SCRIPT[1])
    done = drill(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    script.write_text(SCRIPT[1].replace("P. 1:6(5) ack 1", "P. 1:6(5) ack 2"))
    done = drill(script)
    begin = README.index("    hello.pkt:9: another packet")
    shown = README[begin : README.index("\n\n", begin)].replace("\n    ", "\n").strip()
    assert done.returncode == 1
    assert done.stdout.startswith(shown + "\n")
