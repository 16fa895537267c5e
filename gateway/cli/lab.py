"""`smartshare lab`: the fault budget of a network of agents, tried on this machine in virtual time."""

import argparse
import dataclasses
import random  # noqa: TID251 - the composition root of a run: the seed is the user's
import sys

from gateway.cli.output import emit
from gateway.lab.measuring import DisagreementError
from gateway.lab.node import NodeHaltedError
from gateway.lab.trial import Plan, Report, Trial

WRONG_USAGE = 2


def lab(options: argparse.Namespace) -> int:
    """Run a trial; 0 when what the protocol promises for so many dead agents was seen, else 1."""
    if options.kill >= options.agents:
        line = f"--kill {options.kill}: of {options.agents} agents at least one must live"
        print(f"smartshare lab: {line}", file=sys.stderr)
        return WRONG_USAGE
    plan = Plan(
        options.agents,
        options.kill,
        options.seed,
        options.minutes,
        loss=10 * options.loss,
        late=10 * options.late,
    )
    try:
        report = Trial(plan, random.Random(options.seed)).run()  # noqa: S311 - chance, no secret
    except (DisagreementError, NodeHaltedError) as error:
        print(f"smartshare lab: {error}", file=sys.stderr)
        return 1
    emit(options, dataclasses.asdict(report), _describe(report, plan))
    return 0 if report.promise_kept else 1


def _describe(report: Report, plan: Plan) -> str:
    alive = report.agents - report.killed
    lines = [
        f"{report.agents} agents, {alive} alive, {report.quorum} must sign; seed {report.seed}"
    ]
    if report.halted:
        returned = report.killed - plan.faults_max
        went = "finality went on" if report.recovered else "nothing became final"
        lines += [
            f"halted safely: no block became final in {plan.minutes} min of virtual time",
            f"after {returned} returned: {went}, height {report.height}",
        ]
    else:
        lines += [
            f"{report.blocks_while_killed} blocks in {report.slots_while_killed} slots became final,"
            f" one in {report.block_interval_ms_mean} ms",
            f"final after the proposal, median node: p50 {report.finality_ms_p50} ms,"
            f" max {report.finality_ms_max} ms",
        ]
    kept = "was seen" if report.promise_kept else "was NOT seen"
    lines += [
        f"{report.messages_per_node_slot} messages, {report.bytes_per_node_slot} bytes to each node"
        " in a slot",
        f"turns to lead: {report.slots_led_min} to {report.slots_led_max} each,"
        f" Gini {report.gini_slots}, Nakamoto coefficient {report.nakamoto_coefficient}",
        f"what the protocol promises for {report.killed} dead {kept}",
    ]
    return "\n".join(lines)
