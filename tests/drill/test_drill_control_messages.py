"""Control messages of a script: what recvmsg gives beside the data."""

import time
from dataclasses import replace

import pytest

from tapstack.drill.language.syntax import ScriptError
from tests.drill.call_bench import CONNECTED, Bench, shown

MESSAGE = "msg_name(...)=..., msg_iov(1)=[{..., 4}], msg_flags=0"
ASK_FOR_REST = (*CONNECTED, "setsockopt(5, SOL_TCP, TCP_INQ, [1], 4) = 0", "write(4, ..., 10) = 10")


def with_control(*controls: str) -> str:
    return f"recvmsg(5, {{{MESSAGE}, msg_control=[{', '.join(controls)}]}}, 0) = 4"


def test_how_much_is_left(bench: Bench) -> None:
    line = with_control("{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=6}")
    assert shown(bench.play(*ASK_FOR_REST, line)) == []


@pytest.mark.parametrize(
    ("control", "difference"),
    [
        ("cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=7", "cmsg_data: 7, 6"),
        ("cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=[7]", "cmsg_data: 7, 6"),
        ("cmsg_level=SOL_TCP, cmsg_type=35, cmsg_data=6", "cmsg_type: 35, 36"),
        ("cmsg_level=SOL_SOCKET, cmsg_type=..., cmsg_data=6", "cmsg_level: 1, 6"),
        (
            'cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data="a"...',
            'cmsg_data: "a", "\\x06\\x00\\x00\\x00"',
        ),
    ],
)
def test_what_is_otherwise_is_told(bench: Bench, control: str, difference: str) -> None:
    found = shown(bench.play(*ASK_FOR_REST, with_control(f"{{{control}}}")))
    assert f"msg_control[0] {difference}" in found


def test_a_message_that_is_missing(bench: Bench) -> None:
    control = "{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=...}"
    assert shown(bench.play(*ASK_FOR_REST, with_control(control, control))) == [
        "number of control messages: 2, 1"
    ]


def test_without_room_the_system_cuts_them_off(bench: Bench) -> None:
    line = f"recvmsg(5, {{{MESSAGE}}}, 0) = 4"
    assert shown(bench.play(*ASK_FOR_REST, line)) == ["msg_flags: 0, MSG_CTRUNC"]


TIMESTAMPS = (
    "SOF_TIMESTAMPING_TX_SOFTWARE|SOF_TIMESTAMPING_SOFTWARE|"
    "SOF_TIMESTAMPING_OPT_ID|SOF_TIMESTAMPING_OPT_TSONLY"
)
ON_ERROR_QUEUE = (
    "recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 0}], msg_flags=MSG_ERRQUEUE, msg_control=["
    "{cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, cmsg_data={scm_sec=%s, scm_nsec=0}},"
    "{cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=ENOMSG, "
    "ee_origin=SO_EE_ORIGIN_TIMESTAMPING, ee_type=0, ee_code=..., ee_info=SCM_TSTAMP_SND, "
    "ee_data=%d}}]}, MSG_ERRQUEUE) = 0"
)
STAMPED = (
    *CONNECTED,
    f"setsockopt(4, SOL_SOCKET, SO_TIMESTAMPING, [{TIMESTAMPS}], 4) = 0",
    "write(4, ..., 10) = 10",
)


@pytest.fixture
def stamped(kernel: Bench) -> Bench:
    """A run that began five seconds ago, as the kernel's clock has it, give or take ten."""
    settings = replace(kernel.context.settings, tolerance_usecs=10_000_000)
    kernel.context.settings = settings
    kernel.context.epoch = time.time_ns() // 1000 - 5_000_000
    assert shown(kernel.play(*STAMPED)) == []
    return kernel


def test_when_it_was_sent(stamped: Bench) -> None:
    assert shown(stamped.play(ON_ERROR_QUEUE % ("5", 9))) == []


def test_a_time_and_a_report_that_are_otherwise(stamped: Bench) -> None:
    early, data = shown(stamped.play(ON_ERROR_QUEUE % ("50", 8)))
    assert early.startswith("msg_control[0] cmsg_data: 50.000000, 5.")
    assert data == "msg_control[1] cmsg_data ee_data: 8, 9"


def test_any_time_will_do(stamped: Bench) -> None:
    assert shown(stamped.play(ON_ERROR_QUEUE % ("...", 9))) == []


def test_in_virtual_time_it_is_exact(stack: Bench) -> None:
    flags = "SOF_TIMESTAMPING_RX_SOFTWARE|SOF_TIMESTAMPING_SOFTWARE"
    stamp = (
        "{cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, cmsg_data={scm_sec=%d, scm_nsec=0}}"
    )
    lines = (
        *CONNECTED,
        f"setsockopt(5, SOL_SOCKET, SO_TIMESTAMPING, [{flags}], 4) = 0",
        "write(4, ..., 8) = 8",
        with_control(stamp % 0),
    )
    assert shown(stack.play(*lines)) == []
    stack.context.epoch = -2_000_000
    assert shown(stack.play(with_control(stamp % 1))) == [
        "msg_control[0] cmsg_data: 1.000000, 2.000000"
    ]


def test_control_messages_are_sent(kernel: Bench) -> None:
    line = "sendmsg(4, {msg_iov(1)=[{..., 4}], msg_flags=0, msg_control=[%s]}, 0) = 4"
    tos = "{cmsg_level=SOL_IP, cmsg_type=IP_TTL, cmsg_data=%d}"
    lines = (
        "socket(..., SOCK_DGRAM, 0) = 4",
        "connect(4, ..., ...) = 0",
        line % (tos % 7),
        (line % (tos % 777)).replace("= 4", "= -1 EINVAL"),
    )
    assert (
        shown(kernel.play("socket(..., SOCK_DGRAM, 0) = 5", "bind(5, ..., ...) = 0", *lines)) == []
    )


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ("{level=SOL_TCP}", "recvmsg takes a control message such as {cmsg_level=SOL_TCP, cmsg"),
        ("{cmsg_data={scm_sec=1, ee_errno=1}}", "recvmsg takes data such as {ee_errno=0, ee_or"),
        ("{cmsg_level=[1]}", "recvmsg takes a number here"),
    ],
)
def test_what_is_no_control_message_is_refused(control: str, message: str) -> None:
    with pytest.raises(ScriptError) as refused:
        Bench().prepare("socket(..., SOCK_STREAM, 0) = 5", with_control(control))
    assert refused.value.message.startswith(message)
