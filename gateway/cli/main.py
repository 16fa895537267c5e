"""The entry point: parse, run the handler, turn every failure into one line and an exit code."""

import importlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence

from gateway.cli.parser import PROGRAM, build_parser
from gateway.errors import GatewayError
from ledger.errors import LedgerError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 or 2. Never prints a traceback unless SMARTSHARE_DEBUG is set."""
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    parser = build_parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as exit_request:
        return int(exit_request.code or 0)
    if options.version:
        print(f"{PROGRAM} {importlib.metadata.version('smartshare-gateway')}")
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    module, _, function = options.handler.partition(":")
    try:
        return int(getattr(importlib.import_module(module), function)(options) or 0)
    except (GatewayError, LedgerError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`smartshare ... | head`): keep the interpreter from complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("SMARTSHARE_DEBUG"):
            raise
        line = str(error).splitlines()[0] if str(error) else ""
        print(
            f"{PROGRAM}: internal error: {type(error).__name__}: {line}; "
            "set SMARTSHARE_DEBUG=1 to see where",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
