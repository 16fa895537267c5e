"""A sample that does not match says how it differs."""

import msgspec
import pytest

from gateway.profiles.library import ProfileLibrary
from gateway.profiles.samples import check_sample

FLAT = ProfileLibrary(None).get("json-energy")
GOOD = FLAT.samples[0]


def test_a_good_sample_passes():
    assert check_sample(FLAT, GOOD) is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"values": {**GOOD.values, "power_active_total": 251}}, "is 250.000 instead of 251"),
        ({"values": {**GOOD.values, "power_active_total": None}}, "is 250.000 instead of None"),
        ({"values": {**GOOD.values, "other": 1}}, "other is missing"),
        ({"values": {"power_active_total": 250}}, "which the sample does not name"),
        ({"source_time_ms": None}, "source_time_ms is 1769860800250 instead of None"),
        ({"payload": "{}"}, "refused: no-quantities"),
        ({"rejected": "malformed", "values": {}}, "decoded, but `malformed` was expected"),
        ({"payload": "{}", "rejected": "not UTF-8", "values": {}}, "refused: no-quantities"),
    ],
)
def test_differences(changes, problem):
    found = check_sample(FLAT, msgspec.structs.replace(GOOD, **changes))
    assert found is not None
    assert problem in found


def test_an_ignored_topic_is_no_sample():
    plug = ProfileLibrary(None).get("shelly-plus-plug-s")
    sample = msgspec.structs.replace(plug.samples[0], topic="device/online")
    assert check_sample(plug, sample) == "the message was ignored"
