"""When a node gives up waiting for blocks: peers no longer keep them, and for long nobody gave one."""

from gateway.ledger_host.lag import CLAIMS_MAX, STALL_HEARTBEATS, STALL_S, Lag

PEER, OTHER = b"p" * 32, b"o" * 32


HEARTBEAT_MS = 3_000


def make(height: int = 10, heartbeat_ms: int = HEARTBEAT_MS) -> Lag:
    lag = Lag(heartbeat_ms)
    lag.note_height(height, 0)
    return lag


def test_a_node_that_nobody_told_of_dropped_blocks_waits_for_ever():
    lag = make()
    assert not lag.is_lost(10**9)


def test_a_told_node_is_lost_after_a_while_without_a_block():
    lag = make()
    lag.note_pruned(PEER, 11)
    assert not lag.is_lost(STALL_S - 1)
    assert lag.is_lost(STALL_S)


def test_an_idle_chain_takes_longer():
    lag = make(heartbeat_ms=600_000)
    lag.note_pruned(PEER, 11)
    assert not lag.is_lost(STALL_HEARTBEATS * 600 - 1)
    assert lag.is_lost(STALL_HEARTBEATS * 600)


def test_what_is_here_already_is_no_loss():
    lag = make()
    lag.note_pruned(PEER, 10)
    assert not lag.is_lost(STALL_S)


def test_a_block_that_comes_begins_the_wait_anew():
    lag = make()
    lag.note_pruned(PEER, 20)
    lag.note_height(11, STALL_S - 1)
    assert not lag.is_lost(STALL_S)
    assert lag.is_lost(2 * STALL_S)
    lag.note_height(11, 2 * STALL_S)
    assert lag.is_lost(2 * STALL_S)


def test_a_node_that_has_passed_what_was_dropped_is_not_lost():
    lag = make()
    lag.note_pruned(PEER, 20)
    lag.note_pruned(OTHER, 30)
    lag.note_height(20, 1)
    assert lag.is_lost(STALL_S + 1)
    lag.note_height(30, STALL_S + 1)
    assert not lag.is_lost(10**9)


def test_nothing_counts_before_the_height_is_known():
    lag = Lag(HEARTBEAT_MS)
    lag.note_pruned(PEER, 20)
    assert not lag.is_lost(10**9)


def test_the_words_of_many_strangers_take_little_room():
    lag = make()
    for number in range(CLAIMS_MAX + 10):
        lag.note_pruned(number.to_bytes(32, "big"), 20)
    assert len(lag._pruned) == CLAIMS_MAX
    lag.note_pruned(bytes(32), 50)  # one that is known may correct itself
    lag.note_height(30, 1)
    assert lag.is_lost(STALL_S + 1)
