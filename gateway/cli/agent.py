"""`smartshare agent ...`: looking after the SmartAgent's guard record and its audit log."""

import argparse
from collections import deque
from datetime import UTC, datetime

from gateway.cli.output import emit, home_of, table
from gateway.errors import AgentError, SettingsError
from gateway.smart_agent.audit.entry import Entry, Head
from gateway.smart_agent.audit.verify import AuditReport, verify_log
from gateway.smart_agent.provision import (
    AUDIT_FOLDER,
    quarantine,
    renew_guard,
    show_guard,
)


def audit_verify(options: argparse.Namespace) -> int:
    """Check the whole audit log; name the first broken entry."""
    home = home_of(options)
    report = verify_log(home.agent / AUDIT_FOLDER)
    emit(options, _report_data(report), _report_text(report))
    return 1 if report.problem else 0


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
            "kind": entry.kind.name.lower().replace("_", "-"),
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


def _parse_position(text: str) -> tuple[int, int]:
    epoch, _, slot = text.partition(":")
    if not (epoch.isascii() and epoch.isdigit() and slot.isascii() and slot.isdigit()):
        raise SettingsError(f"position {text!r}: write EPOCH:SLOT, for example 0:1200")
    return int(epoch), int(slot)


def _report_data(report: AuditReport) -> dict[str, object]:
    return {
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
