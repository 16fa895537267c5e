"""What commands of an issuer share: its key behind a passphrase, and its transactions; or the node's own."""

import argparse
from contextlib import closing

from gateway.app.carried import write_carried
from gateway.app.issuer import IssuerKey, open_issuer_key
from gateway.app.operator import EXPIRY_HEIGHTS, Operator, check_applied, send_body
from gateway.app.transactions import build_payload_paid_by
from gateway.cli.output import emit, home_of
from gateway.cli.passphrase import passphrase_of
from gateway.model.ledger_api import AccountReply, StatusReply
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import Purpose
from ledger.codec.canonical import encode
from ledger.params import EXPIRY_HEIGHTS_MAX
from ledger.types.transaction import Body, SignedTransaction


def open_key(options: argparse.Namespace) -> IssuerKey:
    """Unseal the key that --key names."""
    return open_issuer_key(options.key, passphrase_of(options, str(options.key)))


def send_signed(options: argparse.Namespace, body: Body, done: str) -> int:
    """Send a transaction of the issuer's through a running node and wait until it is final."""
    home = home_of(options)
    key = open_key(options)
    with Operator(home) as operator:
        transaction_id, _ = send_body(operator, key.address, body, key.sign_transaction)
        return _finish(options, operator, transaction_id, done)


def send_by_node(options: argparse.Namespace, body: Body, done: str) -> int:
    """Send a transaction of the node's own key, for which its wallet pays; wait until it is final."""
    with Operator(home_of(options)) as operator:
        raw, _ = _sign_by_node(options, operator, body, EXPIRY_HEIGHTS)
        return _finish(options, operator, operator.submit(raw), done)


def write_by_node(options: argparse.Namespace, body: Body, done: str) -> int:
    """Write such a transaction to a file: this node may be cut off, and then behind the chain too."""
    with Operator(home_of(options)) as operator:
        raw, expiry = _sign_by_node(options, operator, body, EXPIRY_HEIGHTS_MAX)
    write_carried(options.output, raw)
    emit(
        options,
        {"file": str(options.output), "expiry_height": expiry},
        f"{done}: carry {options.output} to a node that is connected, and there `smartshare chain submit"
        f" {options.output.name}`; it counts up to block {expiry}",
    )
    return 0


def _sign_by_node(
    options: argparse.Namespace, operator: Operator, body: Body, heights: int
) -> tuple[bytes, int]:
    """Return the signed transaction and the last height at which it counts."""
    with closing(AgentClient(home_of(options).agent_socket)) as agent:
        keys = agent.describe()
        account = operator.ask("account", {"address": keys.node.hex()}, AccountReply)
        status = operator.ask("status", {}, StatusReply)
        expiry = status.height + heights
        payload = build_payload_paid_by(
            keys.wallet,
            bytes.fromhex(status.chain_id),
            keys.node,
            account.pending_nonce,
            expiry,
            body,
        )
        signatures = [
            agent.sign_transaction(purpose, payload) for purpose in (Purpose.NODE, Purpose.WALLET)
        ]
    return encode(SignedTransaction(payload, *signatures)), expiry


def _finish(options: argparse.Namespace, operator: Operator, transaction_id: str, done: str) -> int:
    reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    emit(
        options,
        {"id": transaction_id, "height": reply.height},
        f"{done}: final in block {reply.height}, id {transaction_id}",
    )
    return 0
