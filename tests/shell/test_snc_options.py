"""What the user wants of snc, in tapip's words and in netcat's."""

import pytest

from tapstack.base.address import ANY_ENDPOINT, Endpoint, parse_endpoint
from tapstack.shell.command import UsageError
from tapstack.shell.snc_options import parse_plan

HERE = parse_endpoint("10.0.0.1:12345")
THERE = parse_endpoint("10.0.0.2:80")


@pytest.mark.parametrize(
    ("line", "local", "remotes"),
    [
        ("-b 10.0.0.1:12345", HERE, ()),
        ("-l 12345", Endpoint(0, 12345), ()),
        ("-l 10.0.0.1 12345", HERE, ()),
        ("-l -p 12345", Endpoint(0, 12345), ()),
        ("-l -s 10.0.0.1 -p 12345", HERE, ()),
        ("-c 10.0.0.2:80", ANY_ENDPOINT, (THERE,)),
        ("10.0.0.2 80", ANY_ENDPOINT, (THERE,)),
        ("10.0.0.2 80 -N", ANY_ENDPOINT, (THERE,)),
        ("-s 10.0.0.1 -p 12345 10.0.0.2 80", HERE, (THERE,)),
        (
            "-z 10.0.0.2 80-82",
            ANY_ENDPOINT,
            tuple(Endpoint(THERE.address, p) for p in (80, 81, 82)),
        ),
    ],
)
def test_who_and_where(line: str, local: Endpoint, remotes: tuple[Endpoint, ...]) -> None:
    plan = parse_plan(line.split())
    assert (plan.local, plan.remotes) == (local, remotes)


def test_each_flag_means_itself() -> None:
    plain = parse_plan(["-l", "1"])
    assert not any((plain.udp, plain.keep_listening, plain.verbose, plain.debug, plain.scan))
    assert not plain.ends_own_half
    assert plain.timeout is None
    assert parse_plan("-u -l 1".split()).udp
    assert parse_plan("-lk 1".split()).keep_listening
    assert parse_plan("-lv 1".split()).verbose
    assert parse_plan("-ld 1".split()).debug
    assert parse_plan("-w 2.5 -l 1".split()).timeout == 2.5
    assert parse_plan("-z 1.1.1.1 1".split()).scan


def test_who_listens_by_address_ends_its_half_but_does_not_insist_on_all_its_input() -> None:
    bound = parse_plan(["-b", "10.0.0.1:1"])
    assert (bound.ends_own_half, bound.sends_all_input) == (True, False)
    told = parse_plan(["-N", "-c", "10.0.0.1:1"])
    assert (told.ends_own_half, told.sends_all_input) == (True, True)
    plain = parse_plan(["-c", "10.0.0.1:1"])
    assert (plain.ends_own_half, plain.sends_all_input) == (False, False)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "snc: where to? Give -b or -c ADDRESS:PORT, -l PORT, or ADDRESS PORT"),
        ("-b 1.1.1.1:1 -c 1.1.1.1:1", "snc: one of -b, -c, -l and ADDRESS PORT, not several"),
        ("-b 1.1.1.1:1 1.1.1.1 1", "snc: one of -b, -c, -l and ADDRESS PORT, not several"),
        ("-b 10.0.0.1:99999", "snc: argument -b: '99999' is not a port number from 0 to 65535"),
        ("-c 10.0.0.2", "snc: argument -c: '10.0.0.2' is not an address with a port such as"),
        ("-l", "snc: -l needs a port: -l [ADDRESS] PORT"),
        ("-l -s 10.0.0.1", "snc: -l needs a port: -l [ADDRESS] PORT"),
        ("10.0.0.2", "snc: a port is missing behind the address"),
        ("10.0.0.2 80 81", "snc: '81' is one word too many"),
        ("10.0.0.2 9-5", "snc: '9-5' is not a range of ports such as 20-25"),
        ("-l 10.0.0.300 5", "snc: '10.0.0.300' is not an IPv4 address: each part is at most 255"),
        ("-lz 5", "snc: -z connects, and cannot be used with -l or -b"),
        ("-k 10.0.0.2 5", "snc: -k listens again, and is used with -l or -b"),
        ("-w soon -l 5", "snc: argument -w: 'soon' is not a number of seconds"),
        ("-w 1e10 -l 5", "snc: argument -w: '1e10' is not a number of seconds from 0 to 86400"),
        ("--nonsense", "snc: unrecognized arguments: --nonsense"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_plan(line.split())
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)
