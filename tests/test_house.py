"""The house stands as docs/design.md says: who imports whom, what the core may not know, how long
a room may grow. Each rule is held against the whole tree, and against a source that breaks it.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TREE = sorted((ROOT / "tapstack").rglob("*.py"))

ENGINES = {"eth", "arp", "ip", "udp", "tcp"}
ROOMS = {
    "stack": 3,
    "express": 3,
    "express_datagrams": 3,
    "express_headers": 3,
    "express_out": 3,
    "express_runs": 3,
    "express_syns": 3,
    "interface": 3,
    "sysctl": 3,
    "socket": 4,
    "device": 4,
    "capture": 4,
    "runtime": 5,
    "sim": 5,
}
LIBRARIES = {  # third-party library -> the modules that may import it, by prefix
    "pytun": ("tapstack.device.tap",),
    "click": ("tapstack.shell.command_line",),
    "lark": tuple(
        f"tapstack.drill.language.{module}"
        for module in ("parser", "packet_builder", "refusals", "tree_builder")
    ),
    "prompt_toolkit": ("tapstack.shell",),
}
IMPURE = set(
    "time datetime threading _thread select selectors signal random secrets os socket _socket "
    "asyncio subprocess multiprocessing concurrent queue sched fcntl ctypes importlib".split()
)
SEQUENCE_NUMBERS = set(
    "seq ack iss irs isn snd_una snd_nxt snd_max snd_up snd_sml snd_wl1 snd_wl2 "
    "rcv_nxt rcv_up rcv_wup rcv_adv".split()
)
BY_NAME = "tapstack.socket.default"
"""The one module that asks for a higher floor by name: the stack that a plain `socket()` means."""
SPELT_OUT = {
    "tapstack.tcp.seq",
    "tapstack.tcp.congestion.hystart",
    "tapstack.tcp.exchange",
    "tapstack.tcp.expected_end",
    "tapstack.tcp.expected_segment",
    "tapstack.tcp.receive_window",
    "tapstack.tcp.lone_fin",
    "tapstack.tcp.short_text",
    "tapstack.tcp.expected_syn",
    "tapstack.tcp.expected_turn",
    "tapstack.tcp.rtt",
}
"""The modules with sequence arithmetic in place: its home, and the paths that most frames pay."""
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def place(name: str) -> tuple[int, str]:
    """Tell the floor and the room of a module, or of a name in one: only the path's head counts."""
    _, room, stem, *_ = [*name.split("."), "", ""]
    if room == "base":
        return 0, room
    if room in ENGINES:
        ground = stem.endswith("wire") or (room == "tcp" and stem in {"seq", "options", "segment"})
        return (1 if ground else 2), room
    return ROOMS.get(room, 6), room


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Go through what is imported anywhere, inside functions too: (line, dotted name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def may_import(module: str, target: str) -> bool:
    """Keep the floors: downwards, and sideways only at home."""
    floor, room = place(module)
    target_floor, target_room = place(target)
    if floor == 6:
        return True
    if floor in (1, 2) and target_floor in (1, 2):
        return room == target_room and target_floor <= floor
    if room == target_room or floor == target_floor == 3:
        return True
    return target_floor < floor


def check_floors(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for line, target in imports(tree):
        if target.startswith("."):
            yield line, "relative import"
        elif target.startswith("importlib.") and place(module)[0] < 6 and module != BY_NAME:
            yield line, "an import that the floors cannot see"
        elif target.split(".")[0] == "tapstack" and not may_import(module, target):
            yield line, f"floor {place(module)[0]} may not import {target}"


def check_libraries(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for line, target in imports(tree):
        library = target.split(".")[0]
        if library == "construct":
            floor, _ = place(module)
            allowed = floor in (1, 4, 5, 6) or module == "tapstack.base.codec"
        else:
            allowed = module.startswith(LIBRARIES.get(library, ("",)))
        if not allowed:
            yield line, f"{library} is not for this module"


def check_purity(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if place(module)[0] > 3:
        return
    for line, target in imports(tree):
        if (module, target) == ("tapstack.base.errors", "os.strerror"):
            continue
        if target.split(".")[0] in IMPURE:
            yield line, f"the core may not know {target}"


def sequence_number(node: ast.expr) -> str:
    """Give the name of a sequence number, or ''."""
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return name if name in SEQUENCE_NUMBERS else ""


def bare_operands(node: ast.AST) -> list[ast.expr]:
    """Give what a node compares by order, adds or subtracts."""
    if isinstance(node, ast.Compare):
        ordered = any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops)
        return [node.left, *node.comparators] if ordered else []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
        return [node.target, node.value]
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"min", "max", "sorted"}
    ):
        return node.args
    return []


def check_sequence_numbers(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if place(module)[1] != "tcp" or module in SPELT_OUT:
        return
    for node in ast.walk(tree):
        for operand in bare_operands(node):
            if name := sequence_number(operand):
                yield operand.lineno, f"{name} is modulo 2**32: use tapstack.tcp.seq"


def check_size(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    last = max((node.end_lineno or 0 for node in tree.body), default=0)
    if last > MAX_MODULE_LINES:
        yield last, f"module longer than {MAX_MODULE_LINES} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {length} lines, over {MAX_FUNCTION_LINES}"


def check_docstring(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if not ast.get_docstring(tree):
        yield 1, "no docstring"


def check_pointers(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What a docstring sends the reader to must be there: `output.py`, `base/checksum.py`."""
    home = ROOT.joinpath(*module.split("."))
    folders = [folder for folder in (home, *home.parents) if folder.is_relative_to(ROOT)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for target in re.findall(r"`([\w/]+(?:\.py|/))`", ast.get_docstring(node) or ""):
                if not any((folder / target).exists() for folder in folders):
                    yield getattr(node, "lineno", 1), f"{target} is not there"


Check = Callable[[str, ast.Module], Iterator[tuple[int, str]]]
CHECKS: list[Check] = [
    check_floors,
    check_libraries,
    check_purity,
    check_sequence_numbers,
    check_size,
    check_docstring,
    check_pointers,
]


@pytest.mark.parametrize("check", CHECKS)
def test_the_tree_keeps_the_rule(check: Check) -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in TREE
        for line, what in check(module_name(path), ast.parse(path.read_text()))
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_the_whole_tree_is_read() -> None:
    names = {module_name(path) for path in TREE}
    assert {"tapstack", "tapstack.base.codec", "tapstack.tcp.seq", "tapstack.ip"} <= names


def found(check: Check, module: str, source: str) -> bool:
    return bool(list(check(module, ast.parse(source))))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        # 0: nothing above
        ("tapstack.base.timers", "from tapstack.eth.wire import parse"),
        ("tapstack.base.timers", "import tapstack"),
        # 1: floor 0, and its own ground floor
        ("tapstack.tcp.wire", "from tapstack.ip.wire import parse"),
        ("tapstack.tcp.seq", "from tapstack.tcp import tcb"),
        ("tapstack.ip.icmp_wire", "from tapstack.ip.protocol import Ip"),
        # 2: never a sibling
        ("tapstack.tcp.protocol", "from tapstack.ip.protocol import Ip"),
        ("tapstack.tcp.protocol", "from tapstack.ip import wire"),
        ("tapstack.arp.protocol", "import tapstack.eth.wire"),
        ("tapstack.udp.protocol", "def f():\n    from tapstack.stack import Stack"),
        ("tapstack.udp.protocol", "from tapstack import interface"),
        ("tapstack.ip.protocol", "from .wire import parse"),
        # 3 and 4
        ("tapstack.stack", "from tapstack.device.tap import Tap"),
        ("tapstack.interface", "from tapstack import socket"),
        ("tapstack.socket.contract", "from tapstack.runtime.runtime import Runtime"),
        ("tapstack.device.tap", "from tapstack.socket import contract"),
        ("tapstack.socket.facade", "from importlib import import_module"),
        ("tapstack.socket.default", "from tapstack.runtime.default import default_stack"),
        # 5: never each other
        ("tapstack.runtime.runtime", "from tapstack.sim import world"),
        ("tapstack.sim.world", "from tapstack.runtime.clock import Clock"),
        ("tapstack.runtime.runtime", "from tapstack import shell"),
        ("tapstack.runtime.runtime", "import tapstack.cli"),
    ],
)
def test_a_broken_floor_is_found(module: str, source: str) -> None:
    assert found(check_floors, module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tapstack.tcp.wire", "from tapstack.tcp.options import parse_options"),
        ("tapstack.tcp.protocol", "from tapstack.tcp.wire import parse"),
        ("tapstack.tcp.congestion.cubic", "from tapstack.base.units import SECOND"),
        ("tapstack.stack", "from tapstack.interface import NetworkInterface"),
        ("tapstack.socket.stream", "import socket\nfrom tapstack.socket.contract import Host"),
        ("tapstack.socket.default", "from importlib import import_module"),
        ("tapstack.runtime.runtime", "from tapstack import stack\nfrom tapstack.device import tap"),
        ("tapstack.shell.session", "from tapstack import socket\nimport tapstack.runtime"),
    ],
)
def test_what_the_floors_allow_is_let_through(module: str, source: str) -> None:
    assert not found(check_floors, module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tapstack.device.loopback", "import pytun"),
        ("tapstack.runtime.runtime", "from pytun import TunTapDevice"),
        ("tapstack.socket", "import click"),
        ("tapstack.cli", "import prompt_toolkit.history"),
        ("tapstack.base.address", "from construct import Struct"),
        ("tapstack.tcp.protocol", "import construct"),
        ("tapstack.stack", "import construct"),
    ],
)
def test_a_library_out_of_place_is_found(module: str, source: str) -> None:
    assert found(check_libraries, module, source)
    assert not found(check_libraries, "tapstack.device.tap", "import pytun")
    assert not found(check_libraries, "tapstack.ip.wire", "from construct import Struct")


@pytest.mark.parametrize("library", sorted(IMPURE))
@pytest.mark.parametrize(
    "module", ["tapstack.base.timers", "tapstack.ip.wire", "tapstack.tcp.tcb", "tapstack.stack"]
)
def test_an_impure_core_is_found(module: str, library: str) -> None:
    for source in (
        f"import {library}",
        f"import {library} as x",
        f"from {library} import x",
        f"def f():\n    import {library}",
    ):
        assert found(check_purity, module, source)
    assert not found(check_purity, "tapstack.runtime.runtime", f"import {library}")


def test_the_one_exception_is_exact() -> None:
    assert not found(check_purity, "tapstack.base.errors", "from os import strerror")
    assert found(check_purity, "tapstack.base.errors", "import os")
    assert found(check_purity, "tapstack.base.errors", "from os import strerror, urandom")
    assert found(check_purity, "tapstack.base.units", "from os import strerror")


@pytest.mark.parametrize(
    "source",
    [
        "tcb.snd_una < seg.ack",
        "0 <= seg.seq",
        "seg.seq > 5",
        "a < b >= tcb.rcv_nxt",
        "tcb.snd_nxt + 1",
        "seg.ack - tcb.snd_una",
        "(iss + 1) & 0xFFFFFFFF",
        "tcb.snd_nxt += 1",
        "tcb.space -= tcb.rcv_wup",
        "max(tcb.snd_wl1, seg.seq)",
        "min(tcb.snd_max, limit)",
        "sorted(snd_up)",
    ],
)
def test_raw_arithmetic_on_sequence_numbers_is_found(source: str) -> None:
    assert found(check_sequence_numbers, "tapstack.tcp.output", source)
    assert found(check_sequence_numbers, "tapstack.tcp.congestion.cubic", source)
    assert not found(check_sequence_numbers, "tapstack.tcp.seq", source)
    assert not found(check_sequence_numbers, "tapstack.ip.protocol", source)


@pytest.mark.parametrize(
    "source",
    [
        "seq.lt(tcb.snd_una, seg.ack)",
        "seg.ack == tcb.snd_nxt",
        "tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una)",
        "tcb.rcv_nxt = add(tcb.rcv_nxt, 1)",
    ],
)
def test_modular_arithmetic_is_let_through(source: str) -> None:
    assert not found(check_sequence_numbers, "tapstack.tcp.output", source)


def test_what_grows_too_long_is_found() -> None:
    line = "    x = 1\n"
    fits = "def f():\n" + line * (MAX_FUNCTION_LINES - 1)
    assert not found(check_size, "tapstack.x", fits)
    assert found(check_size, "tapstack.x", fits + line)
    assert found(check_size, "tapstack.x", "class C:\n  async " + fits.replace("\n", "\n  ") + line)
    assert not found(check_size, "tapstack.x", "x = 1\n" * MAX_MODULE_LINES)
    assert found(check_size, "tapstack.x", "x = 1\n" * (MAX_MODULE_LINES + 1))


def test_a_missing_docstring_is_found() -> None:
    assert found(check_docstring, "tapstack.x", "# a comment is none\nx = 1\n")
    assert not found(check_docstring, "tapstack.x", '"""What it is for."""\n')


def test_a_docstring_that_points_nowhere_is_found() -> None:
    for there in ("`output.py`", "`base/checksum.py`", "`ip/`", "`tests/live/`", "`snd_una`"):
        assert not found(check_pointers, "tapstack.tcp.rtt", f'"""Not done here: {there}."""')
    assert found(check_pointers, "tapstack.tcp.rtt", '"""See `outputs.py`."""')
    assert found(check_pointers, "tapstack.tcp.rtt", 'def f():\n    """See `ipv6/`."""')
    assert found(check_pointers, "tapstack.ip.wire", '"""See `output.py`."""')
