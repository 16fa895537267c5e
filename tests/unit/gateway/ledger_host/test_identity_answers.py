"""What the ledger answers about identities, from a real node."""

import msgspec
import pytest

from gateway.ledger_host.identity_answers import IdentityAnswers
from gateway.model.ledger_api import IdentityReply, RevocationReply, SoftwareReply
from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.ed25519 import sign
from ledger.identity.grant import Grant, GrantLevel, Role, build_signed_grant
from ledger.params import LEASE_MS
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.identity_bodies import (
    AppealRevocation,
    DecideAppeal,
    ListSoftware,
    NameOwner,
    RenewLease,
    RetireNode,
    RevocationCause,
    RevokeGrant,
)
from tests.support.ledger_lab import (
    Lab,
    address_of,
    finalise,
    make_genesis,
    seed_of,
    sign_body,
)

NODE, INSTANCE, SOFTWARE = address_of("node"), b"i" * 32, b"s" * 32
GENESIS = msgspec.structs.replace(make_genesis(), foundation=address_of("alice"))


def make_grant() -> tuple[bytes, bytes]:
    """Return a manufacturer's grant for bob by the foundation alice, and its id."""
    grant = Grant(
        genesis_chain_id(GENESIS),
        GrantLevel.MANUFACTURER,
        address_of("alice"),
        address_of("bob"),
        bytes(16),
        0,
        1,
        (Role.AGENT,),
        ("gw-1",),
    )
    payload = canonical.encode(grant)
    signature = sign(seed_of("alice"), domains.grant_message(payload))
    return build_signed_grant(payload, signature), domains.grant_id(payload)


@pytest.fixture
def answers(tmp_path):
    node = Lab(tmp_path, GENESIS).open()
    yield node, IdentityAnswers(node, lambda ask: ask())
    node.close()


async def test_a_nodes_identity_from_registration_to_retirement(answers):
    node, ask = answers
    first = ask.identity(NODE)
    assert first.registered
    assert first.metering == address_of("metering").hex()
    assert (first.owner, first.lease_instance, first.retired_height) == ("", "", 0)
    assert ask.identity(bytes(32)) == IdentityReply(registered=False, time_ms=first.time_ms)

    owner = address_of("alice")
    blocks = await finalise(
        node,
        sign_body(GENESIS, "metering", 0, NameOwner(NODE, owner)),
        sign_body(GENESIS, "metering", 1, RenewLease(INSTANCE, 3)),
    )
    leased = ask.identity(NODE)
    time_ms = blocks[-1].header.time_ms
    assert (leased.owner, leased.lease_instance) == (owner.hex(), INSTANCE.hex())
    assert (leased.lease_renewal, leased.lease_until_ms) == (3, time_ms + LEASE_MS)
    lease = node.identity_facts().lease(NODE)
    assert lease is not None
    assert lease.instance == INSTANCE

    successor = address_of("bob")
    await finalise(node, sign_body(GENESIS, "alice", 0, RetireNode(NODE, successor)))
    retired = ask.identity(NODE)
    assert retired.retired_height > 0
    assert retired.successor == successor.hex()
    assert node.identity_facts().is_retired(NODE)


async def test_a_revocation_with_its_appeal(answers):
    node, ask = answers
    grant, grant_id = make_grant()
    assert ask.revocation(grant_id) == RevocationReply("none")
    revoke = RevokeGrant(grant, RevocationCause.DEFECT, "reads low")
    await finalise(node, sign_body(GENESIS, "alice", 0, revoke))
    appeal = AppealRevocation(grant_id, "recalibrated")
    await finalise(node, sign_body(GENESIS, "bob", 0, appeal))
    appealed = ask.revocation(grant_id)
    assert (appealed.state, appealed.cause, appealed.note) == ("appealed", "defect", "reads low")
    assert appealed.statement == "recalibrated"
    assert node.identity_facts().is_revoked(grant_id)
    await finalise(node, sign_body(GENESIS, "alice", 1, DecideAppeal(grant_id, True, "fine")))
    decided = ask.revocation(grant_id)
    assert (decided.state, decided.decision) == ("reinstated", "fine")
    assert decided.decided_height > decided.height
    assert not node.identity_facts().is_revoked(grant_id)


async def test_listed_software(answers):
    node, ask = answers
    assert ask.software(SOFTWARE) == SoftwareReply(listed=False)
    await finalise(node, sign_body(GENESIS, "alice", 0, ListSoftware(SOFTWARE, "0.1.0", True)))
    listed = ask.software(SOFTWARE)
    assert (listed.listed, listed.label) == (True, "0.1.0")
    assert node.identity_facts().is_listed(SOFTWARE)
