from gateway.broker.pending import PendingShare
from gateway.broker.settings import BrokerSettings
from gateway.readings.commit_queue import GROUP_READINGS_MAX, QUEUE_GROUPS_MAX
from tests.support.broker_script import CONNECT, METER, Script, Sink, make_core, publish

LIMITS = BrokerSettings(
    "gw1",
    pending_messages_max=100,
    pending_bytes_max=1_000,
    pending_total_messages_max=300,
    pending_total_bytes_max=4_000,
    pending_messages_min=10,
    pending_bytes_min=50,
)


def limits_with(connections: int) -> tuple[int, int]:
    share = PendingShare(LIMITS)
    for _ in range(connections):
        share.enter()
    return share.messages_max, share.bytes_max


def test_connections_share_what_the_sink_takes_at_once():
    assert limits_with(0) == limits_with(1) == limits_with(3) == (100, 1_000)
    assert limits_with(4) == (75, 1_000)
    assert limits_with(10) == (30, 400)


def test_however_many_there_are_each_may_have_some():
    assert limits_with(1_000) == (10, 50)


def test_who_leaves_gives_the_share_back():
    share = PendingShare(LIMITS)
    for _ in range(10):
        share.enter()
    for _ in range(7):
        share.leave()
    assert (share.messages_max, share.bytes_max) == (100, 1_000)


def test_all_shares_together_are_less_than_the_store_queues():
    defaults = BrokerSettings("gw1")
    queued_max = GROUP_READINGS_MAX * QUEUE_GROUPS_MAX
    assert defaults.pending_total_messages_max < queued_max
    assert defaults.pending_messages_min * defaults.connections_max < queued_max


def test_a_flood_of_many_waits_in_its_sockets_and_then_goes_on():
    core = make_core(LIMITS, sink := Sink())
    scripts = [
        Script(core).connect(METER, CONNECT[:-1] + b"%c" % (97 + number)) for number in range(6)
    ]
    for script in scripts:
        for number in range(100):
            script.link.receive(publish("up/1", str(number)))
    assert len(sink.held) == 300, "all together, not 100 of each"
    assert all(script.is_held for script in scripts)

    stored = []
    while sink.held:
        stored.append(sink.held[0][0].payload)
        sink.finish()
    assert sorted(stored) == sorted(b"%d" % number for number in range(100) for _ in scripts)
    assert not any(script.is_held for script in scripts)
