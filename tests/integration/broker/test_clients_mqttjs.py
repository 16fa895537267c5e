"""MQTT.js, the client of browsers and node: both versions, TCP and WebSocket."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spec.mqtt.targets import Target
from tests.support.mqtt_brokers import broker_process

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
PACKAGE = "mqtt@5.16.0"
SCRIPT = Path(__file__).with_name("mqttjs_session.js")
INSTALL_S, SESSION_S = 200, 60
COUNT = 500  # MQTT.js sends all at once


@pytest.fixture(scope="module")
def modules(request: pytest.FixtureRequest) -> Path:
    """The folder of node modules with MQTT.js in it, kept between runs."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is missing")
    assert request.config.cache is not None
    folder = Path(request.config.cache.mkdir(PACKAGE.replace("@", "-")))
    if not (folder / "node_modules/mqtt/package.json").exists():
        command = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts")
        done = subprocess.run(
            (*command, "--prefix", folder, PACKAGE),
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )
        if done.returncode:
            pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules"


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with broker_process() as target:
        yield target


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("scheme", ["mqtt", "ws"])
def test_a_session_of_mqtt_js(modules: Path, target: Target, scheme, version):
    address = target.tcp if scheme == "mqtt" else target.websocket
    assert address is not None
    url = f"{scheme}://{address[0]}:{address[1]}"

    done = subprocess.run(
        ("node", SCRIPT, url, str(version)),
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=SESSION_S,
    )

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    for qos in (0, 1, 2):
        assert seen[f"qos{qos}"] == list(range(COUNT))
    assert (seen["sessionPresent"], seen["kept"]) == (True, "meanwhile")
    assert seen["retainedAndWill"] == [["on", True], ["lost", False]]
    if version == 5:
        assert seen["properties"] == ["answers/js", [0, 255], "kWh"]
