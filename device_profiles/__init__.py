"""The device profiles that ship with the gateway: data only."""
