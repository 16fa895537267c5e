"""The shipped profiles are valid, prove themselves, and the schema for editors is current."""

import jsonschema
import msgspec
import pytest

from gateway.profiles.document import parse_document
from gateway.profiles.library import SHIPPED, ProfileLibrary
from gateway.profiles.samples import check_sample
from gateway.profiles.schema import SCHEMA_FILE, profile_schema

FILES = sorted(SHIPPED.glob("*/*.yaml"))


def test_there_are_profiles_and_each_name_is_unique():
    assert len(FILES) >= 6
    assert len({path.stem for path in FILES}) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_profile(path):
    profile = ProfileLibrary(None).get(path.stem)
    assert path.parent.name == profile.transport
    assert [check_sample(profile, sample) for sample in profile.samples] == [None] * len(
        profile.samples
    )
    document = parse_document(path.read_bytes(), path.name)
    jsonschema.validate(document.data, msgspec.json.decode(SCHEMA_FILE.read_bytes()))


def test_the_schema_is_made_from_the_types():
    assert SCHEMA_FILE.read_bytes() == profile_schema(), "run `python -m gateway.profiles.schema`"
