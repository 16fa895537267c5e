"""Each process of a node loads only its own parts: memory is what small machines have least of."""

import subprocess
import sys

import pytest

from gateway.cli.parser import build_parser

FOREIGN = {
    "run": ("amqtt", "cryptography", "lupa", "nacl", "paho", "peewee", "pymodbus", "zeroconf"),
    "agent": ("amqtt", "lupa", "paho", "peewee", "pymodbus", "zeroconf"),
    "ledger": ("lupa", "prometheus_client", "pymodbus"),
    "gateway": ("lupa",),
}
COMPOSITION = {
    "run": "gateway.app.processes",
    "agent": "gateway.app.agent",
    "ledger": "gateway.ledger_host.service",
    "gateway": "gateway.app.gateway",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_process_loads_no_part_that_only_others_need(name):
    handler = build_parser().parse_args([name]).handler.partition(":")[0]
    program = (
        f"import sys, gateway.cli.main, {handler}, {COMPOSITION[name]};"
        "print(*sorted({module.partition('.')[0] for module in sys.modules}))"
    )
    loaded = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    ).stdout.split()

    assert not set(FOREIGN[name]) & set(loaded)
