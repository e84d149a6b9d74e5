"""The pieces that text waits in: how long they are, what is pushed, and what they cost."""

from tapstack.tcp import send_space
from tests.tcp.pair import World


def test_a_piece_is_whole_segments_up_to_half_the_window() -> None:
    world = World()
    client, _ = world.pair()
    world.send(client, bytes(100_000))
    piece = client.max_snd_wnd // 2 // 1448 * 1448
    assert client.send_pieces.octets_in_piece(client, 100_000) == piece


def test_each_piece_costs_its_text_and_a_constant() -> None:
    world = World()
    client, _ = world.pair()
    client.window.cwnd = 0
    for length in (1000, 500):  # they share a piece
        world.send(client, bytes(length))
        before = send_space.charge(client)
    assert before == 1500 + 832
