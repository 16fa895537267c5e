"""Requests and responses between Smartshare's processes, over the gateway's own broker."""
