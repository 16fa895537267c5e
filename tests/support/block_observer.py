"""Prints a line for each block that a node announces: height and hash. `python -m tests.support.block_observer HOME`."""

import json
import sys
import threading
from pathlib import Path

from gateway.messaging.client import MqttConnection
from gateway.messaging.service_login import OPERATOR, service_login
from gateway.model import topics
from gateway.settings import Home, load_settings


def main() -> None:
    home = Home(Path(sys.argv[1]))
    settings = load_settings(home)
    login = service_login(home, settings, OPERATOR, "block-observer")

    def show(_topic: str, payload: bytes) -> None:
        block = json.loads(payload)
        print(block["height"], block["hash"], flush=True)

    connection = MqttConnection(login, show)
    connection.subscribe(topics.ledger_block(settings.name))
    connection.keep_open(lambda: None)
    threading.Event().wait()


if __name__ == "__main__":
    main()
