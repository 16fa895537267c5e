"""The bill, line by line, as the contract computed it."""

from rich.console import Console
from rich.table import Table as Grid

from edge_contracts.values import Value
from gateway.app.amounts import format_ssp
from gateway.pipeline.normalise import format_decimal


def print_bill(console: Console, bill: "dict[str, Value]") -> None:
    """Print a settled session's bill; each line's energy is a count of 10^scale Wh, amounts are base units."""
    grid = Grid(title="The bill, computed by the contract", title_justify="left")
    grid.add_column("zone")
    for heading in ("energy, kWh", "price, SSP/kWh", "amount, SSP"):
        grid.add_column(heading, justify="right")
    for line in _tables(bill["lines"]):
        grid.add_row(
            str(line["zone"]),
            f"{format_decimal(_number(line, 'energy'), _number(line, 'scale') - 3)}",
            format_ssp(_number(line, "price")),
            format_ssp(_number(line, "amount")),
        )
    grid.add_row("fixed part", "", "", format_ssp(_number(bill, "fixed")))
    grid.add_section()
    for label, key in (
        ("total", "total"),
        ("deposit", "deposit"),
        ("paid to the provider", "paid"),
        ("returned to the consumer", "returned"),
    ):
        grid.add_row(label, "", "", format_ssp(_number(bill, key)))
    console.print()
    console.print(grid)
    for pause in _tables(bill["pauses"]):
        console.print(f"paused at reading {pause['sequence']!r}, not billed: {pause['reason']!r}")


def _tables(value: Value) -> "list[dict[str, Value]]":
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(table: "dict[str, Value]", key: str) -> int:
    value = table.get(key)
    return value if isinstance(value, int) else 0
