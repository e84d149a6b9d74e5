"""What the bench tries gives figures, on every peer; what they are is not looked at."""

import pytest

from bench.sides import Side
from bench.trials import CEILING, CEILING_PLAIN, KERNEL, TAPSTACK, TAPSTACK_PLAIN, TRIALS

MOMENT = 0.05


@pytest.mark.parametrize("peer", [KERNEL, TAPSTACK, TAPSTACK_PLAIN, CEILING, CEILING_PLAIN])
def test_every_trial_of_a_peer_gives_a_figure(able: None, peer: str) -> None:
    with Side(peer) as side:
        for trial in TRIALS:
            if peer in trial.peers:
                outcome = side.try_out(trial, MOMENT)
                assert outcome.reply["value"] > 0, trial.title
                assert outcome.cost > 0, trial.title
        processes = side.application.popen, side.far_end.popen
        assert [each.poll() for each in processes] == [None, None]
    assert None not in [each.poll() for each in processes]


@pytest.mark.parametrize("talking", [10, 50])
def test_many_connections_are_held_and_served(able: None, talking: int) -> None:
    with Side(TAPSTACK) as side:
        side.serve("hold", count=50, talking=talking)
        assert side.ask("open", count=50, talking=talking)["value"] == 50
        assert side.ask("echo-all", seconds=MOMENT)["value"] >= 10
