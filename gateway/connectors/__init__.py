"""Connectors: how readings get from devices to the store. None of them knows another."""
