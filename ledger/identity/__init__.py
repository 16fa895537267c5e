"""Who a node is towards another one: grants, session tokens and the mutual handshake. Pure."""
