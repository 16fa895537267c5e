"""A client's session (MQTT section 4.1): inputs, effects, state and machine are pure.

The driver performs the effects: towards the connection, the journal and the broker's budget.
"""
