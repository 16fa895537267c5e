"""Which running instance an agent is: it goes on where it stays, and is new on any other machine."""

import msgspec
import pytest

from gateway.smart_agent.host import BOOT_ID_VARIABLE, Host, is_same_machine, read_host
from gateway.smart_agent.instance import InstanceFile, Stored, choose_instance

HOST = Host(boot_id="b1", hardware="", folder="8:1")
PI = Host(boot_id="b1", hardware="pi-1", folder="8:1")
FRESH, KNOWN = b"f" * 32, b"k" * 32


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (HOST, HOST, True),
        (HOST, msgspec.structs.replace(HOST, boot_id="b2"), False),
        (HOST, msgspec.structs.replace(HOST, boot_id=""), False),
        (Host("", "", "8:1"), Host("", "", "8:1"), False),
        (HOST, msgspec.structs.replace(HOST, folder="8:2"), False),
        (PI, msgspec.structs.replace(PI, boot_id="b2"), True),
        (PI, msgspec.structs.replace(PI, hardware="pi-2"), False),
        (PI, msgspec.structs.replace(PI, hardware="pi-2", boot_id="b1"), False),
        (PI, msgspec.structs.replace(PI, folder="8:2"), False),
        (PI, HOST, False),
    ],
)
def test_what_counts_as_the_same_machine(one, other, is_same):
    assert is_same_machine(one, other) is is_same


def test_the_stored_instance_goes_on_and_notes_the_new_boot():
    stored = Stored(1, KNOWN.hex(), 7, PI)
    rebooted = msgspec.structs.replace(PI, boot_id="b2")
    assert choose_instance(stored, rebooted, FRESH) == Stored(1, KNOWN.hex(), 7, rebooted)


@pytest.mark.parametrize("stored", [None, Stored(1, KNOWN.hex(), 7, HOST)])
def test_elsewhere_the_instance_is_new_and_counts_from_zero(stored):
    elsewhere = msgspec.structs.replace(HOST, boot_id="b9")
    assert choose_instance(stored, elsewhere, FRESH) == Stored(1, FRESH.hex(), 0, elsewhere)


def test_renewals_survive_a_restart_and_a_copy_is_another_instance(tmp_path):
    path = tmp_path / "instance"
    first = InstanceFile(path, HOST)
    first.take_renewal(3)
    again = InstanceFile(path, HOST)
    assert (again.name, again.renewal) == (first.name, 3)
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    clone = InstanceFile(copy, msgspec.structs.replace(HOST, folder="8:77"))
    assert clone.name != first.name
    assert clone.renewal == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"version": 2}'])
def test_a_damaged_file_makes_a_new_instance(tmp_path, content):
    path = tmp_path / "instance"
    path.write_bytes(content)
    path.chmod(0o600)
    assert InstanceFile(path, HOST).renewal == 0
    assert InstanceFile(path, HOST).name == InstanceFile(path, HOST).name


def test_this_machine_is_itself_and_another_folder_is_not(tmp_path, monkeypatch):
    monkeypatch.delenv(BOOT_ID_VARIABLE, raising=False)
    assert is_same_machine(read_host(tmp_path), read_host(tmp_path))
    (tmp_path / "copy").mkdir()
    assert not is_same_machine(read_host(tmp_path), read_host(tmp_path / "copy"))


def test_a_unit_hands_in_the_boots_id(tmp_path, monkeypatch):
    monkeypatch.setenv(BOOT_ID_VARIABLE, "12-34")
    assert read_host(tmp_path).boot_id == "1234"
