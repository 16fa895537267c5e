"""Devices that publish by MQTT to the gateway's own broker."""
