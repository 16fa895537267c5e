"""What a smart plug of the profile `shelly-plus-plug-s` publishes: Gen2 `switch:0` status. Pure."""

from decimal import Decimal

import msgspec

MAINS_V = 230
_MINUTE_S = 60


def build_message(
    device: str, power_w: int, energy_mwh: int, time_s: float = 0.0
) -> tuple[str, bytes]:
    """Return topic and JSON payload; `energy_mwh` is the counter in milliwatt hours.

    `time_s` is the plug's clock in Unix seconds; 0 is a plug that has not heard the time yet.
    """
    total_wh = Decimal(energy_mwh).scaleb(-3)
    current_a = round(power_w / MAINS_V, 3)
    minute_ts = int(time_s) // _MINUTE_S * _MINUTE_S if time_s > 0 else None
    status = {
        "id": 0,
        "source": "init",
        "output": True,
        "apower": power_w,
        "voltage": MAINS_V,
        "current": current_a,
        "aenergy": {
            "total": msgspec.Raw(f"{total_wh:f}".encode()),
            "by_minute": [0, 0, 0],
            "minute_ts": minute_ts,
        },
        "temperature": {"tC": 31.5, "tF": 88.7},
    }
    return f"{device}/status/switch:0", msgspec.json.encode(status)
