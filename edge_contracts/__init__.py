"""Edge contracts: sandboxed Lua programs that meter and settle, and the library of them."""
