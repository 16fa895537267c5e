"""`chain`: agents with reasons, parameters, proposals, and what holders of SSP decide about them."""

import argparse

from gateway.app.amounts import format_ssp, parse_ssp
from gateway.app.candidacy import Candidacy, check_candidates
from gateway.app.node_account import NodeAccount
from gateway.app.operator import Operator, check_applied
from gateway.app.wallet import WalletAccount
from gateway.cli.output import emit, home_of, table
from gateway.errors import SettingsError
from gateway.model.ledger_api import AccountReply
from gateway.model.stake_api import (
    AgentReply,
    AgentsReply,
    ParametersReply,
    ProposalReply,
    ProposalsReply,
    StakeReply,
)
from ledger.codec.text import format_address, parse_address
from ledger.params import VOTE_CHOICES_MAX
from ledger.types.stake import BallotChoice, Change
from ledger.types.time_text import format_time_ms
from ledger.types.transaction import (
    Body,
    CastBallot,
    Delegate,
    Propose,
    RecommitOnion,
    Transfer,
    Undelegate,
    Unjail,
    VoteAgents,
    Withdraw,
)

SHOWN = 20  # characters of an address that tell agents apart


def agents(options: argparse.Namespace) -> int:
    """List the agents: how each stands and why, and how spread power is."""
    with Operator(home_of(options)) as operator:
        reply = operator.ask("agents", {}, AgentsReply)
    rows = [
        (
            "-" if one.seat is None else str(one.seat),
            _address(one.node)[:SHOWN],
            format_ssp(one.weight),
            format_ssp(one.bond),
            f"{one.proposed}/{one.proposed + one.missed}",
            f"{one.signed}/{one.counted}",
            one.standing,
        )
        for one in reply.agents
    ]
    headings = ("SEAT", "AGENT", "WEIGHT", "BOND", "BLOCKS", "VOTES", "STANDING")
    lines = [
        f"epoch {reply.epoch} from block {reply.root_height + 1} to {reply.ends_height} at the latest",
        table(headings, rows),
        f"Nakamoto coefficient {reply.nakamoto}, Gini of blocks 0.{reply.gini_permille:03},"
        f" median seat age {reply.seat_age_epochs} epochs, reward pool {format_ssp(reply.reward_pool)}"
        " SSP",
    ]
    emit(options, reply, "\n".join(lines))
    return 0


def agent(options: argparse.Namespace) -> int:
    """Print one agent's record with every penalty and its cause."""
    node = parse_address(options.agent)
    with Operator(home_of(options)) as operator:
        reply = operator.ask("agents", {}, AgentsReply)
    found = next((one for one in reply.agents if one.node == node.hex()), None)
    if found is None:
        raise SettingsError(f"{options.agent} does not stand for election")
    emit(options, found, "\n".join(_describe_agent(found, reply.epoch)))
    return 0


def _describe_agent(one: AgentReply, epoch: int) -> list[str]:
    is_seated = one.seated_since is not None and one.seated_since <= epoch
    since = f", seated since epoch {one.seated_since}" if is_seated else ""
    return [
        _address(one.node),
        f"standing   {one.standing}{since}",
        f"weight     {format_ssp(one.weight)} SSP: bond {format_ssp(one.bond)}, lent"
        f" {format_ssp(one.delegated)}, and votes",
        f"onion      {'committed' if one.has_onion else 'none: it adds nothing to the order'}",
        f"epoch      {one.proposed} blocks, {one.missed} slots missed, {one.signed} of {one.counted}"
        " votes",
        f"ever       {one.blocks_total} blocks, {one.missed_total} slots missed,"
        f" {format_ssp(one.rewards_total)} SSP earned",
        *(f"penalty    {penalty}" for penalty in one.penalties),
    ]


def params(options: argparse.Namespace) -> int:
    """Print the parameters in force and the bounds that no vote can leave."""
    with Operator(home_of(options)) as operator:
        reply = operator.ask("parameters", {}, ParametersReply)
    rows = [(one.name, str(one.value), str(one.least), str(one.most)) for one in reply.parameters]
    emit(options, reply, table(("PARAMETER", "VALUE", "LEAST", "MOST"), rows))
    return 0


def proposals(options: argparse.Namespace) -> int:
    """List the proposals that are open or wait for their activation."""
    with Operator(home_of(options)) as operator:
        reply = operator.ask("proposals", {}, ProposalsReply)
    lines = [line for one in reply.proposals for line in _describe_proposal(one, reply)]
    emit(options, reply, "\n".join(lines) if lines else "no proposal is open")
    return 0


def _describe_proposal(one: ProposalReply, reply: ProposalsReply) -> list[str]:
    voted = one.yes + one.no + one.abstain
    turnout = voted * 100 // reply.stake_total if reply.stake_total else 0
    changes = ", ".join(f"{name} = {value}" for name, value in one.changes)
    return [
        f"{one.id}",
        f"  {one.title}: {changes}, from block {one.activation_height} on",
        f"  {one.status}, closes {format_time_ms(one.closes_ms)}",
        f"  yes {format_ssp(one.yes)}, no {format_ssp(one.no)}, abstain {format_ssp(one.abstain)};"
        f" turnout {turnout} % of {reply.turnout_percent} % needed",
    ]


