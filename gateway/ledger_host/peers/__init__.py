"""Ledger nodes among themselves: listener, handshakes and links over MQTT.

The listener is a broker of its own inside the ledger process, so devices and peers share no session, no
topic and no budget.
"""
