"""What the holders of stake may change by vote, with the bounds that no vote can leave.

Every value is an integer; a percentage is of 100. The sources stand in `docs/spec/DPOS.md`.
"""

import msgspec

from ledger.params import (
    AMOUNT_MAX,
    DAY_MS,
    HOUR_MS,
    PROTOCOL_VERSION,
    SSP_BASE_UNITS,
    UNBONDING_MS_MIN,
)
from ledger.types.primitives import Amount, Counter

DAYS_MAX = 365


class Parameters(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The rules in force for an epoch; a change takes effect with an epoch's first block."""

    protocol_version: Counter = PROTOCOL_VERSION
    epoch_blocks: Counter = 1_188  # twelve laps of 99: about an hour at full rate
    epoch_ms: Counter = 6 * HOUR_MS  # ends the epoch of an idle network
    elected_seats: Counter = 90
    drawn_seats: Counter = 9
    seat_changes_max: Counter = 20
    rest_after_epochs: Counter = 168
    resting_max: Counter = 9
    self_bond_factor: Counter = 10
    weight_cap_percent: Counter = 5
    block_reward: Amount = SSP_BASE_UNITS // 10
    proposer_percent: Counter = 70
    missed_percent: Counter = 15
    missed_min: Counter = 2
    participation_percent: Counter = 50
    probation_epochs: Counter = 6
    probation_weight_percent: Counter = 10
    jail_missed_percent: Counter = 50
    jail_missed_in_row: Counter = 50
    removed_max: Counter = 14
    evidence_age_ms: Counter = 21 * DAY_MS
    unbonding_ms: Counter = UNBONDING_MS_MIN
    slash_percent: Counter = 5
    reporter_part: Counter = 20  # the reporter gets 1/20 of what is taken
    bond_min: Amount = 1_000 * SSP_BASE_UNITS
    free_anchor_stake: Amount = SSP_BASE_UNITS  # stake for one free metering transaction an epoch
    proposal_deposit: Amount = 100 * SSP_BASE_UNITS
    voting_ms: Counter = 7 * DAY_MS
    turnout_percent: Counter = 34
    approval_percent: Counter = 67


# Unbonding may not become shorter than evidence lives or a ballot lasts: else coins that sinned or
# voted could be elsewhere before it counts.
BOUNDS: dict[str, tuple[int, int]] = {
    "protocol_version": (PROTOCOL_VERSION, 2**32 - 1),
    "epoch_blocks": (1, 100_000),
    "epoch_ms": (1_000, 7 * DAY_MS),
    "elected_seats": (1, 90),
    "drawn_seats": (0, 9),
    "seat_changes_max": (1, 33),
    "rest_after_epochs": (1, 10_000),
    "resting_max": (0, 30),
    "self_bond_factor": (1, 1_000),
    "weight_cap_percent": (1, 100),
    "block_reward": (0, 1_000 * SSP_BASE_UNITS),
    "proposer_percent": (0, 100),
    "missed_percent": (1, 100),
    "missed_min": (1, 1_000),
    "participation_percent": (0, 100),
    "probation_epochs": (0, 1_000),
    "probation_weight_percent": (0, 100),
    "jail_missed_percent": (1, 100),
    "jail_missed_in_row": (2, 100_000),
    "removed_max": (0, 33),
    "evidence_age_ms": (HOUR_MS, UNBONDING_MS_MIN),
    "unbonding_ms": (UNBONDING_MS_MIN, DAYS_MAX * DAY_MS),
    "slash_percent": (0, 100),
    "reporter_part": (1, 1_000),
    "bond_min": (1, AMOUNT_MAX),
    "free_anchor_stake": (1, AMOUNT_MAX),
    "proposal_deposit": (0, AMOUNT_MAX),
    "voting_ms": (HOUR_MS, UNBONDING_MS_MIN),
    "turnout_percent": (1, 100),
    "approval_percent": (51, 100),
}
assert tuple(BOUNDS) == Parameters.__struct_fields__


def find_out_of_bounds(parameters: Parameters) -> str | None:
    """Return one line about the first value outside its bounds, or None."""
    for name, (least, most) in BOUNDS.items():
        value: int = getattr(parameters, name)
        if not least <= value <= most:
            return f"{name} {value} is outside {least}..{most}"
    return None
