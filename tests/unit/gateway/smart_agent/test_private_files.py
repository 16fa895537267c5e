import os
import stat

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.private_files import make_private_folder, read_private, write_private


def test_a_written_file_is_private_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "secret"

    write_private(path, b"first")
    write_private(path, b"second")

    assert read_private(path, 100) == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_left_over_of_a_killed_writer_is_replaced(tmp_path):
    (tmp_path / "secret.new").write_bytes(b"half")

    write_private(tmp_path / "secret", b"whole")

    assert (tmp_path / "secret").read_bytes() == b"whole"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_open_to_others_is_refused_with_the_command_that_mends_it(tmp_path, mode):
    path = tmp_path / "secret"
    write_private(path, b"x")
    path.chmod(mode)

    with pytest.raises(AgentError, match=rf"mode {mode:04o}.*chmod 600 {path}"):
        read_private(path, 100)


def test_a_symbolic_link_a_folder_and_a_huge_file_are_refused(tmp_path):
    path = tmp_path / "secret"
    write_private(path, bytes(101))
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "folder").mkdir(mode=0o700)

    with pytest.raises(AgentError, match="larger than 100 bytes"):
        read_private(path, 100)
    with pytest.raises(AgentError, match="cannot read"):
        read_private(tmp_path / "link", 1000)
    with pytest.raises(AgentError, match="not a regular file"):
        read_private(tmp_path / "folder", 1000)
    with pytest.raises(AgentError, match="is missing"):
        read_private(tmp_path / "nothing", 1000)


def test_a_folder_open_to_others_is_refused(tmp_path):
    folder = tmp_path / "a" / "agent"
    make_private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    folder.chmod(0o750)
    with pytest.raises(AgentError, match=f"chmod 700 {folder}"):
        make_private_folder(folder)


def test_a_failed_write_is_one_line_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "secret"
    write_private(path, b"old")
    path.with_name("secret.new").mkdir()

    with pytest.raises(AgentError, match=f"cannot write {path}") as caught:
        write_private(path, b"new")

    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to work in another user's folder")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path):
    os.chown(tmp_path, 65534, 65534)

    make_private_folder(tmp_path / "agent")
    write_private(tmp_path / "agent" / "guard", b"data")

    for path in (tmp_path / "agent", tmp_path / "agent" / "guard"):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