def stake(options: argparse.Namespace) -> int:
    """Print what an account has bound, what is on its way back, and whom it votes for."""
    home = home_of(options)
    with Operator(home) as operator:
        address = (
            WalletAccount(home, operator).keys.wallet
            if options.address is None
            else parse_address(options.address)
        )
        reply = operator.ask("stake", {"address": address.hex()}, StakeReply)
    lines = [
        f"{format_address(address)}",
        f"stake      {format_ssp(reply.stake)} SSP",
        *(
            f"unbonding  {format_ssp(amount)} SSP, free from {format_time_ms(free_ms)}"
            for free_ms, amount in reply.unbonding
        ),
        *(f"votes for  {_address(choice)}" for choice in reply.choices),
        f"metering   {reply.free_left} of {reply.free_an_epoch} free transactions left in this epoch",
    ]
    emit(options, reply, "\n".join(lines))
    return 0


def vote(options: argparse.Namespace) -> int:
    """Vote with the wallet's balance for up to thirty agents; for none: withdraw the vote."""
    if len(options.agents) > VOTE_CHOICES_MAX:
        raise SettingsError(f"{len(options.agents)} agents: at most {VOTE_CHOICES_MAX}")
    choices = tuple(parse_address(text) for text in options.agents)
    if choices:
        with Operator(home_of(options)) as operator:
            check_candidates(operator, choices)
    done = f"the wallet votes for {len(choices)} agents" if choices else "the vote is withdrawn"
    return _send(options, VoteAgents(choices), done)


def delegate(options: argparse.Namespace) -> int:
    """Lend stake from the wallet to an agent."""
    home, amount = home_of(options), parse_ssp(options.amount)
    node = parse_address(options.agent)
    with Operator(home) as operator:
        check_candidates(operator, (node,))
        keys = WalletAccount(home, operator).keys
    beneficiary = keys.metering if options.meter is None else parse_address(options.meter)
    return _send(options, Delegate(node, amount, beneficiary), f"{options.amount} SSP lent")


def undelegate(options: argparse.Namespace) -> int:
    """Take stake back from an agent: it is free after the unbonding time."""
    body = Undelegate(parse_address(options.agent), parse_ssp(options.amount))
    return _send(options, body, f"{options.amount} SSP are on their way back")


def withdraw(options: argparse.Namespace) -> int:
    """Move what is free again to the wallet's balance."""
    return _send(options, Withdraw(), "what was free is back")


def propose(options: argparse.Namespace) -> int:
    """Propose a change of parameters."""
    changes = tuple(_parse_change(text) for text in options.changes)
    with Operator(home_of(options)) as operator:
        deposit = operator.ask("proposals", {}, ProposalsReply).deposit
    body = Propose(deposit, options.title, changes, options.at)
    return _send(options, body, "the proposal is open: see `smartshare chain proposals`")


def _parse_change(text: str) -> Change:
    name, separator, value = text.partition("=")
    if not separator or not (value.isascii() and value.isdigit()) or len(value) > 19:
        raise SettingsError(f"{text!r}: write PARAMETER=NUMBER, as in epoch_blocks=600")
    return Change(name, int(value))


def ballot(options: argparse.Namespace) -> int:
    """Say yes, no or nothing to a proposal, with the wallet's stake."""
    if len(options.proposal) != 64 or not all(c in "0123456789abcdef" for c in options.proposal):
        raise SettingsError(f"{options.proposal!r} is not the id of a proposal: 64 digits 0-9, a-f")
    choice = BallotChoice[options.choice.upper()]
    return _send(options, CastBallot(bytes.fromhex(options.proposal), choice), "the ballot counts")


def stand(options: argparse.Namespace) -> int:
    """Let this node stand for election with a bond from the wallet."""
    home, bond = home_of(options), parse_ssp(options.bond)
    with Operator(home) as operator:
        sent = Candidacy(home, operator).stand(bond, options.generation)
        return _finish(options, operator, sent, "the node stands for election")


def collect(options: argparse.Namespace) -> int:
    """Move what this node earned, and what it got back, to the wallet."""
    home = home_of(options)
    with Operator(home) as operator:
        node = NodeAccount(home, operator)
        asked = {"address": node.keys.node.hex()}
        amount = operator.ask("account", asked, AccountReply).balance
        if not amount:
            raise SettingsError(
                "the node's account holds nothing yet: rewards come with an epoch's end"
            )
        done = f"{format_ssp(amount)} SSP moved to the wallet"
        return _finish(options, operator, node.send(Transfer(node.keys.wallet, amount)), done)


def unjail(options: argparse.Namespace) -> int:
    """Let this node stand for election again after its time in jail."""
    home = home_of(options)
    with Operator(home) as operator:
        candidacy = Candidacy(home, operator)
        candidacy.check_jail_is_over()
        sent = candidacy.account.send(Unjail())
        return _finish(options, operator, sent, "the node stands for election again")


def recommit(options: argparse.Namespace) -> int:
    """Commit to this node's next onion; it counts two epochs from now."""
    home = home_of(options)
    with Operator(home) as operator:
        candidacy = Candidacy(home, operator)
        candidacy.check_no_onion_is_coming()
        onion = candidacy.account.commit_onion(options.generation)
        sent = candidacy.account.send(RecommitOnion(onion))
        return _finish(options, operator, sent, "the onion counts in two epochs")


def _send(options: argparse.Namespace, body: Body, done: str) -> int:
    home = home_of(options)
    with Operator(home) as operator:
        transaction_id, _, _ = WalletAccount(home, operator).send(body)
        return _finish(options, operator, transaction_id, done)


def _finish(options: argparse.Namespace, operator: Operator, transaction_id: str, done: str) -> int:
    reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    emit(
        options,
        {"id": transaction_id, "height": reply.height},
        f"{done}: final in block {reply.height}, id {transaction_id}",
    )
    return 0


def _address(text: str) -> str:
    return format_address(bytes.fromhex(text))
