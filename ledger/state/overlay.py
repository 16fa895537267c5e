"""Changes on top of a state that they do not touch until someone decides to keep them.

Accounts change many times in a block, so they are kept as values and encoded once, by
`ledger.state.accounts.encode_accounts`; until then only that module sees them.
"""

from typing import Protocol

from ledger.types.records import Account


class StateReader(Protocol):
    """Anything that state can be read from: the database, a dict or an overlay."""

    def get(self, key: bytes, /) -> bytes | None:
        """Return the value stored under `key`, or None."""
        ...


class Overlay:
    """Collected writes over a parent. Reads see own writes first, then the parent's."""

    __slots__ = ("accounts", "parent", "writes")

    def __init__(self, parent: StateReader) -> None:
        self.parent = parent
        self.writes: dict[bytes, bytes | None] = {}  # None: the key is removed
        self.accounts: dict[bytes, Account] = {}  # by address; newer than what `writes` holds

    def get(self, key: bytes, /) -> bytes | None:
        """Return the value under `key` as these writes leave it, or None."""
        if key in self.writes:
            return self.writes[key]
        return self.parent.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value under `key`."""
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove `key`; removing an absent key is no error."""
        self.writes[key] = None

    def child(self) -> "Overlay":
        """Return an empty overlay on top of this one."""
        return Overlay(self)

    def merge(self, child: "Overlay") -> None:
        """Take over the writes of a child of this overlay."""
        assert child.parent is self, "merged into another parent"
        if child.writes:
            self.writes.update(child.writes)
        self.accounts.update(child.accounts)

    def reset(self) -> None:
        """Forget everything that was written here: the overlay can be used anew."""
        self.accounts.clear()
        if self.writes:
            self.writes = {}
