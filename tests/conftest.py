"""The order of the tests, and how long one example of a property may take.

Files with the longest time limits come first, so a parallel run does not end with one worker on a long file
while the others have nothing left. Examples have no time limit of their own: on a busy machine any may pause.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=(HealthCheck.too_slow,)
)
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files by the longest time limit in them; within a file, and among equals, nothing moves."""
    limits: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        limit = float(marker.args[0]) if marker is not None else 0.0
        limits[item.path] = max(limits.get(item.path, 0.0), limit)
    items.sort(key=lambda item: -limits[item.path])
