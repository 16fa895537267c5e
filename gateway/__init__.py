"""The edge gateway: devices in, durable readings, anchors and operator tools out."""
