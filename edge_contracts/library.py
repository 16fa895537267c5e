"""The contract library: folders with contract.lua, manifest.toml and test.lua, some with a module.

A library contract that has a `module.lua` can be named in other manifests' `modules`.
"""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from edge_contracts.bundle import CONTRACT_FILE, bundle
from edge_contracts.errors import FolderError
from edge_contracts.manifest import parse_manifest
from ledger.params import CONTRACT_CODE_BYTES_MAX
from ledger.ports import ContractCode

MANIFEST_FILE = "manifest.toml"
MODULE_FILE = "module.lua"
TEST_FILE = "test.lua"


def library_names() -> tuple[str, ...]:
    """Return the names of the library's contracts, sorted."""
    folders = (entry for entry in _library().iterdir() if entry.is_dir())
    return tuple(sorted(entry.name for entry in folders if (entry / MANIFEST_FILE).is_file()))


def load_library_contract(name: str) -> ContractCode:
    """Return a library contract with its modules, ready to deploy; raise `FolderError`."""
    if name not in library_names():
        raise FolderError(f"no library contract {name!r}; there are {', '.join(library_names())}")
    return load_contract_folder(_library() / name)


def load_contract_folder(folder: Path | Traversable) -> ContractCode:
    """Return a folder's contract with its modules.

    Raises `FolderError` for files that are missing and `ManifestError` for a bad manifest.
    """
    manifest_text = read_file(folder, MANIFEST_FILE)
    modules = {name: _load_module(name) for name in parse_manifest(manifest_text).modules}
    source = bundle(read_file(folder, CONTRACT_FILE), modules)
    return ContractCode(source=source, manifest=manifest_text)


def read_file(folder: Path | Traversable, name: str) -> str:
    """Return the text of a folder's file; raise `FolderError`."""
    try:
        data = (folder / name).read_bytes()
        if len(data) > CONTRACT_CODE_BYTES_MAX:
            raise FolderError(f"{name}: more than {CONTRACT_CODE_BYTES_MAX} bytes")
        return data.decode()
    except OSError as error:
        raise FolderError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FolderError(f"{name}: not UTF-8 text") from None


def _library() -> Traversable:
    return resources.files("edge_contracts").joinpath("library")


def _load_module(name: str) -> str:
    if not (_library() / name / MODULE_FILE).is_file():
        raise FolderError(f"modules: the library has no module '{name}'")
    return read_file(_library() / name, MODULE_FILE)
