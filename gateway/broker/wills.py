"""Wills that wait (MQTT 5 section 3.1.3.2.2): published when their delay or their session is over."""

from dataclasses import dataclass

from gateway.broker.changes import SessionKey
from gateway.broker.codec.packets import Will
from gateway.model.principal import Principal


@dataclass(frozen=True, slots=True)
class DelayedWill:
    """A will, whose it is, and when it is due."""

    will: Will
    principal: Principal
    due_ms: int


class DelayedWills:
    """One will for each session that was left; bounded by the number of sessions."""

    def __init__(self) -> None:
        self._wills: dict[SessionKey, DelayedWill] = {}

    def __len__(self) -> int:
        return len(self._wills)

    def put(self, key: SessionKey, delayed: DelayedWill) -> None:
        """Let a will wait."""
        self._wills[key] = delayed

    def take(self, key: SessionKey) -> DelayedWill | None:
        """Return the will of a session, which ends or is resumed, and forget it."""
        return self._wills.pop(key, None)

    def due(self, now_ms: int) -> list[DelayedWill]:
        """Return the wills whose delay is over, and forget them."""
        keys = [key for key, delayed in self._wills.items() if delayed.due_ms <= now_ms]
        return [self._wills.pop(key) for key in keys]

    def next_due_ms(self) -> int | None:
        """Return when the first will is due."""
        return min((delayed.due_ms for delayed in self._wills.values()), default=None)
