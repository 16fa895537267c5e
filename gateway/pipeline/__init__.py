"""From stored readings to anchors and to the values people see. Pure: no I/O, clock or randomness."""
