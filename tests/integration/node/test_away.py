"""A process of the node that is away: readings are acknowledged all the same, and anchored later."""

import pytest

from gateway.readings.queries import ReadingsReader
from gateway.readings.records import SettlementStatus
from tests.integration.node.conftest import RunningNode, until
from tests.support.node import Node, Process

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


MISS = "the ledger did not answer"


def anchored(node: RunningNode, device: str) -> list[int]:
    """The sequences of a device that are final, in order, each as often as it was anchored."""
    reader = ReadingsReader.open(node.home.readings)
    try:
        final = [one for one in reader.batches(SettlementStatus.FINAL) if one.device == device]
    finally:
        reader.close()
    return [sequence for one in final for sequence in range(one.first, one.last + 1)]


@pytest.mark.parametrize(("service", "words"), [("agent", "SmartAgent"), ("ledger", MISS)])
def test_readings_are_taken_while_a_process_is_away(node, service, words):
    name = f"plug-{service}"
    password = node.add_device(name)
    node.publish(name, password, 1)
    until(lambda: anchored(node, name) == [1])

    with node.without(service):
        node.publish(name, password, 2, 3)
        if service == "agent":
            status = until(lambda: (s := node.run("status")).code == 1 and s)
            assert words in status.out
        else:  # `status` itself asks the ledger
            status = node.run("status")
            assert (status.code, "is `smartshare ledger` running?" in status.line) == (1, True)
        doctor = {one["check"]: one["problem"] for one in node.run("doctor", "--json").data}
        assert doctor["SmartAgent" if service == "agent" else "gateway and ledger"]
        node.publish(name, password, 4)

    until(lambda: anchored(node, name) == [1, 2, 3, 4])
    until(lambda: node.run("status").code == 0)


def test_a_gateway_that_starts_anew_goes_on_at_once(node):
    """The ledger ran on: it must not take the new gateway's requests for those of the old one."""
    password = node.add_device("again")
    node.publish("again", password, 1)
    until(lambda: anchored(node, "again") == [1])
    misses = node.node.log.read_text().count(MISS)
    for value in (2, 3):
        node.node.processes["gateway"].kill()
        node.node.start("gateway")
        node.publish("again", password, value)
        until(lambda: len(anchored(node, "again")) == value)  # noqa: B023 - called at once

    assert anchored(node, "again") == [1, 2, 3]
    misses = node.node.log.read_text().count(MISS) - misses
    assert misses <= 2 * 2, "it waits until the ledger is connected again, and no longer"


def test_a_second_process_of_a_kind_says_what_is_wrong_in_one_line(node):
    for service, words in (
        ("agent", "another SmartAgent runs on"),
        ("gateway", "readings"),
        ("ledger", "chain.db"),
    ):
        second = node.run(service)
        assert second.code == 1
        last = second.err.splitlines()[-1]
        assert last.startswith("smartshare: ")
        assert words in last


def test_a_home_without_its_agent_waits_and_says_for_what(tmp_path):
    with Node(tmp_path / "home") as lonely:
        arguments = ("-m", "gateway.cli.main", "ledger", "--home", str(lonely.home.path))
        lonely.processes["ledger"] = Process(arguments, lonely.log)
        until(lambda: "waiting: SmartAgent is not running" in lonely.log.read_text())
        assert lonely.processes["ledger"].stop() == 0
        del lonely.processes["ledger"]
