"""Changing the secret that unseals the keys: what a crash leaves opens, and the change is finished later.

    1  every sealed file opens with the old secret: else nothing is changed
    2  the new secret is on disk beside the old one (`unlock.next`): from here on the change goes through
    3  each file is sealed again, one by one; each is under the old or the new secret at any moment
    4  the new secret takes the place of the old one, and `unlock.next` goes

Whoever opens the folder next finishes steps 3 and 4. Where the secret is a systemd credential, it is its
owner's to replace and neither secret is written here: a change that was cut off is finished by the same command.
"""

from collections.abc import Sequence
from pathlib import Path

from gateway.errors import AgentError
from gateway.smart_agent.keys import KeyPlace
from gateway.smart_agent.private_files import remove_private, write_private
from gateway.smart_agent.providers.registry import list_sealed_files
from gateway.smart_agent.sealed_key import LEAST, KdfLimits, check_opens, reseal
from gateway.smart_agent.unlock import UnlockSource, load_unlock, random_secret

SECRET_LENGTH_MIN = 12
_NEXT_FILE = "unlock.next"


def change_unlock(key_uri: str, place: KeyPlace, new_secret: bytes | None) -> tuple[Path, ...]:
    """Seal the keys under another secret, by default a random one; return the files.

    The caller holds the folder's lock and has finished an earlier change. Raises `AgentError`; whatever it
    says, the keys open with the old secret or the new one.
    """
    limits = place.limits
    if new_secret is None:
        if place.unlock.is_credential:
            raise AgentError(
                "the unlock secret is a systemd credential: make the new one, and name its file with --to"
            )
        new_secret, limits = random_secret(), LEAST
    if len(new_secret) < SECRET_LENGTH_MIN:
        raise AgentError(f"the new unlock secret is shorter than {SECRET_LENGTH_MIN} characters")
    old_secret = load_unlock(place.unlock)
    files = list_sealed_files(key_uri, place)
    for path in files:
        check_opens(path, old_secret, new_secret)
    if place.unlock.is_credential:
        _reseal_all(files, old_secret, new_secret, limits)
    else:
        write_private(_next_of(place), new_secret + b"\n")
        _finish(files, place, limits)
    return files


def finish_change(key_uri: str, place: KeyPlace) -> None:
    """Finish a change that a crash cut off, if there is one. The caller holds the folder's lock.

    Nobody knows any more who chose the new secret: the keys get the work of one that a person did.
    """
    if not place.unlock.is_credential and _next_of(place).exists():
        _finish(list_sealed_files(key_uri, place), place, place.limits)


def _finish(files: Sequence[Path], place: KeyPlace, limits: KdfLimits) -> None:
    """Do steps 3 and 4."""
    following = _next_of(place)
    new_secret = load_unlock(UnlockSource(following, is_credential=False))
    _reseal_all(files, load_unlock(place.unlock), new_secret, limits)
    write_private(place.unlock.path, new_secret + b"\n")
    remove_private(following)


def _reseal_all(
    files: Sequence[Path], old_secret: bytes, new_secret: bytes, limits: KdfLimits
) -> None:
    for path in files:
        reseal(path, old_secret, new_secret, limits)


def _next_of(place: KeyPlace) -> Path:
    return place.folder / _NEXT_FILE
