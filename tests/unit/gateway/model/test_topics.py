"""Which names a device or a gateway may have."""

import pytest

from gateway.model import topics


@pytest.mark.parametrize("name", ["meter", "a", "0-1_2", "x" * 32, "ssh", "homeassistant2"])
def test_names(name):
    assert topics.is_name(name)


@pytest.mark.parametrize("name", ["", "Meter", "-a", "_a", "a/b", "a\n", "x" * 33, "ü", "$sys"])
def test_no_names(name):
    assert not topics.is_name(name)


@pytest.mark.parametrize("name", topics.RESERVED_NAMES)
def test_a_name_that_leads_into_the_tree_of_another_is_reserved(name):
    assert not topics.is_name(name)
    assert name in topics.NAME_RULE
