"""The gateway's plain values: devices, observations, principals and topics. Pure."""
