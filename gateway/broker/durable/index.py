"""What is on disk, as far as later changes must know: row numbers, and who still needs a message.

Pure. It runs ahead of the disk by the batch that is being written.
"""

from dataclasses import dataclass, field

from gateway.broker.changes import SessionKey
from gateway.broker.message import Message
from gateway.model.principal import Principal

NO_MESSAGE = 0  # of a delivery of which only the packet id is left


@dataclass(slots=True, eq=False)
class SessionRow:
    """One session: its columns, and its rows in other tables. Compared by identity."""

    number: int
    key: SessionKey
    principal: Principal
    expiry_s: int
    left_at_ms: int | None = None
    sent_number: int = 0
    is_stored: bool = False
    is_ended: bool = False
    deliveries: dict[int, int] = field(default_factory=dict)  # number -> message row
    packet_ids: set[int] = field(default_factory=set)


class MessageRows:
    """Messages that deliveries refer to: each is stored once and removed with the last of them."""

    def __init__(self) -> None:
        self._last = NO_MESSAGE
        self._row_by_object: dict[int, int] = {}
        self._messages: dict[int, tuple[Message, int]] = {}  # row -> message, deliveries

    def __len__(self) -> int:
        return len(self._messages)

    def load(self, row: int, message: Message) -> None:
        """Note a message that is on disk, and that nobody refers to yet."""
        self._last = max(self._last, row)
        self._row_by_object[id(message)] = row
        self._messages[row] = (message, 0)

    def refer(self, message: Message) -> tuple[int, bool]:
        """Count one more delivery of a message; return its row, and whether that is new."""
        row = self._row_by_object.get(id(message))
        is_new = row is None
        if row is None:
            self._last = row = self._last + 1
            self._row_by_object[id(message)] = row
            self._messages[row] = (message, 0)
        held, count = self._messages[row]  # holding the message keeps its id() its own
        self._messages[row] = (held, count + 1)
        return row, is_new

    def let_go(self, row: int) -> bool:
        """Count one delivery less; tell whether it was the last and the message can go."""
        message, count = self._messages[row]
        if count > 1:
            self._messages[row] = (message, count - 1)
            return False
        del self._messages[row]
        del self._row_by_object[id(message)]
        return True

    def unreferred(self) -> list[int]:
        """Return the rows that nobody refers to, and forget them: for the start."""
        rows = [row for row, (_, count) in self._messages.items() if count == 0]
        for row in rows:
            message, _ = self._messages.pop(row)
            del self._row_by_object[id(message)]
        return rows
