"""`smartshare agent ...`: the SmartAgent's guard record, audit log and the wallet's recovery words."""

import argparse
import sys
from collections import deque
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from getpass import getpass

from gateway.app.audit_anchor import load_anchored
from gateway.app.operator import Operator
from gateway.cli.output import emit, home_of, table
from gateway.clock import SystemClock
from gateway.errors import AgentError, SettingsError
from gateway.settings import Home
from gateway.smart_agent.audit.anchored import find_missing, head_root
from gateway.smart_agent.audit.entry import Entry, Head
from gateway.smart_agent.audit.verify import AuditReport, verify_log
from gateway.smart_agent.backup import make_backup, restore_backup
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.hardening import forbid_memory_dumps
from gateway.smart_agent.keys import KeyPlace
from gateway.smart_agent.provision import (
    AUDIT_FOLDER,
    quarantine,
    renew_guard,
    set_unlock,
    show_guard,
)
from gateway.smart_agent.unlock import CREDENTIAL_NAME, UnlockSource, find_unlock, load_unlock
from gateway.smart_agent.wallet_words import export_words, import_words
from ledger.codec.text import format_address


def audit_verify(options: argparse.Namespace) -> int:
    """Check the whole audit log; name the first broken entry."""
    home = home_of(options)
    if options.anchored:
        report, count = _verify_anchored(home)
    else:
        report, count = verify_log(home.agent / AUDIT_FOLDER), 0
    text = _report_text(report)
    if options.anchored and not report.problem:
        text += f"\nit holds every head that is anchored ({count})"
    emit(options, _report_data(report, count), text)
    return 1 if report.problem else 0


def _verify_anchored(home: Home) -> tuple[AuditReport, int]:
    """Check the log, and that it holds every anchored head; return how many there are, too."""
    with closing(AgentClient(home.agent_socket)) as agent:
        node = agent.describe().node
    with Operator(home) as operator:
        anchored = load_anchored(operator.ask, node)
    held: set[bytes] = set()
    report = verify_log(
        home.agent / AUDIT_FOLDER, lambda _entry, head: held.add(head_root(node, head))
    )
    missing = find_missing(anchored, held, is_rotated=report.first > 1)
    if missing is not None and not report.problem:
        problem = f"the head that is anchored in block {missing.height} is not in it"
        report = replace(report, problem=problem)
    return report, len(anchored)


