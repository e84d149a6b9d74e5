"""One seed is one course of events: the same packets at the same instants, in the same file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapstack.capture.pcap import PcapReader
from tapstack.sim import (
    MEGABIT,
    MILLISECOND,
    Direction,
    Duplication,
    GilbertElliott,
    RandomLoss,
    Reordering,
    Way,
    World,
)
from tests.sim.worlds import PORT, Volley, read_all, send, transfer, two_hosts

ROOT = str(Path(__file__).parents[2])
TEXT = bytes(range(256)) * 400


def course(seed: int, path: Path) -> bytes:
    """Let two streams cross a bad link; give the capture."""
    way = Way(
        rate=10 * MEGABIT,
        delay=10 * MILLISECOND,
        jitter=3 * MILLISECOND,
        impairments=[
            RandomLoss(0.02),
            GilbertElliott(0.01, 0.3),
            Duplication(0.01),
            Reordering(0.01),
        ],
    )
    with World(seed) as world:
        client, server = two_hosts(world, way)
        world.links[0].capture(path)
        receivers = [
            world.spawn(read_all, host.create_server(("", PORT))) for host in (client, server)
        ]
        world.spawn(send, client, server, TEXT)
        world.spawn(send, server, client, TEXT)
        world.run()
        assert [receiver.result() for receiver in receivers] == [TEXT, TEXT]
    return path.read_bytes()


def test_a_seed_decides_everything(tmp_path: Path) -> None:
    first, again, other = (course(seed, tmp_path / "x.pcap") for seed in (7, 7, 8))
    assert len(first) > 2 * len(TEXT)
    assert first == again
    assert first != other


def test_another_interpreter_makes_no_difference(tmp_path: Path) -> None:
    """Python's hashes are salted anew for each process: nothing may hang on them."""
    program = (
        "import sys; from pathlib import Path; from tests.sim.test_repeatability import course;"
        "course(7, Path(sys.argv[1]))"
    )
    for salt in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / salt)],
            env={**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": ROOT},
            check=True,
            timeout=60,
        )
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_other_hosts_do_not_change_what_befalls_these() -> None:
    """What chance decides is drawn for each host and link apart."""
    logs = []
    for others in (0, 3):
        with World(seed=1) as world, Volley(world, Way(impairments=[RandomLoss(0.3)])) as volley:
            for number in range(others):
                world.host(f"other {number}")
            volley.fire(50)
            logs.append(volley.arrivals())
    assert logs[0] == logs[1]


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("at", [0, 1])
def test_a_capture_has_what_one_end_sees_and_when(tmp_path: Path, at: int, offload: bool) -> None:
    with World() as world:
        client, server = world.host("client"), world.host("server")
        link = world.link(client, server, Way(delay=10 * MILLISECOND), offload=offload)
        log = link.log()
        recording = link.capture(tmp_path / "x.pcap", at=at)
        transfer(world, client, server, TEXT)
        recording.close()
        frames_so_far = len(log)
        send_to_nobody(world)
        assert len(log) > frames_so_far
    with (tmp_path / "x.pcap").open("rb") as file:
        records = list(PcapReader(file))
    host = ("client", "server")[at]
    seen = [each for each in log[:frames_so_far] if each.host == host]
    if offload:
        assert max(record.length for record in records) == 1514
        assert {record.time for record in records} == {each.time for each in seen}
    else:
        assert [(record.time, record.octets) for record in records] == [
            (each.time, each.octets) for each in seen
        ]


def send_to_nobody(world: World) -> None:
    client, server = world.hosts["client"], world.hosts["server"]
    with pytest.raises(ConnectionRefusedError):
        send(client, server, b"")


def test_the_log_reads_as_a_story() -> None:
    with World() as world:
        two_hosts(world, Way(delay=10 * MILLISECOND))
        log = world.links[0].log()
        send_to_nobody(world)
        lines = [str(each) for each in log]
        assert log[0].segment is not None
        ends = f"10.0.0.1:{log[0].segment.source_port}", f"10.0.0.2:{PORT}"
        there, back = " > ".join(ends), " > ".join(reversed(ends))
        assert [line.split(", seq")[0] for line in lines] == [
            f"0.000000 client > {there}: Flags [S]",
            f"0.010000 server < {there}: Flags [S]",
            f"0.010000 server > {back}: Flags [R.]",
            f"0.020000 client < {back}: Flags [R.]",
        ]
        assert log[0].segment.destination_port == PORT


def test_a_watch_ends_when_it_is_told_to() -> None:
    with World() as world, Volley(world) as volley:
        seen: list[Direction] = []
        stop = volley.link.watch(lambda sighting: seen.append(sighting.direction))
        volley.fire(1)
        volley.arrivals()
        stop()
        volley.fire(1)
        volley.arrivals()
        assert seen == [Direction.OUT, Direction.IN]
        assert len(volley.log) == 4
