"""The Lua that contracts are written in: read, checked, and rewritten so that it can be metered."""
