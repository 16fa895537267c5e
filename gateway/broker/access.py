"""Which topics a principal may use. Pure: the answer is in the principal's own filters."""

from gateway.broker.codec.topic_rules import is_within_limits
from gateway.model import topics
from gateway.model.principal import Principal


def is_reserved(topic: str) -> bool:
    """Tell whether nobody may publish to `topic`: it begins with $ [MQTT-4.7.2-1]."""
    return topic.startswith("$")


def may_publish(principal: Principal, topic: str) -> bool:
    """Tell whether `topic` may be published to."""
    if is_reserved(topic) or not is_within_limits(topic):
        return False
    return any(topics.matches(allowed, topic) for allowed in principal.publish_filters)


def may_subscribe(principal: Principal, topic_filter: str) -> bool:
    """Tell whether all that `topic_filter` can match is open to the principal."""
    if not is_within_limits(topic_filter):
        return False
    return any(topics.covers(allowed, topic_filter) for allowed in principal.subscribe_filters)


def may_receive(principal: Principal, topic: str) -> bool:
    """Tell whether a message that waited for this principal may still be sent."""
    return any(topics.matches(allowed, topic) for allowed in principal.subscribe_filters)


def response_topic(principal: Principal, client_id: str) -> str:
    """Return a topic of this client's own for answers to its requests, "" where it has none.

    It may subscribe there (MQTT 5 section 4.10.1). A client id that is no topic level names none.
    """
    if any(sign in client_id for sign in "+#/$\0"):
        return ""
    for allowed in principal.subscribe_filters:
        if allowed.endswith("#") and "+" not in allowed:
            topic = f"{allowed[:-1]}response/{client_id}"
            return topic if may_subscribe(principal, topic) else ""
    return ""


def is_telemetry(principal: Principal, topic: str) -> bool:
    """Tell whether a message on `topic` is a reading, acknowledged only when it is on disk."""
    return any(topics.matches(allowed, topic) for allowed in principal.telemetry_filters)
