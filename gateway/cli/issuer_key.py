"""What commands of an issuer share: its key behind a passphrase, and its transactions."""

import argparse

from gateway.app.issuer import IssuerKey, open_issuer_key
from gateway.app.operator import Operator, check_applied, send_body
from gateway.cli.output import emit, home_of
from gateway.cli.passphrase import passphrase_of
from ledger.types.transaction import Body


def open_key(options: argparse.Namespace) -> IssuerKey:
    """Unseal the key that --key names."""
    return open_issuer_key(options.key, passphrase_of(options, str(options.key)))


def send_signed(options: argparse.Namespace, body: Body, done: str) -> int:
    """Send a transaction of the issuer's through a running node and wait until it is final."""
    home = home_of(options)
    key = open_key(options)
    with Operator(home) as operator:
        transaction_id, _ = send_body(operator, key.address, body, key.sign_transaction)
        reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    emit(
        options,
        {"id": transaction_id, "height": reply.height},
        f"{done}: final in block {reply.height}, id {transaction_id}",
    )
    return 0
