"""The order of the tests: files with the longest time limits come first.

So a parallel run does not end with one worker on a long file while the others have nothing left.
"""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files by the longest time limit in them; within a file, and among equals, nothing moves."""
    limits: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        limit = float(marker.args[0]) if marker is not None else 0.0
        limits[item.path] = max(limits.get(item.path, 0.0), limit)
    items.sort(key=lambda item: -limits[item.path])
