"""What passes between nodes, and how much of it a peer may send. Pure: the transport carries the bytes."""
