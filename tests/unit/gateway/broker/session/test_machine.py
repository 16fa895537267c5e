"""The machine alone: what must hold after any inputs in any order, by seed."""

import random

import pytest

from gateway.broker.changes import DeliveryDone, DeliveryReceived, MessageQueued
from gateway.broker.message import Message, Subscription
from gateway.broker.session import inputs
from gateway.broker.session.effects import AwaitCommit, Drop, Effect, Record, SendPublish
from gateway.broker.session.machine import apply
from gateway.broker.session.state import SessionLimits, SessionState, get_size

STEPS = 400
LIMITS = SessionLimits(
    queue_messages_max=6, queue_bytes_max=1_500, replay_bytes_max=300, received_max=4
)


class Run:
    """A session between a broker and a client that do whatever comes to mind."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.state = SessionState(("reader", "c"), LIMITS)
        self.state.is_kept = self.state.queues_offline = self.chance.random() < 0.7
        self.now_ms = 1_000
        self.awaited: list[AwaitCommit] = []
        self.sent: list[int] = []  # numbers, since the connection is there
        self.on_disk: dict[int, bool] = {}  # number -> whether only the packet id is left

    def step(self) -> None:
        self.now_ms += self.chance.randrange(50)
        before = len(self.state.queue) + len(self.state.inflight)
        event = self.next_input()
        if isinstance(event, inputs.Attached):
            self.sent.clear()
        effects = apply(self.state, event)
        self.check(event, effects, before)

    def next_input(self) -> inputs.Input:
        chance, state = self.chance, self.state
        room = chance.choice((0, 200, 65_536))
        packet_id = chance.choice([*state.inflight, *state.released, chance.randint(1, 9)])
        if self.awaited and chance.random() < 0.2:
            waited = self.awaited.pop(0)
            return inputs.Committed(waited.number, waited.released, room, self.now_ms)
        if chance.random() < 0.05:
            self.awaited.clear()  # the journal's answers are for the connection before
            number = chance.randint(0, state.last_number)
            return inputs.Attached(chance.randint(1, 4), number, room, self.now_ms)
        choices: list[inputs.Input] = [
            *[self.next_delivery(room) for _ in range(3)],
            inputs.Acknowledged(packet_id, room, self.now_ms),
            inputs.Received(packet_id, chance.random() < 0.2, room, self.now_ms),
            inputs.Completed(packet_id, room, self.now_ms),
            inputs.Unsendable(packet_id, room, self.now_ms),
            inputs.Writable(room, self.now_ms),
            inputs.Subscribed("a", Subscription(1)),
            inputs.Narrowed(lambda topic: topic != "secret"),
            inputs.Detached(),
        ]
        weights = (8, 8, 8, 8, 8, 8, 1, 4, 1, 1, 1)
        return chance.choices(choices, weights)[0]

    def next_delivery(self, room: int) -> inputs.Deliver:
        chance = self.chance
        expires_at_ms = chance.choice((0, 0, self.now_ms + 60))
        message = Message(
            chance.choice(("a", "secret")),
            bytes(chance.randrange(400)),
            2,
            is_retained=False,
            expires_at_ms=expires_at_ms,
        )
        return inputs.Deliver(
            message,
            chance.randrange(3),
            False,
            (),
            chance.random() < 0.1,
            chance.random() < 0.9,
            room,
            self.now_ms,
        )

    def check(self, event: inputs.Input, effects: tuple[Effect, ...], before: int) -> None:
        state = self.state
        deliveries = [*state.queue, *state.inflight.values()]
        assert state.held_bytes == sum(get_size(one.message) for one in deliveries)
        assert state.held_bytes <= LIMITS.queue_bytes_max + LIMITS.replay_bytes_max
        ids = [one.packet_id for one in deliveries if one.qos] + list(state.released)
        assert len(ids) == len(set(ids)), "a packet id is used twice"
        assert set(ids) == state.packet_ids
        assert [one.number for one in state.queue] == sorted(one.number for one in state.queue)
        if isinstance(event, inputs.Deliver) and Drop() in effects:
            assert len(deliveries) == before
        for effect in effects:
            if isinstance(effect, SendPublish):
                self.check_sent(effect)
            elif isinstance(effect, AwaitCommit):
                self.awaited.append(effect)
            elif isinstance(effect, Record):
                self.write(effect)
        if state.is_kept:
            kept = {one.number: False for one in deliveries if one.qos}
            assert self.on_disk == kept | dict.fromkeys(state.released.values(), True)

    def check_sent(self, effect: SendPublish) -> None:
        state, delivery = self.state, effect.delivery
        assert state.is_connected
        if not delivery.qos:
            assert not effect.is_dup
            return
        # Each goes out once on a connection, in order, and what waits for the disk stays.
        assert not self.sent or delivery.number > self.sent[-1]
        self.sent.append(delivery.number)
        assert (
            not (state.is_kept and delivery.qos == 2) or delivery.number <= state.committed_number
        )
        assert len(state.inflight) + len(state.released) <= state.window

    def write(self, effect: Record) -> None:
        match effect.change:
            case MessageQueued(_, delivery):
                assert delivery.number not in self.on_disk
                self.on_disk[delivery.number] = False
            case DeliveryReceived(_, number):
                assert self.on_disk[number] is False
                self.on_disk[number] = True
            case DeliveryDone(_, number):
                del self.on_disk[number]
            case _:
                pass


@pytest.mark.parametrize("seed", range(60))
def test_what_a_session_is_fits_together_whatever_happens(seed):
    run = Run(seed)

    for _ in range(STEPS):
        run.step()
    apply(run.state, inputs.Ended())

    state = run.state
    for held in (state.queue, state.inflight, state.released, state.packet_ids):
        assert not held
    assert state.held_bytes == 0
