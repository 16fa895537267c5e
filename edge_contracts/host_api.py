"""The `host` functions of a contract, as a worker answers them.

Rule 1: every refusal ends the call; a contract cannot catch it and go on with half an effect.
Rule 2: nothing raises into Lua: an error of ours ends the process.
Rule 3: gas depends on sizes only, never on what the chain is made of on this node.
"""

import os
from collections.abc import Callable

from edge_contracts import metering
from edge_contracts.errors import ValueFormatError
from edge_contracts.messages import Channel, HostReply, HostRequest, ToWorker
from edge_contracts.sandbox import OutOfMemoryError, Sandbox
from edge_contracts.values import INTEGER_MAX, decode_value, encode_value
from ledger.params import CONTRACT_KEY_BYTES_MAX, CONTRACT_VALUE_BYTES_MAX

Answer = tuple[object, int]  # for Lua, and its gas
_EXIT_OWN_BUG = 70  # EX_SOFTWARE


class RefusedError(Exception):
    """A request that ends the call; the message is the reason."""


class HostFunctions:
    """Answers one call's requests, most of them by asking the ledger's process."""

    def __init__(self, sandbox: Sandbox, channel: Channel[ToWorker]) -> None:
        self._sandbox = sandbox
        self._channel = channel
        self._functions: dict[bytes, Callable[[object, object, object], Answer]] = {
            b"get": self._get,
            b"set": self._set,
            b"balance": self._balance,
            b"pay": self._pay,
            b"emit": self._emit,
            b"reading": self._reading,
            b"muldiv": _muldiv,
            b"test": self._test,
        }

    def answer(
        self, operation: bytes, first: object = None, second: object = None, third: object = None
    ) -> tuple[bytes, object, int]:
        """Return a verdict, an answer for Lua and its gas; this is the sandbox's bridge."""
        try:
            answer, gas = self._functions[operation](first, second, third)
        except (RefusedError, ValueFormatError) as error:
            return b"refused", f"host.{operation.decode()}: {error}".encode(), 0
        except OutOfMemoryError:
            return b"out-of-memory", None, 0
        except BaseException:  # noqa: BLE001 - a Python error must not become a Lua value
            os._exit(_EXIT_OWN_BUG)
        return b"ok", answer, gas

    def _get(self, key: object, _b: object, _c: object) -> Answer:
        reply = self._ask(HostRequest("get", key=_check_key(key)))
        return self._decode(reply.data)

    def _set(self, key: object, value: object, _c: object) -> Answer:
        name = _check_key(key)
        if value is None:
            self._ask(HostRequest("set", key=name))
            return None, metering.HOST_STORE_GAS
        data, cost = self._encode(value)
        self._ask(HostRequest("set", key=name, data=data))
        stored = (len(name) + len(data)) * metering.STORED_BYTE_GAS
        return None, metering.HOST_STORE_GAS + stored + cost

    def _balance(self, _a: object, _b: object, _c: object) -> Answer:
        return self._ask(HostRequest("balance")).amount, 0

    def _pay(self, to: object, amount: object, _c: object) -> Answer:
        if not isinstance(to, bytes):
            raise RefusedError("the address is not text")
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise RefusedError("the amount is not a whole number")
        self._ask(HostRequest("pay", key=to, amount=amount))
        return None, metering.HOST_PAY_GAS

    def _emit(self, name: object, fields: object, _c: object) -> Answer:
        if not isinstance(name, bytes):
            raise RefusedError("the event's name is not text")
        data, cost = self._encode(fields)
        self._ask(HostRequest("emit", key=name, data=data))
        return None, metering.HOST_EMIT_GAS + len(data) * metering.STORED_BYTE_GAS + cost

    def _reading(self, proof: object, _b: object, _c: object) -> Answer:
        if not isinstance(proof, bytes):
            raise RefusedError("the proof is not bytes")
        answer, cost = self._decode(self._ask(HostRequest("reading", data=proof)).data)
        return answer, cost + metering.HOST_READING_GAS + len(proof) * metering.VALUE_BYTE_GAS

    def _test(self, name: object, value: object, _c: object) -> Answer:
        if not isinstance(name, bytes):
            raise RefusedError("the request's name is not text")
        data, cost = self._encode(value)
        answer, answer_cost = self._decode(self._ask(HostRequest("test", name, data)).data)
        return answer, cost + answer_cost

    def _ask(self, request: HostRequest) -> HostReply:
        self._channel.send(request)
        reply = self._channel.receive()
        assert isinstance(reply, HostReply)
        if reply.refused is not None:
            raise RefusedError(reply.refused)
        return reply

    def _encode(self, value: object) -> tuple[bytes, int]:
        converted, cost = self._sandbox.from_lua(value)
        return encode_value(converted, CONTRACT_VALUE_BYTES_MAX), cost

    def _decode(self, data: bytes | None) -> Answer:
        if data is None:
            return None, 0
        value = decode_value(data)
        cost = metering.compute_value_gas(value, len(data))
        return self._sandbox.to_lua(value), cost


def _check_key(key: object) -> bytes:
    if not isinstance(key, bytes) or not 0 < len(key) <= CONTRACT_KEY_BYTES_MAX:
        raise RefusedError(f"a key is text of 1 to {CONTRACT_KEY_BYTES_MAX} bytes")
    return key


def _muldiv(first: object, second: object, divisor: object) -> Answer:
    """Return floor(first * second / divisor) without overflow on the way."""
    a, b, c = (_check_integer(number) for number in (first, second, divisor))
    if min(a, b) < 0 or c <= 0:
        raise RefusedError("the factors are not negative and the divisor is positive")
    product = a * b // c
    if product > INTEGER_MAX:
        raise RefusedError("the result does not fit in 64 bits")
    return product, 0


def _check_integer(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise RefusedError("expected whole numbers")
    return number
