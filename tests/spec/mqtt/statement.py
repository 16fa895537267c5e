"""The mark that ties a test to the normative statements it proves."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.spec.mqtt.wire import V5, V311

Test = TypeVar("Test", bound=Callable[..., None])


def statement(*, v3: str = "", v5: str = "") -> Callable[[Test], Test]:
    """Run the test for each version that has a number: `statement(v3="3.1.4-2", v5="3.1.4-3")`.

    Several numbers are separated by blanks. They are the test's identifier in each report.
    """
    params = [
        pytest.param(version, id=f"{name}:{'+'.join(f'MQTT-{n}' for n in numbers.split())}")
        for version, name, numbers in ((V311, "v3.1.1", v3), (V5, "v5.0", v5))
        if numbers
    ]
    return pytest.mark.parametrize("version", params)
