"""A process is what scripts of system calls ask for."""

from tapstack.drill.contract import Calls
from tapstack.socket.calls.process import Process


def test_every_call_of_the_contract_is_there() -> None:
    wanted = {name for name in vars(Calls) if not name.startswith("_")}
    assert wanted <= set(dir(Process))
