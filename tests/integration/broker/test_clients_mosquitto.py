"""mosquitto's command line clients against the running command, in both versions."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.spec.mqtt.targets import Target
from tests.support.mqtt_brokers import broker_process

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="mosquitto_pub is missing"),
]
WAIT_S = "20"
VERSIONS = ["mqttv311", "mqttv5"]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with broker_process() as target:
        yield target


def call(target: Target, name: str, version: str, *arguments: str) -> str:
    address = ("-h", target.tcp[0], "-p", str(target.tcp[1]), "-V", version)
    done = subprocess.run((name, *address, *arguments), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_a_retained_message_arrives(target: Target, version, qos):
    topic = uuid.uuid4().hex
    call(target, "mosquitto_pub", version, "-r", "-q", qos, "-t", topic, "-m", "42.5")

    heard = call(target, "mosquitto_sub", version, "-C", "1", "-W", WAIT_S, "-q", qos, "-t", topic)

    assert heard == "42.5\n"
    call(target, "mosquitto_pub", version, "-r", "-n", "-t", topic)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_kept_session_receives_what_was_sent_meanwhile(target: Target, version):
    topic, name = uuid.uuid4().hex, uuid.uuid4().hex
    expiry = ("-x", "600") if version == "mqttv5" else ()
    kept = ("-c", "-i", name, "-q", "1", "-t", topic, *expiry)
    call(target, "mosquitto_sub", version, *kept, "-E")
    lines = "".join(f"{number}\n" for number in range(20))
    address = ("-h", target.tcp[0], "-p", str(target.tcp[1]), "-V", version)
    subprocess.run(
        ("mosquitto_pub", *address, "-q", "1", "-t", topic, "-l"),
        input=lines,
        text=True,
        check=True,
        timeout=60,
    )

    assert call(target, "mosquitto_sub", version, *kept, "-C", "20", "-W", WAIT_S) == lines


@pytest.mark.skipif(shutil.which("mosquitto_rr") is None, reason="mosquitto_rr is missing")
def test_a_request_gets_its_response(target: Target):
    """mosquitto_rr names a response topic; here it answers itself by asking on that topic."""
    topic = uuid.uuid4().hex

    heard = call(
        target, "mosquitto_rr", "mqttv5", "-W", WAIT_S, "-t", topic, "-e", topic, "-m", "echo"
    )

    assert heard == "echo\n"
