"""The grammar of `meter`."""

from pathlib import Path

from gateway.cli.grammar import Commands, command, group, home, json

CURVES = ("secp256r1", "secp256k1")


def add_meter_commands(commands: Commands) -> None:
    """Add `meter`: measurement records and their OCMF text."""
    meter = group(commands, "meter", "signed measurement records and their OCMF text")
    record = command(
        meter, "record", "gateway.cli.meter:record", "sign the newest reading as a page"
    )
    json(home(record)).add_argument("device")
    record.add_argument(
        "--mark", default="reading", choices=("begin", "reading", "tariff", "end", "abort")
    )
    record.add_argument("--quantity", default="energy_import_total", metavar="NAME")
    record.add_argument("--session", default="", metavar="NAME")
    record.add_argument("--tariff", default="", metavar="TEXT")
    record.add_argument(
        "--ocmf", type=Path, metavar="FILE", help="what the meter signed itself, kept byte for byte"
    )
    record.add_argument(
        "--ocmf-key", metavar="KEY", help="its public key, hexadecimal or base64 DER"
    )
    listing = command(meter, "list", "gateway.cli.meter:list_records", "list a device's pages")
    json(home(listing)).add_argument("device")
    check = command(meter, "check", "gateway.cli.meter:check", "check every page of a device")
    json(home(check)).add_argument("device")
    export = command(meter, "export", "gateway.cli.meter:export", "write pages as one OCMF text")
    json(home(export)).add_argument("device")
    export.add_argument(
        "--session", metavar="NAME", help="its pages; default: the newest session's"
    )
    export.add_argument("--page", type=int, metavar="N", help="what the meter signed on this page")
    export.add_argument("--curve", default=CURVES[0], choices=CURVES)
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    key = command(meter, "key", "gateway.cli.meter:key", "print the public key of OCMF texts")
    json(home(key)).add_argument("--curve", default=CURVES[0], choices=CURVES)
    verify = command(
        meter, "verify", "gateway.cli.meter:verify", "verify an OCMF text of any maker"
    )
    json(verify).add_argument("file", type=Path)
    verify.add_argument("--key", metavar="KEY", help="public key, hexadecimal or base64 DER")
