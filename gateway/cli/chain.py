"""`chain`: the chain as the node's own ledger tells it."""

import argparse

from gateway.app.amounts import format_ssp
from gateway.app.carried import read_carried
from gateway.app.operator import Operator, check_applied
from gateway.cli.output import emit, home_of, table
from gateway.errors import SettingsError
from gateway.model.ledger_api import BlockReply, PeersReply, StatusReply, TransactionReply
from ledger.codec.text import format_address
from ledger.types.time_text import format_time_ms

BLOCKS_MAX = 200  # one request a block


def status(options: argparse.Namespace) -> int:
    """Print height, finality and clock of the chain."""
    with Operator(home_of(options)) as operator:
        reply = operator.ask("status", {"fresh": True}, StatusReply)
    emit(options, reply, "\n".join(describe_status(reply)))
    return 0


def describe_status(reply: StatusReply) -> list[str]:
    """Return how the chain is doing, in lines."""
    return [
        f"chain     {reply.chain_id}",
        f"height    {reply.height}, {format_time_ms(reply.time_ms)}",
        reply.state.replace("light: ", "light     ")
        if reply.state.startswith("light: ")
        else f"finality  {reply.finality_ms} ms after the block came",
        f"agents    {reply.agents}, epoch {reply.epoch}, slot {reply.slot} every {reply.slot_ms} ms",
        f"waiting   {reply.pending} transactions",
        f"clock     {reply.clock}",
        *([f"PROBLEM   {reply.problem}"] if reply.problem else []),
    ]


def blocks(options: argparse.Namespace) -> int:
    """List the newest blocks."""
    if not 1 <= options.last <= BLOCKS_MAX:
        raise SettingsError(f"--last {options.last}: from 1 to {BLOCKS_MAX}")
    with Operator(home_of(options)) as operator:
        tip = operator.ask("status", {"fresh": True}, StatusReply).height
        heights = range(tip, max(0, tip - options.last), -1)
        found = [operator.ask("block", {"height": height}, BlockReply) for height in heights]
    rows = [
        (
            str(one.height),
            format_time_ms(one.time_ms),
            str(one.slot),
            str(one.slot - one.parent_slot - 1),
            str(len(one.transactions)),
            one.hash[:16],
        )
        for one in found
    ]
    emit(options, found, table(("HEIGHT", "TIME", "SLOT", "SKIPPED", "TXS", "HASH"), rows))
    return 0


def peers(options: argparse.Namespace) -> int:
    """Show which other nodes are connected, and why the others are not."""
    with Operator(home_of(options)) as operator:
        reply = operator.ask("peers", {}, PeersReply)
    rows = [
        (
            format_address(bytes.fromhex(peer.node)),
            {"to": "dialled", "from": "came"}.get(peer.direction, "away"),
            peer.address,
            peer.problem or ", ".join(peer.flags),
        )
        for peer in reply.peers
    ]
    summary = f"heard {reply.heard_bytes} bytes, said {reply.said_bytes}, dropped {reply.dropped} messages"
    listed = table(("NODE", "LINK", "ADDRESS", "REMARKS"), rows) if rows else "no other nodes"
    emit(options, reply, f"{listed}\n{summary}")
    return 0


def block(options: argparse.Namespace) -> int:
    """Print one block."""
    with Operator(home_of(options)) as operator:
        found = operator.ask("block", {"height": options.height}, BlockReply)
    lines = [
        f"block     {found.height}  {found.hash}",
        f"parent    {found.parent_hash}",
        f"time      {format_time_ms(found.time_ms)}, epoch {found.epoch}, slot {found.slot}",
        f"proposer  {format_address(bytes.fromhex(found.proposer))}",
        f"state     {found.state_root}",
        f"final by  {found.signers} signatures",
        *_describe_skipped(found),
        *(f"  tx {one}" for one in found.transactions),
    ]
    emit(options, found, "\n".join(lines))
    return 0


def _describe_skipped(found: BlockReply) -> list[str]:
    """Name who led the slots before this block that have none, or how many those are."""
    unknown = found.slot - found.parent_slot - 1 - len(found.skipped)
    return [
        *(
            f"skipped   a slot of {format_address(bytes.fromhex(one))}: no block of it came in time"
            for one in found.skipped
        ),
        *(
            [f"skipped   {unknown} slots: who led them is not known here, or too long ago"]
            if unknown
            else []
        ),
    ]


def transaction(options: argparse.Namespace) -> int:
    """Print where a transaction stands and what it did."""
    with Operator(home_of(options)) as operator:
        reply = operator.ask("transaction", {"id": options.id}, TransactionReply)
    if reply.status != "final":
        text = f"{options.id} is {reply.status}"
    else:
        result = "applied" if reply.applied else f"failed: {reply.reason}"
        text = f"{options.id}\nblock {reply.height}, {result}, fee {format_ssp(reply.fee_paid)} SSP"
    emit(options, reply, text)
    return 0 if reply.status != "unknown" else 1


def submit(options: argparse.Namespace) -> int:
    """Hand in a transaction that was signed elsewhere, and wait until it is final."""
    raw = read_carried(options.file)
    with Operator(home_of(options)) as operator:
        transaction_id = operator.submit(raw)
        reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    emit(
        options,
        {"id": transaction_id, "height": reply.height},
        f"final in block {reply.height}, id {transaction_id}",
    )
    return 0
