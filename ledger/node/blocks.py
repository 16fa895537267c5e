"""Final blocks as they are shown to people: with who led the slots that stayed empty before them."""

from ledger.consensus.epoch import order_of_lap
from ledger.node.evidence import load_proof
from ledger.node.views import BlockView
from ledger.storage.reader import ChainReader
from ledger.types.block import Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

SKIPPED_MAX = 64  # an answer stays small; more in a row is an outage, not a skipped slot


def read_block(reader: ChainReader, height: int, genesis: Genesis) -> BlockView | None:
    """Return the final block at `height`, from 1, or None when there is none yet.

    Raises `PrunedError` where it is no longer kept, `UnprovenError` where its proof is to come.
    """
    with reader.snapshot():
        reader.check_kept(height)
        stored = reader.block(height)
        if stored is None:
            return None
        return BlockView(
            header=stored.header,
            hash=stored.hash,
            certificate=load_proof(reader, stored, genesis).certificate,
            transaction_ids=tuple(transaction.id for transaction in reader.transactions(stored)),
            skipped=_find_skipped(reader, stored.header, genesis),
        )


def _find_skipped(reader: ChainReader, header: Header, genesis: Genesis) -> tuple[bytes, ...]:
    leaders = find_leaders(reader, header.epoch, genesis)
    return () if leaders is None else list_skipped(*leaders, header)


def find_leaders(
    reader: ChainReader, epoch: int, genesis: Genesis
) -> tuple[tuple[bytes, ...], bytes] | None:
    """Return an epoch's agents by seat, and the seed of their order; None where the set is not kept."""
    if epoch == 0:
        return tuple(sorted(agent.node for agent in genesis.agents)), genesis_chain_id(genesis)
    stored = reader.newest_agent_set(epoch)
    if stored is None or stored.agents.epoch != epoch:
        return None
    return tuple(seat.node for seat in stored.agents.seats), stored.agents.order_seed


def list_skipped(nodes: tuple[bytes, ...], order_seed: bytes, header: Header) -> tuple[bytes, ...]:
    """Return who of an epoch's set led the slots between a block's parent and it, the newest at most."""
    leaders = []
    for slot in range(max(header.parent_slot + 1, header.slot - SKIPPED_MAX), header.slot):
        lap, place = divmod(slot - 1, len(nodes))
        leaders.append(nodes[order_of_lap(order_seed, header.epoch, lap, len(nodes))[place]])
    return tuple(leaders)
