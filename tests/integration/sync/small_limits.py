"""`smartshare ledger` with limits that a test can wait for: small_limits.py ARGUMENTS

A node may keep less than a week of blocks, and is lost after two seconds without one. This machine's clock is
taken for a synchronised one.
"""

import sys

from gateway.cli.main import main
from gateway.clock import SystemClock
from gateway.ledger_host import lag, service

service.KEEP_BLOCKS_MIN = 1
lag.STALL_S = 2.0
SystemClock.is_synchronised = lambda _clock: True  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
