"""A command waits for its transaction, and says where it stands when it cannot wait any longer."""

from typing import cast

import msgspec
import pytest

from gateway.app import operator as operator_module
from gateway.app.operator import Operator, check_applied
from gateway.app.provision import initialise
from gateway.errors import GatewayError, MessagingError
from gateway.messaging.client import RpcClient
from gateway.model.ledger_api import AccountReply, TransactionReply
from gateway.settings import Home
from tests.support.readings import ManualClock

NAME = "ab" * 32


class Answers:
    """An `RpcClient` that gives prepared answers by verb; an exception is raised."""

    def __init__(self, **answers: list[object]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, object]]] = []

    def call(self, service, verb, body, timeout_s):
        self.asked.append((verb, body))
        queue = self.answers[verb]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        return msgspec.to_builtins(answer)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("operator") / "home")
    initialise(home, "test", ManualClock())
    return home


@pytest.fixture
def connect(home, monkeypatch):
    monkeypatch.setattr(operator_module, "POLL_INTERVAL_S", 0.001)

    def connect_(**answers: list[object]) -> tuple[Operator, Answers]:
        operator = Operator(home)
        client = Answers(**answers)
        operator._client = cast("RpcClient", client)
        return operator, client

    return connect_


def test_it_waits_until_the_transaction_is_final(connect):
    final = TransactionReply("final", height=9, applied=True)
    operator, client = connect(
        transaction=[TransactionReply("unknown"), TransactionReply("pending"), final]
    )

    assert operator.wait_final(NAME) == final
    assert len(client.asked) == 3


def test_a_process_that_starts_anew_meanwhile_is_waited_for(connect):
    final = TransactionReply("final", height=9, applied=True)
    operator, _ = connect(transaction=[MessagingError("no answer"), final])

    assert operator.wait_final(NAME) == final


@pytest.mark.parametrize(
    ("answer", "standing"),
    [(TransactionReply("pending"), "pending"), (MessagingError("no answer"), "no answer")],
)
def test_who_cannot_wait_any_longer_is_told_how_to_look_again(connect, answer, standing):
    operator, _ = connect(transaction=[answer])

    with pytest.raises(MessagingError) as raised:
        operator.wait_final(NAME, timeout_s=0.01)
    assert str(raised.value) == (
        f"transaction {NAME} is not final after 0.01 s ({standing}); look again with "
        f"`smartshare chain tx {NAME}`"
    )


def test_a_malformed_answer_is_one_line(connect):
    operator, _ = connect(account=[{"balance": "much"}])

    with pytest.raises(MessagingError, match="the answer to ledger/account is malformed"):
        operator.ask("account", {}, AccountReply)


def test_two_commands_at_once_do_not_share_a_client_id(home):
    """The broker lets the newer of two clients with one id displace the older."""
    ids = {Operator(home)._client._connection.login.client_id for _ in range(3)}
    assert len(ids) == 3


def test_a_failed_transaction_is_named_with_its_reason():
    check_applied(NAME, TransactionReply("final", applied=True))
    with pytest.raises(GatewayError, match=f"transaction {NAME} failed: out of luck"):
        check_applied(NAME, TransactionReply("final", reason="out of luck"))
