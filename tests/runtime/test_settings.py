"""Settings that make no sense are refused in one sentence, before anything is opened."""

import pytest

import tapstack
from tapstack.runtime.default import Settings


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dev": "tap%d"}, "'tap%d' is not a device name"),
        ({"addr": "10.0.0.1"}, "not an address with a prefix length"),
        ({"addr": "0.0.0.0/8"}, "not an address that a host can have"),
        ({"addr": "10.0.0.1/0", "host_addr": "10.0.0.2/0"}, "10.0.0.1/0 has all addresses for"),
        ({"host_addr": "10.0.0.2/0"}, "10.0.0.2/0 has all addresses for neighbours"),
        ({"host_addr": "10.0.0.2/25"}, "10.0.0.1/24 and the host's 10.0.0.2/25 are not of one"),
        ({"addr": "10.0.0.1/16"}, "10.0.0.1/16 and the host's 10.0.0.2/24 are not of one"),
        ({"addr": "10.0.0.1/32", "host_addr": "10.0.0.2/32"}, "are not of one network"),
        ({"addr": "127.0.0.1/8", "host_addr": "127.0.0.2/8"}, "that a host can have"),
        ({"addr": "224.0.0.1/24", "host_addr": "224.0.0.2/24"}, "that a host can have"),
        ({"addr": "10.0.0.0/24"}, "not an address that a host can have"),
        ({"host_addr": "10.0.0.255/24"}, "not an address that a host can have"),
        ({"host_addr": "10.0.0.1/24"}, "cannot both be 10.0.0.1"),
        ({"host_addr": "10.0.1.2/24"}, "are not of one network"),
        ({"mtu": 67}, "not between 68 and"),
        ({"impair": "loss=200%"}, "is not an impairment"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        tapstack.configure(**wrong)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dev": 5}, "dev is a text, not 5"),
        ({"addr": None}, "addr is a text, not None"),
        ({"impair": 0.05}, "impair is a text, not 0.05"),
        ({"mtu": "big"}, "mtu is a whole number of octets, not 'big'"),
    ],
)
def test_what_is_of_the_wrong_type_is_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        tapstack.configure(**wrong)


def test_a_network_of_two_has_two_hosts() -> None:
    Settings(addr="10.0.0.0/31", host_addr="10.0.0.1/31").check()


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        tapstack.configure(device="tap0")


def test_the_environment_says_what_programs_do_not() -> None:
    settings = Settings.from_environment({"TAPSTACK_DEV": "none", "TAPSTACK_ADDR": "10.1.0.1/16"})
    assert (settings.dev, settings.addr) == ("none", "10.1.0.1/16")
    assert settings.host_addr == Settings().host_addr


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"TAPSTACK_DEV": "tap%d"}, "TAPSTACK_DEV: 'tap%d' is not a device name"),
        ({"TAPSTACK_ADDR": "bad"}, "TAPSTACK_ADDR: 'bad' is not an address with a prefix length"),
        ({"TAPSTACK_ADDR": "0.0.0.0/8"}, "TAPSTACK_ADDR: 0.0.0.0/8 is not an address that a host"),
        ({"TAPSTACK_HOST_ADDR": "10.0.0.2/0"}, "TAPSTACK_HOST_ADDR: 10.0.0.2/0 has all addresses"),
        ({"TAPSTACK_HOST_ADDR": "10.0.0.1/24"}, "TAPSTACK_HOST_ADDR: the stack and the host cann"),
        ({"TAPSTACK_ADDR": "10.1.0.1/24"}, "TAPSTACK_ADDR: the stack's 10.1.0.1/24 and the host's"),
        (
            {"TAPSTACK_ADDR": "10.1.0.1/24", "TAPSTACK_HOST_ADDR": "10.2.0.2/24"},
            "TAPSTACK_ADDR and TAPSTACK_HOST_ADDR: the stack's 10.1.0.1/24 and the host's 10.2.0.2",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_told_by_the_names_there(
    environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        Settings.from_environment(environment).check()


def test_what_is_chosen_is_not_looked_for_in_the_environment() -> None:
    settings = Settings.from_environment({"TAPSTACK_ADDR": "bad"}, addr="10.0.0.3/24", mtu=1400)
    settings.check()
    assert (settings.addr, settings.mtu) == ("10.0.0.3/24", 1400)
    mistaken = Settings.from_environment({"TAPSTACK_ADDR": "10.1.0.1/24"}, addr="worse")
    with pytest.raises(ValueError, match=r"^'worse' is not an address"):
        mistaken.check()
