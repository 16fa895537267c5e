"""Connection slots: given at once or not at all, and always given back."""

from gateway.broker.gate import ConnectionGate
from gateway.broker.settings import BrokerSettings


def test_one_address_cannot_take_all_the_slots():
    gate = ConnectionGate(BrokerSettings("gw1", connections_max=3, connections_per_address_max=2))

    assert [gate.enter("a"), gate.enter("a"), gate.enter("a")] == [True, True, False]
    assert [gate.enter("b"), gate.enter("c")] == [True, False]
    assert (gate.connections, gate.refused) == (3, 2)


def test_a_slot_that_is_left_is_free_again():
    gate = ConnectionGate(BrokerSettings("gw1", connections_max=1))
    for _ in range(5):
        assert gate.enter("a")
        gate.leave("a")

    assert gate.connections == 0
