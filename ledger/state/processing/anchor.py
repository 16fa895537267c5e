"""Anchor: commit to consecutive readings of a device.

Rule 1: the device is registered, and the sender is the key that registered it.
Rule 2: the profile hash is the device's.
Rule 3: `first` is the device's next sequence and `previous` its newest anchor: no gap, no fork.
Rule 4: the sender's node was not retired.
Rule 5: the time range does not end before it begins, and sequences stay within 63 bits.
"""

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.state.identities import check_not_retired
from ledger.state.keys import anchor_key, device_key
from ledger.state.overlay import Overlay
from ledger.types.records import AnchorRecord, Device
from ledger.types.transaction import Anchor

_SEQUENCE_MAX = 2**63 - 1

_devices = canonical.OwnDecoder(Device)


def process_anchor(
    state: Overlay, sender: bytes, body: Anchor, height: int, transaction_id: bytes
) -> Rejected | None:
    """Store the anchor's record and move the device on behind it."""
    data = state.get(device_key(body.device_id))
    if data is None:
        return Rejected(
            Reason.UNKNOWN_DEVICE, f"device {body.device_id.hex()[:16]} is not registered"
        )
    device = _devices.decode(data)
    refusal = _check_anchor(device, sender, body) or check_not_retired(state, sender)
    if refusal is not None:
        return refusal
    record = AnchorRecord(
        root=body.root,
        count=body.count,
        height=height,
        transaction_id=transaction_id,
        profile_hash=body.profile_hash,
    )
    state.put(anchor_key(body.device_id, body.first), canonical.encode(record))
    moved_on = Device(
        metering=device.metering,
        profile_hash=device.profile_hash,
        next_sequence=body.first + body.count,
        last_anchor=transaction_id,
    )
    state.put(device_key(body.device_id), canonical.encode(moved_on))
    return None


def _check_anchor(device: Device, sender: bytes, body: Anchor) -> Rejected | None:
    if sender != device.metering:
        return Rejected(Reason.NOT_OWNER, "only the key that registered the device anchors for it")
    if body.profile_hash != device.profile_hash:
        return Rejected(Reason.OUT_OF_RANGE, "the profile hash is not the registered one")
    if body.first != device.next_sequence:
        return Rejected(
            Reason.OUT_OF_SEQUENCE,
            f"starts with sequence {body.first}, the device's next is {device.next_sequence}",
        )
    if body.previous != device.last_anchor:
        return Rejected(Reason.OUT_OF_SEQUENCE, "previous is not the device's newest anchor")
    if body.time_last_ms < body.time_first_ms:
        return Rejected(Reason.OUT_OF_RANGE, "the time range ends before it begins")
    if body.first + body.count > _SEQUENCE_MAX:
        return Rejected(Reason.OUT_OF_RANGE, "the device has no sequence numbers left")
    return None