def audit_show(options: argparse.Namespace) -> int:
    """Print the newest entries, and whatever is wrong with the log."""
    newest: deque[tuple[Entry, Head]] = deque(maxlen=max(1, options.last))
    report = verify_log(
        home_of(options).agent / AUDIT_FOLDER, visit=lambda *pair: newest.append(pair)
    )
    if report.problem:
        raise AgentError(f"the audit log is not whole: {report.problem}")
    rows = [
        {
            "sequence": entry.sequence,
            "time": datetime.fromtimestamp(entry.time_ms // 1000, UTC).isoformat(),
            "kind": _kind_of(entry),
            "key": entry.purpose,
            "result": entry.result.name.lower(),
            "digest": entry.digest.hex(),
        }
        for entry, _ in newest
    ]
    headings = ("sequence", "time", "kind", "key", "result", "digest")
    lines = [tuple(str(row[name])[:25] for name in headings) for row in rows]
    emit(options, rows, table(headings, lines))
    return 0


def _kind_of(entry: Entry) -> str:
    kind = entry.kind.name.lower().replace("_", "-")
    if entry.vote is None:
        return kind
    return f"{entry.vote.kind.name.lower()} {entry.vote.epoch}:{entry.vote.slot}"


def guard_show(options: argparse.Namespace) -> int:
    """Print the sign guard's record, and the alarm if there is one."""
    record, alarm = show_guard(home_of(options).agent)
    data = {
        "epoch": record.epoch,
        "slot": record.slot,
        "notarized": record.notarized.hex() if record.notarized else None,
        "nullified": record.nullified,
        "finalized": record.finalized.hex() if record.finalized else None,
        "alarm": alarm,
    }
    text = f"newest vote: epoch {record.epoch} slot {record.slot}"
    emit(options, data, text if alarm is None else f"{text}\nALARM: {alarm}")
    return 0


def guard_set(options: argparse.Namespace) -> int:
    """Replace a lost guard record."""
    home = home_of(options)
    epoch, slot = _parse_position(options.position)
    renew_guard(home.agent, epoch, slot)
    print(f"the sign guard of {home.agent} starts at epoch {epoch}, slot {slot}")
    return 0


def guard_quarantine(options: argparse.Namespace) -> int:
    """Keep this node from voting until two epochs have passed."""
    home = home_of(options)
    record = quarantine(home.agent, options.epoch)
    print(f"the sign guard of {home.agent} lets votes through from epoch {record.epoch} on")
    return 0


def backup(options: argparse.Namespace) -> int:
    """Write the agent's sealed keys to a file."""
    files = make_backup(home_of(options).agent, options.file)
    print(f"{options.file} holds {', '.join(files)}, sealed as they are")
    print("Keep the unlock secret elsewhere: without it nobody opens them, you neither.")
    return 0


def restore(options: argparse.Namespace) -> int:
    """Make the agent's folder from a backup."""
    home = home_of(options)
    restore_backup(options.file, home.agent)
    print(f"{home.agent} is restored. It does not start before you say from when on it may vote:")
    print(f"  smartshare agent guard quarantine --epoch CURRENT --home {home.path}")
    return 0


def change_unlock(options: argparse.Namespace) -> int:
    """Seal the agent's keys under another unlock secret."""
    home = home_of(options)
    place = KeyPlace(home.agent, find_unlock(home.agent))
    forbid_memory_dumps()
    new_secret = (
        None if options.to is None else load_unlock(UnlockSource(options.to, is_credential=False))
    )
    files = set_unlock(place, new_secret)
    names = ", ".join(path.name for path in files)
    print(f"{names} in {home.agent}: sealed under the new unlock secret")
    if place.unlock.is_credential:
        print(f"Before the agent starts again, make {options.to} its credential:")
        print(
            f"  systemd-creds encrypt --name={CREDENTIAL_NAME} {options.to}"
            f" /etc/credstore.encrypted/{CREDENTIAL_NAME}"
        )
    else:
        print(f"It is in {place.unlock.path}; the old one opens nothing here any more.")
    print("Backups made before open with the old one alone: make a new backup, destroy the others.")
    return 0


def words_export(options: argparse.Namespace) -> int:
    """Show the wallet's recovery words on the terminal."""
    home = home_of(options)
    place = KeyPlace(home.agent, find_unlock(home.agent))
    if _ask("Whoever sees the 24 words has the wallet. Show them here? Type yes: ") != "yes":
        raise AgentError("nothing was shown: the answer was not `yes`")
    forbid_memory_dumps()
    words = export_words(place, SystemClock()).split()
    for row in range(0, len(words), 6):
        line = "  ".join(
            f"{row + i + 1:2} {word:<8}" for i, word in enumerate(words[row : row + 6])
        )
        print(line.rstrip())
    print("Write them on paper, in this order. They bring back the wallet, not the node.")
    return 0


def words_import(options: argparse.Namespace) -> int:
    """Take a wallet's recovery words from the terminal, or one line of standard input."""
    home = home_of(options)
    place = KeyPlace(home.agent, find_unlock(home.agent))
    forbid_memory_dumps()
    words = getpass("The 24 words (not echoed): ") if sys.stdin.isatty() else sys.stdin.readline()
    wallet = import_words(place, words, SystemClock())
    print(f"the wallet of {home.agent} is {format_address(wallet)} now")
    return 0


def _ask(question: str) -> str:
    if sys.stdin.isatty():
        print(question, end="", flush=True)
    return sys.stdin.readline().strip()


def _parse_position(text: str) -> tuple[int, int]:
    epoch, _, slot = text.partition(":")
    if not (epoch.isascii() and epoch.isdigit() and slot.isascii() and slot.isdigit()):
        raise SettingsError(f"position {text!r}: write EPOCH:SLOT, for example 0:1200")
    return int(epoch), int(slot)


def _report_data(report: AuditReport, anchored: int) -> dict[str, object]:
    return {
        "anchored": anchored,
        "whole": not report.problem,
        "problem": report.problem,
        "first": report.first,
        "last": report.head.sequence,
        "head": report.head.hash.hex(),
        "torn": report.torn,
    }


def _report_text(report: AuditReport) -> str:
    span = f"entries {report.first} to {report.head.sequence}, head {report.head.hash.hex()}"
    torn = f"\n{report.torn} time(s) a power cut took entries that were not synced yet"
    if report.problem:
        return f"NOT WHOLE: {report.problem}\nwhole before it: {span}"
    return f"the audit log is whole: {span}" + (torn if report.torn else "")
