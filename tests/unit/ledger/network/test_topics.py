import pytest

from ledger.network import topics
from ledger.network.topics import ChainTopics

NODE, OTHER = bytes(range(32)), b"\x77" * 32
CHAIN = ChainTopics(b"\xab" * 32)
PREFIX = "ssp/1/" + "ab" * 8


def test_a_topic_names_kind_and_speaker():
    assert CHAIN.of(topics.VOTE, NODE) == f"{PREFIX}/v/{NODE.hex()}"
    assert CHAIN.speaker_of(CHAIN.of(topics.VOTE, NODE), OTHER) == ("v", NODE)


def test_what_is_said_to_another_one_is_heard_by_nobody_else():
    assert CHAIN.speaker_of(CHAIN.direct(NODE, OTHER), OTHER) == ("d", NODE)
    assert CHAIN.speaker_of(CHAIN.direct(NODE, OTHER), NODE) is None


@pytest.mark.parametrize(
    "topic",
    [
        f"{PREFIX}/v",
        f"{PREFIX}/v/{NODE.hex()}/x",
        f"{PREFIX}/zz/{NODE.hex()}",
        f"{PREFIX}/v/{NODE.hex().upper()}",
        f"{PREFIX}/v/nothex",
        f"ssp/1/{'cd' * 8}/v/{NODE.hex()}",
        f"/{NODE.hex()}",
    ],
)
def test_other_topics_name_nobody(topic):
    assert CHAIN.speaker_of(topic, OTHER) is None


def test_a_handshake_topic_names_its_guest():
    assert CHAIN.guest_of(CHAIN.handshake_up("g1")) == "g1"
    assert CHAIN.guest_of(CHAIN.handshake_down("g1")) is None
    assert CHAIN.guest_of(CHAIN.of(topics.VOTE, NODE)) is None


def test_a_node_hears_a_speaker_on_the_speakers_topics_only():
    heard = CHAIN.heard_by(OTHER, NODE)

    speakers = [CHAIN.speaker_of(topic, OTHER) for topic in heard]
    assert [speaker and speaker[1] for speaker in speakers] == [NODE] * len(heard)
