"""The processes of a node: how each is started."""

from gateway.app.processes import READY_TIMEOUT_S, service_specs
from gateway.settings import Home


def test_each_process_has_the_time_that_a_large_database_needs(tmp_path):
    specs = service_specs(Home(tmp_path))

    assert [spec.name for spec in specs] == ["agent", "gateway", "ledger"]
    assert {spec.ready_timeout_s for spec in specs} == {READY_TIMEOUT_S}
    assert all(str(tmp_path) in spec.argv for spec in specs)
