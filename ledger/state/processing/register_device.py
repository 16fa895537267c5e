"""RegisterDevice: let a gateway's metering key anchor a device's readings.

Rule 1: the sender is the metering key of a registered node that was not retired.
Rule 2: a new device's readings count from sequence 1, after no anchor.
Rule 3: a known device's own metering key may change its profile; sequence and anchors go on.
"""

import msgspec

from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH
from ledger.errors import Reason, Rejected
from ledger.state.identities import get_metering_node
from ledger.state.keys import device_key
from ledger.state.overlay import Overlay
from ledger.types.records import Device
from ledger.types.transaction import RegisterDevice

FIRST_SEQUENCE = 1

_devices = canonical.OwnDecoder(Device)


def process_register_device(state: Overlay, sender: bytes, body: RegisterDevice) -> Rejected | None:
    """Store the device with the sender as the only key that may anchor for it, or its new profile."""
    node_id = get_metering_node(state, sender)
    if isinstance(node_id, Rejected):
        return node_id
    known = state.get(device_key(body.device_id))
    device = (
        Device(sender, body.profile_hash, FIRST_SEQUENCE, NO_HASH)
        if known is None
        else msgspec.structs.replace(_devices.decode(known), profile_hash=body.profile_hash)
    )
    if device.metering != sender:
        return Rejected(
            Reason.NOT_OWNER, f"device {body.device_id.hex()[:16]} is another metering key's"
        )
    state.put(device_key(body.device_id), canonical.encode(device))
    return None
