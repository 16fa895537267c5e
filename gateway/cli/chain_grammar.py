"""The grammar of `chain`."""

from pathlib import Path

from gateway.cli.grammar import Commands, Parser, command, group, home, json


def add_chain_commands(commands: Commands) -> None:
    """Add `chain` and what belongs to it."""
    chain = group(commands, "chain", "look at the chain, vote, stand for election")
    _command(chain, "status", "chain:status", "height and finality")
    _command(chain, "peers", "chain:peers", "show the other nodes")
    blocks = _command(chain, "blocks", "chain:blocks", "list the newest blocks, skipped slots too")
    blocks.add_argument("--last", type=int, default=10, metavar="N")
    _command(chain, "block", "chain:block", "print one block").add_argument("height", type=int)
    _command(chain, "tx", "chain:transaction", "find a transaction").add_argument("id")
    submit = _command(chain, "submit", "chain:submit", "hand in what another node signed")
    submit.add_argument("file", type=Path)
    _add_views(chain)
    _add_holders_commands(chain)
    _add_agents_commands(chain)
    _add_proofs(chain)
    _add_snapshots(chain)


def _command(chain: Commands, name: str, handler: str, summary: str) -> Parser:
    return json(home(command(chain, name, f"gateway.cli.{handler}", summary)))


def _add_views(chain: Commands) -> None:
    _command(chain, "agents", "stake:agents", "who leads and votes, and why the others do not")
    agent = _command(chain, "agent", "stake:agent", "one agent's record and penalties")
    agent.add_argument("agent", metavar="ADDRESS")
    _command(chain, "params", "stake:params", "the parameters in force, and their bounds")
    _command(chain, "proposals", "stake:proposals", "what holders of stake vote on")
    stake = _command(chain, "stake", "stake:stake", "an account's stake, vote and free metering")
    stake.add_argument("address", nargs="?", metavar="ADDRESS", help="default: the wallet")


def _add_holders_commands(chain: Commands) -> None:
    vote = _command(chain, "vote", "stake:vote", "vote for up to 30 agents with the balance")
    vote.add_argument("agents", nargs="*", metavar="AGENT", help="none: withdraw the vote")
    delegate = _command(chain, "delegate", "stake:delegate", "lend stake to an agent")
    delegate.add_argument("agent", metavar="AGENT")
    delegate.add_argument("amount", metavar="SSP")
    delegate.add_argument(
        "--meter", metavar="ADDRESS", help="who may meter for free on it; default: this node"
    )
    undelegate = _command(chain, "undelegate", "stake:undelegate", "take stake back")
    undelegate.add_argument("agent", metavar="AGENT")
    undelegate.add_argument("amount", metavar="SSP")
    _command(chain, "withdraw", "stake:withdraw", "move stake that is free again to the balance")
    propose = _command(chain, "propose", "stake:propose", "propose a change of parameters")
    propose.add_argument("title")
    propose.add_argument("changes", nargs="+", metavar="PARAMETER=NUMBER")
    propose.add_argument(
        "--at", type=int, required=True, metavar="HEIGHT", help="from this block on"
    )
    ballot = _command(chain, "ballot", "stake:ballot", "cast the wallet's stake on a proposal")
    ballot.add_argument("proposal", metavar="ID")
    ballot.add_argument("choice", choices=("yes", "no", "abstain"))


def _add_agents_commands(chain: Commands) -> None:
    stand = _command(chain, "stand", "stake:stand", "let this node stand for election")
    stand.add_argument("bond", metavar="SSP")
    _command(chain, "collect", "stake:collect", "move what this node earned to the wallet")
    _command(chain, "unjail", "stake:unjail", "let this node stand again after its jail")
    recommit = _command(chain, "recommit", "stake:recommit", "commit to this node's next onion")
    # The first is committed to by a founder's genesis, or by standing for election.
    for parser, first in ((stand, 1), (recommit, 2)):
        parser.add_argument(
            "--generation",
            type=int,
            default=first,
            metavar="N",
            help=f"which of its onions; default {first}",
        )


def _add_snapshots(chain: Commands) -> None:
    _command(chain, "checkpoint", "snapshots:checkpoint", "print the newest epoch's EPOCH:HASH")
    snapshot = _command(
        chain, "snapshot", "snapshots:snapshot", "a state that nodes may start from"
    )
    snapshot.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")


def _add_proofs(chain: Commands) -> None:
    prove = home(
        command(chain, "proof", "gateway.cli.state_proof:proof", "prove a balance or a record")
    )
    prove.add_argument("kind", choices=("account", "node", "agent", "device", "key"))
    prove.add_argument("subject", metavar="ADDRESS|HEX")
    prove.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    verify = json(
        command(
            chain, "verify-proof", "gateway.cli.state_proof:verify", "check such a proof offline"
        )
    )
    verify.add_argument("file", type=Path)
    verify.add_argument("--genesis", type=Path, required=True, metavar="FILE")
