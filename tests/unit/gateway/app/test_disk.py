"""A disk that is nearly full is told of, with what to do."""

from gateway.app import disk


def test_a_disk_with_room_is_no_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FREE_BYTES_MIN", 1)
    assert disk.describe_low_disk(tmp_path) == ""


def test_a_disk_that_is_nearly_full_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FREE_BYTES_MIN", 2**63)
    line = disk.describe_low_disk(tmp_path)
    assert line.startswith(f"{tmp_path}: only ")
    assert line.endswith(" MiB free: make room before readings stop")
