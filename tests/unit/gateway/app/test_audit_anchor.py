"""The audit log's head goes into the chain, and comes out of it again to be compared."""

import asyncio
from functools import partial
from typing import cast

import msgspec

from gateway.app.audit_anchor import FIRST_IN_NS, INTERVAL_NS, AuditAnchor, load_anchored
from gateway.smart_agent.audit.anchored import audit_device, head_root
from gateway.smart_agent.audit.entry import Head
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.messages import AuditHead
from tests.support.gateway_lab import GatewayLab
from tests.support.readings import ManualClock, store_run

NODE = b"n" * 32


class Agent:
    """An audit log that grows by ten entries from one question to the next."""

    def __init__(self):
        self.asked = 0

    def audit_head(self):
        self.asked += 1
        return AuditHead(10 * self.asked, bytes([self.asked]) * 32)


def roots(count):
    return [head_root(NODE, Head(10 * n, bytes([n]) * 32)) for n in range(1, count + 1)]


async def test_heads_are_registered_once_anchored_each_hour_and_found_again(tmp_path):
    clock, agent = ManualClock(), Agent()
    async with GatewayLab(tmp_path) as lab:
        lab.make_errand = lambda author: AuditAnchor(
            author, lab.link, cast("AgentClient", agent), NODE, clock
        )
        lab.start()

        def ask(verb, body, reply):
            return msgspec.convert(lab.answer(verb, body), reply)

        def next_sequence():
            device = lab.node.device(audit_device(NODE))
            return device.next_sequence if device else 0

        await lab.until(lambda: not lab.service.problem)
        assert "device" not in lab.requests, "nothing in the first minute"
        clock._monotonic_ns += FIRST_IN_NS
        await lab.until(lambda: next_sequence() == 1)
        clock._monotonic_ns += INTERVAL_NS
        await lab.until(lambda: next_sequence() == 2)
        clock._monotonic_ns += INTERVAL_NS
        await lab.until(lambda: next_sequence() == 3)
        clock._monotonic_ns += INTERVAL_NS
        await lab.until(lambda: next_sequence() == 4)

        anchored = await asyncio.to_thread(load_anchored, ask, NODE)
        assert [one.root for one in anchored] == roots(3)
        assert agent.asked == 3
        assert len(lab.registrations()) == 1
        assert await asyncio.to_thread(load_anchored, ask, b"o" * 32) == []


async def test_readings_are_anchored_beside_it(tmp_path):
    """Both registrations share one account, and neither waits for the other."""
    clock, agent = ManualClock(), Agent()
    async with GatewayLab(tmp_path) as lab:
        lab.make_errand = lambda author: AuditAnchor(
            author, lab.link, cast("AgentClient", agent), NODE, clock
        )
        lab.register("meter")
        lab.start()
        clock._monotonic_ns += FIRST_IN_NS
        await lab.until(lambda: lab.registrations())
        await store_run(lab.store, "meter", 5)
        await lab.until_anchored("meter", 5)

        await lab.until(lambda: lab.service.anchored == 5)
        assert not lab.service.problem


def is_asked_again(lab, count):
    """Rounds have passed: each asks the ledger for what waits in the outbox."""
    return lab.requests.count("transaction") > count


async def test_while_the_chain_stands_still_one_transaction_waits_and_no_more(tmp_path):
    clock, agent = ManualClock(), Agent()
    async with GatewayLab(tmp_path) as lab:
        lab.make_errand = lambda author: AuditAnchor(
            author, lab.link, cast("AgentClient", agent), NODE, clock
        )
        lab.start()
        await lab.until(lambda: not lab.service.problem)
        lab.lose_submissions = True
        for _ in range(5):
            asked = lab.requests.count("transaction")
            clock._monotonic_ns += INTERVAL_NS
            await lab.until(partial(is_asked_again, lab, asked + 3))

        waiting = lab.store.pending_transactions()
        assert [entry.purpose for entry in waiting] == ["audit-head"]
        lab.lose_submissions = False
        await lab.until(lambda: lab.node.device(audit_device(NODE)))
