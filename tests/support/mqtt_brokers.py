"""`smartshare broker` and mosquitto as processes, for tests that meet them from outside."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.spec.mqtt.targets import Target, accepts, free_port, mosquitto_command, start_ours

STOP_S = 30.0


@contextlib.contextmanager
def broker_process(*arguments: str) -> Iterator[Target]:
    """Our broker alone; it must have said nothing about a failure when it ends."""
    target = start_ours(*arguments)
    try:
        yield target
        assert target.process is not None
        assert target.process.poll() is None, target.log_text()
    finally:
        traceback = target.traceback()
        target.stop()
    assert not traceback, traceback


@contextlib.contextmanager
def mosquitto_process(config: str) -> Iterator[int]:
    """mosquitto with this configuration beside a listener for everybody, whose port is given."""
    command = mosquitto_command()
    assert command is not None
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mosquitto.conf"
        path.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n{config}\n"
        )
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen([command, "-v", "-c", path], stdout=log, stderr=log)
            try:
                assert accepts(("127.0.0.1", port), process), (Path(folder) / "log").read_text()
                yield port
            finally:
                process.terminate()
                process.wait(STOP_S)
