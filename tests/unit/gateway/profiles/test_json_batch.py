"""Messages of many devices decoded together say what each says alone, whatever the others send."""

import pytest
from hypothesis import example, given, strategies as st

from gateway.errors import Rejected, RejectReason
from gateway.model.observation import Measured
from gateway.ports import DeviceMessages
from gateway.profiles.json_batch import decode_together
from gateway.profiles.json_payload import JsonDecoder, JsonProfile
from gateway.profiles.json_template import JsonTemplate
from gateway.profiles.library import ProfileLibrary
from tests.support.readings import Outcomes

PROFILE = ProfileLibrary(None).get("json-energy")
UP = "ss/v1/home/dev/{}/up"
GOOD = b'{"time":%d,"power_active_total":%d.5,"energy_import_total":4321.125}'
DEVICES = ("a", "b", "c")


def make_decoders() -> dict[str, JsonDecoder]:
    """Return decoders that have seen a message each, written alike."""
    meaning = JsonProfile(PROFILE)
    decoders = {name: JsonDecoder(PROFILE, name, meaning) for name in DEVICES}
    for _ in range(2):  # the first teaches, the second finds the template
        for name, decoder in decoders.items():
            assert isinstance(decoder.decode(UP.format(name), GOOD % (1_700_000_000, 1)), Measured)
    return decoders


def make_messages(device: str, topic: str, payloads: list[bytes]) -> DeviceMessages:
    return DeviceMessages(Outcomes(nobody_answers), device, topic, payloads)


def nobody_answers(outcome: Rejected | None) -> None:
    raise AssertionError(outcome)


def decode_alone(payload: bytes) -> Measured | Rejected:
    return JsonProfile(PROFILE).decode(payload)


def decode_all(
    decoders: dict[str, JsonDecoder], sent: list[tuple[str, list[bytes]]]
) -> list[list[object]]:
    messages = [make_messages(name, UP.format(name), payloads) for name, payloads in sent]
    return [list(decoded) for decoded in decode_together(messages, decoders)]


def test_messages_written_alike_are_decoded_in_one_go(monkeypatch: pytest.MonkeyPatch):
    decoders = make_decoders()
    sizes: list[int] = []
    original = JsonTemplate.decode_all

    def decode_counted(template: JsonTemplate, payloads: list[bytes]) -> list[Measured | None]:
        sizes.append(len(payloads))
        return original(template, payloads)

    monkeypatch.setattr(JsonTemplate, "decode_all", decode_counted)
    sent = [("a", [GOOD % (5, 1), GOOD % (6, 2)]), ("b", [GOOD % (7, 3)]), ("a", [GOOD % (8, 4)])]

    found = decode_all(decoders, sent)

    assert found == [[decode_alone(one) for one in payloads] for _, payloads in sent]
    assert sizes == [4]


WHOLE = GOOD % (5, 1)
HOSTILE = [
    b"",
    b"\n",
    b"\n\n",
    WHOLE + b"\n",
    b"\n" + WHOLE,
    b"\n" + WHOLE + b"\n",
    WHOLE + b"\n\n" + WHOLE,
    WHOLE + WHOLE,
    WHOLE[:20],
    WHOLE[20:],
    WHOLE[:20] + b"\n" + WHOLE[20:],
    b"x" + WHOLE,
    WHOLE.replace(b"4321.125", b"4321.125,"),
    WHOLE.replace(b"4321", b"04321"),
    GOOD % (0, 7),
    b'{"power_active_total": 3}',
    b'{"power_active_total":1e3}',
    b"\xff",
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(DEVICES),
            st.lists(
                st.one_of(
                    st.sampled_from(HOSTILE),
                    st.integers(1, 2**31).map(lambda number: GOOD % (number, number % 1_000)),
                ),
                min_size=1,
                max_size=4,
            ),
        ),
        max_size=6,
    )
)
@example([("a", [WHOLE + b"\n\n" + WHOLE]), ("b", [b"{}"]), ("c", [WHOLE])])  # as many finds
@example([("a", [WHOLE]), ("b", [WHOLE[:20]]), ("c", [WHOLE[20:]])])
def test_no_message_changes_what_another_says(sent):
    decoders = make_decoders()
    for _ in range(2):  # what was bad at first does not spoil what comes later
        found = decode_all(decoders, sent)
        assert found == [[decode_alone(one) for one in payloads] for _, payloads in sent]


def test_a_message_that_spoils_the_whole_only_costs_itself_the_long_way(
    monkeypatch: pytest.MonkeyPatch,
):
    decoders = make_decoders()
    long_ways: list[bytes] = []
    original = JsonProfile.decode

    def decode_counted(profile: JsonProfile, payload: bytes) -> Measured | Rejected:
        long_ways.append(payload)
        return original(profile, payload)

    monkeypatch.setattr(JsonProfile, "decode", decode_counted)
    decode_all(decoders, [("a", [GOOD % (5, 1)] * 3), ("b", [b"\n"]), ("c", [GOOD % (5, 1)])])
    assert long_ways == [b"\n"]


def test_who_and_what_is_unknown_is_refused_and_a_topic_without_readings_is_passed_over():
    plug = ProfileLibrary(None).get("shelly-plus-plug-s")
    decoders = {"plug": JsonDecoder(plug, "plug", JsonProfile(plug))}
    unknown, elsewhere, ignored = decode_together(
        [
            make_messages("ghost", "plug/online", [b"true", b"true"]),
            make_messages("plug", "elsewhere", [b"{}"]),
            make_messages("plug", "plug/online", [b"true"]),
        ],
        decoders,
    )
    assert [one.reason for one in unknown if isinstance(one, Rejected)] == [
        RejectReason.UNKNOWN_DEVICE
    ] * 2
    assert [one.reason for one in elsewhere if isinstance(one, Rejected)] == [
        RejectReason.UNKNOWN_TOPIC
    ]
    assert list(ignored) == [None]
