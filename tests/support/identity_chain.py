"""A chain with registered nodes and a foundation: for tests of the rules about identities."""

from ledger.state.keys import FOUNDATION_KEY
from ledger.types.identity_bodies import RevocationCause, RevokeGrant
from tests.support.identity import FOUNDATION, MAKER, UNIT, sign_grant, unit_grant
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    Chain,
    Person,
    assert_applied,
    register_node,
)

CONSENSUS, METERING, OWNER = Person("consensus"), Person("metering"), Person("owner")
STRANGER = Person("stranger")
GRANT = unit_grant(UNIT)
REVOCATION = RevokeGrant(sign_grant(GRANT, MAKER), RevocationCause.DEVICE_STOLEN, "stolen")


def make_chain(*, has_foundation: bool = True) -> Chain:
    """ANNA is a registered node with its keys; the foundation is named unless told otherwise."""
    chain = Chain(ANNA, BEN, CARLA, CONSENSUS, METERING, OWNER, STRANGER, FOUNDATION, MAKER, UNIT)
    if has_foundation:
        chain.state[FOUNDATION_KEY] = FOUNDATION.address
    assert_applied(chain.run(ANNA, register_node(ANNA, CONSENSUS, METERING)))
    return chain
