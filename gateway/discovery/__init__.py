"""Finding gateways on the local network. What is found is a hint, never an identity."""
