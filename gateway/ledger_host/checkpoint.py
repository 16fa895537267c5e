"""The checkpoint that the operator trusts, as the settings name it."""

from gateway.errors import SettingsError
from gateway.settings import Home, Settings
from ledger.errors import CodecError
from ledger.light.snapshot import Checkpoint


def find_checkpoint(home: Home, settings: Settings) -> Checkpoint | None:
    """Return the checkpoint of the settings, None where there is none; raises `SettingsError`."""
    if not settings.ledger.checkpoint:
        return None
    try:
        return Checkpoint.parse(settings.ledger.checkpoint)
    except CodecError as error:
        raise SettingsError(f"{home.settings}: ledger.checkpoint: {error}") from None
