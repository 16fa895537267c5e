"""The entry point: parse, run the handler, turn every failure into one line and an exit code."""

import argparse
import importlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence

from gateway.cli.grammar import PROGRAM
from gateway.cli.parser import build_parser
from gateway.errors import GatewayError
from ledger.errors import LedgerError

SERVICES = frozenset({"run", "agent", "gateway", "ledger", "broker"})
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 or 2. Never prints a traceback unless SMARTSHARE_DEBUG is set."""
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
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    is_part = getattr(options, "agent_command", None) is not None
    _configure_logging(is_service=options.command in SERVICES and not is_part)
    module, _, function = options.handler.partition(":")
    try:
        code = int(getattr(importlib.import_module(module), function)(options) or 0)
        sys.stdout.flush()  # here a reader that went away can still be answered for
    except (GatewayError, LedgerError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`smartshare ... | head`): keep the interpreter from complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"{place}{error.strerror or str(error) or type(error).__name__}")
    except Exception as error:
        if os.environ.get("SMARTSHARE_DEBUG"):
            raise
        line = str(error).splitlines()[0] if str(error) else ""
        return _fail(
            f"internal error: {type(error).__name__}: {line}; set SMARTSHARE_DEBUG=1 to see where"
        )
    return code


def _fail(line: str) -> int:
    print(f"{PROGRAM}: {line}", file=sys.stderr)
    return 1


def _configure_logging(*, is_service: bool) -> None:
    """Services tell what they do; commands speak through their output and one line of error."""
    level = logging.INFO if is_service else logging.WARNING
    text = "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=text, stream=sys.stderr)
    for chatty in ("amqtt", "websockets"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
