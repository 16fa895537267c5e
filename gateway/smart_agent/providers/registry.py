"""From a key's URI to its provider. A third kind of key hardware is one more file and one more line here.

A provider's module has three functions:

    make_keys(uri, place)          make new keys where `uri` says and open them; overwrites nothing
    open_keys(uri, place)          open those that are there
    list_sealed_files(uri, place)  files in the agent's folder that the unlock secret opens

The first two return a `KeyProvider`; all raise `AgentError` with the way to mend it.

It is imported only when a URI names it, so that its driver is needed only where its hardware is.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from gateway.errors import AgentError
from gateway.smart_agent.keys import KeyPlace, KeyProvider

DEFAULT_URI = "file:sealed.key"

_Lister = Callable[[str, KeyPlace], tuple[Path, ...]]
_Opener = Callable[[str, KeyPlace], KeyProvider]

_PROVIDERS: Mapping[str, str] = {
    "file": "gateway.smart_agent.providers.file",
    "pkcs11": "gateway.smart_agent.providers.pkcs11",
}


def make_keys(uri: str, place: KeyPlace) -> KeyProvider:
    """Make new keys where `uri` says, and open them."""
    return cast("_Opener", _function_of(uri, "make_keys"))(uri, place)


def open_keys(uri: str, place: KeyPlace) -> KeyProvider:
    """Open the keys that `uri` names; raise `AgentError` with the way to mend it."""
    return cast("_Opener", _function_of(uri, "open_keys"))(uri, place)


def list_sealed_files(uri: str, place: KeyPlace) -> tuple[Path, ...]:
    """Return the files of these keys that the unlock secret opens."""
    return cast("_Lister", _function_of(uri, "list_sealed_files"))(uri, place)


def _function_of(uri: str, name: str) -> object:
    scheme, separator, _ = uri.partition(":")
    if not separator or scheme not in _PROVIDERS:
        known = ", ".join(f"{one}:" for one in sorted(_PROVIDERS))
        raise AgentError(f"key {uri!r} is of no known kind: write one of {known}")
    found: object = getattr(importlib.import_module(_PROVIDERS[scheme]), name)
    return found
