import pytest

from edge_contracts.errors import FolderError
from edge_contracts.library import library_names, load_contract_folder, load_library_contract
from edge_contracts.program import build_program
from ledger.params import CONTRACT_CODE_BYTES_MAX


def test_the_library_has_metering_and_settlement():
    assert library_names() == ("metering", "settlement")


@pytest.mark.parametrize("name", library_names())
def test_a_library_contract_can_be_deployed(name):
    code = load_library_contract(name)

    assert len(code.source.encode()) < CONTRACT_CODE_BYTES_MAX
    assert build_program(code).manifest.name == name
    assert "modules.metering = (function()" in code.source
    assert load_library_contract(name) == code


def test_what_is_not_in_the_library():
    with pytest.raises(FolderError, match="no library contract 'escrow'; there are metering"):
        load_library_contract("escrow")
    with pytest.raises(FolderError, match="no library contract"):
        load_library_contract("../library/metering")


def test_a_folder_that_cannot_be_read(tmp_path):
    with pytest.raises(FolderError, match=r"manifest.toml: No such file"):
        load_contract_folder(tmp_path)
    (tmp_path / "manifest.toml").write_bytes(b"\xff")
    with pytest.raises(FolderError, match="not UTF-8"):
        load_contract_folder(tmp_path)
    (tmp_path / "manifest.toml").write_text(
        'name = "a"\nversion = "1.0.0"\ndescription = "x"\nmodules = ["oracle"]\n[methods.m]\n'
    )
    with pytest.raises(FolderError, match="the library has no module 'oracle'"):
        load_contract_folder(tmp_path)
