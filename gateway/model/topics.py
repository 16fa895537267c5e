"""The MQTT topic tree, version 1: the only place where topic names are written.

ss/v1/<gw>/dev/<dev>/up             a device publishes readings
ss/v1/<gw>/dev/<dev>/state          retained normalised values
ss/v1/<gw>/dev/<dev>/availability   retained `online` or `offline`
ss/v1/<gw>/dev/<dev>/rejected       why a message was refused
ss/v1/<gw>/bridge/{info,health,devices,event}
ss/v1/<gw>/bridge/{request,response}/<verb>
ss/v1/<gw>/ledger/{request,response}/<verb>, ss/v1/<gw>/ledger/block
"""

import re

ROOT = "ss/v1"
NAME_PATTERN = re.compile(r"^[a-z0-9][a-z0-9_-]{0,31}$")
NAME_RULE = "1 to 32 of a-z, 0-9, _ and -, starting with a letter or digit; not ss, homeassistant"
# A device's own topics may begin with its name: these would lead into the gateway's tree, or into
# that with which Home Assistant is told of devices.
RESERVED_NAMES = ("ss", "homeassistant")


def is_name(text: str) -> bool:
    """Tell whether `text` can name a gateway or a device (`NAME_RULE`)."""
    return NAME_PATTERN.fullmatch(text) is not None and text not in RESERVED_NAMES


def device(gateway: str, name: str, leaf: str) -> str:
    """Return a device's topic, for example leaf `up`, `state` or `availability`."""
    return f"{ROOT}/{gateway}/dev/{name}/{leaf}"


def bridge(gateway: str, leaf: str) -> str:
    """Return one of the gateway's own topics, for example leaf `health`."""
    return f"{ROOT}/{gateway}/bridge/{leaf}"


def request(gateway: str, service: str, verb: str) -> str:
    """Return the topic on which `service` (`bridge` or `ledger`) takes requests."""
    return f"{ROOT}/{gateway}/{service}/request/{verb}"


def response(gateway: str, service: str, verb: str) -> str:
    """Return the topic on which `service` answers requests."""
    return f"{ROOT}/{gateway}/{service}/response/{verb}"


def ledger_block(gateway: str) -> str:
    """Return the retained topic that tells each final block."""
    return f"{ROOT}/{gateway}/ledger/block"


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether an MQTT topic filter matches a topic name (MQTT 3.1.1 section 4.7)."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    filter_levels = topic_filter.split("/")
    levels = topic.split("/")
    for position, level in enumerate(filter_levels):
        if level == "#":
            return True
        if position >= len(levels) or level not in ("+", levels[position]):
            return False
    return len(filter_levels) == len(levels)


def covers(allowed: str, asked: str) -> bool:
    """Tell whether every topic that filter `asked` matches is also matched by filter `allowed`."""
    if asked.startswith("$") and allowed[:1] in ("+", "#"):
        return False
    allowed_levels = allowed.split("/")
    asked_levels = asked.split("/")
    for position, level in enumerate(allowed_levels):
        if level == "#":
            return True
        if position >= len(asked_levels) or asked_levels[position] == "#":
            return False
        if level not in ("+", asked_levels[position]):
            return False
    return len(allowed_levels) == len(asked_levels)
