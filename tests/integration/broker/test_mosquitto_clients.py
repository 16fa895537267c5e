"""Clients of another make: mosquitto_pub and mosquitto_sub against the broker, at each QoS."""

import shutil
import subprocess

import pytest

from tests.integration.broker.conftest import UP, WAIT_S

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="mosquitto_pub is missing"),
]
TOPIC = UP.format("meter")


def command(name: str, port: int, user: str, *arguments: str) -> tuple[str, ...]:
    login = ("-h", "127.0.0.1", "-p", str(port), "-u", user, "-P", f"{user}-pw")
    return (name, *login, *arguments)


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_a_message_arrives_at_each_quality_of_service(broker, qos):
    wait = ("-C", "1", "-W", str(int(WAIT_S)), "-q", qos, "-t", TOPIC, "-v")
    retained = ("-r", "-q", qos, "-t", TOPIC, "-m", "42.5")
    subprocess.run(command("mosquitto_pub", broker.port, "meter", *retained), check=True)
    heard = subprocess.run(
        command("mosquitto_sub", broker.port, "service", *wait), capture_output=True, text=True
    )
    assert heard.stdout == f"{TOPIC} 42.5\n"


def test_a_wrong_password_is_refused(broker):
    login = ("-h", "127.0.0.1", "-p", str(broker.port), "-u", "meter", "-P", "guess")
    refused = subprocess.run(
        ("mosquitto_pub", *login, "-t", TOPIC, "-m", "1"), capture_output=True, text=True
    )
    assert refused.returncode == 5
