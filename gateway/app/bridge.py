"""The gateway's own requests, `ss/v1/<gw>/bridge/request/<verb>`: what an operator may ask of it."""

from collections.abc import Callable, Mapping

import msgspec

from gateway.model import topics
from gateway.ports import MessageBroker

Answer = Callable[[], msgspec.Struct]


class _Request(msgspec.Struct):
    transaction: str


class BridgeRequests:
    """Answers each request with the struct of its verb, or with an `error` text."""

    def __init__(self, broker: MessageBroker, gateway: str, answers: Mapping[str, Answer]) -> None:
        self._broker = broker
        self._gateway = gateway
        self._answers = answers
        broker.add_listener(topics.request(gateway, "bridge", "+"), self._answer)

    def _answer(self, topic: str, payload: bytes) -> None:
        verb = topic.rsplit("/", 1)[-1]
        try:
            transaction = msgspec.json.decode(payload, type=_Request).transaction
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # it names no transaction, so nobody waits for an answer
        answer = self._answers.get(verb)
        if answer is None:
            known = ", ".join(self._answers)
            body: dict[str, object] = {"error": f"no such request: {verb}; there is {known}"}
        else:
            body = msgspec.to_builtins(answer())
        body["transaction"] = transaction
        self._broker.publish(
            topics.response(self._gateway, "bridge", verb), msgspec.json.encode(body)
        )
