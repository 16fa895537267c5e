"""What a writer said of all its lives, held against what is on disk."""

from pathlib import Path

from gateway.readings.queries import ReadingsReader
from gateway.readings.records import SettlementStatus


class Witness:
    """Hears the lines of `acknowledging_writer.py`."""

    def __init__(self, path: Path) -> None:
        self.readings: dict[tuple[str, int], int] = {}
        self.batches: set[tuple[str, int, int]] = set()
        self._path = path

    def hear(self, line: str) -> None:
        if not line.endswith("\n"):
            return  # cut off by the kill
        kind, device, first, second = line.split()
        if kind == "batch":
            self.batches.add((device, int(first), int(second)))
        else:
            assert (device, int(first)) not in self.readings, "a sequence was given twice"
            self.readings[device, int(first)] = int(second)

    def check(self) -> None:
        reader = ReadingsReader.open(self._path)
        try:
            stored = {
                (device.name, one.reading.sequence): one.reading.quantities[0].value
                for device in reader.devices()
                for one in reader.range(device.name, 1, 2**40)
            }
            for device in reader.devices():
                count = sum(name == device.name for name, _ in stored)
                assert count == device.next_sequence - 1, f"{device.name} has a gap"
            batches = reader.batches(SettlementStatus.PENDING, limit=2**40)
            waiting = [entry.transaction_id for entry in reader.pending_transactions()]
        finally:
            reader.close()
        assert self.readings.items() <= stored.items(), "an answered reading is lost or altered"
        assert self.batches <= {(batch.device, batch.first, batch.last) for batch in batches}
        assert [batch.transaction_id for batch in batches] == waiting
