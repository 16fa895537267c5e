"""The wallet's policy and its account on disk: private files, replaced as a whole and durable.

Rule: the account is written before the signature leaves; one that cannot be read lets nothing leave.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.errors import AgentError
from gateway.smart_agent.private_files import read_private, write_private
from gateway.smart_agent.spending.rules import SpendingPolicy, Spent

POLICY_FILE = "spending-policy"
ACCOUNT_FILE = "spending-account"
_FILE_BYTES_MAX = 256 * 1024

_T = TypeVar("_T", bound=msgspec.Struct)


class SpendingBook:
    """Both files, read once at the start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.policy = _load(folder / POLICY_FILE, SpendingPolicy) or SpendingPolicy()
        self.spent = _load(folder / ACCOUNT_FILE, Spent) or Spent()

    def keep_policy(self, policy: SpendingPolicy) -> None:
        """Put another policy in force, durably."""
        write_private(self._folder / POLICY_FILE, msgspec.msgpack.encode(policy))
        self.policy = policy

    def keep_spent(self, spent: Spent) -> None:
        """Write the account, durably."""
        write_private(self._folder / ACCOUNT_FILE, msgspec.msgpack.encode(spent))
        self.spent = spent


def _load(path: Path, kind: type[_T]) -> _T | None:
    if not path.exists():
        return None
    try:
        return msgspec.msgpack.decode(read_private(path, _FILE_BYTES_MAX), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AgentError(f"{path} is damaged: {error}: restore it, or see docs/WALLET.md") from None
