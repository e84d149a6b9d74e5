"""What a user's shell does to the descriptors of a program that has a TAP device."""

from tests.live.netns import HOST, Namespace, script


def test_with_its_input_closed_snc_sends_nothing(namespace: Namespace) -> None:
    peer = namespace.start("nc", "-lN", "7000")
    namespace.wait_listening(7000)
    snc = namespace.start("sh", "-c", f"exec {script('snc')} -N {HOST} 7000 <&-")
    assert snc.wait() == 0, snc
    assert peer.wait() == 0, peer
    assert peer.stdout == ""
