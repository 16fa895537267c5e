"""The software's measurement follows every byte and every version."""

import shutil

from gateway.ledger_host.measurement import (
    compute_measurement,
    find_dependencies,
    find_packages,
    measure_software,
)


def test_the_installed_product_is_measured_as_itself():
    packages = find_packages()
    assert set(packages) == {"gateway", "ledger", "edge_contracts", "device_profiles"}
    dependencies = find_dependencies()
    assert "pynacl" in dependencies
    assert "pytest" not in dependencies, "the development extra is no part of the product"
    assert measure_software() == compute_measurement(packages, dependencies)
    assert len(measure_software()) == 32


def test_any_change_is_another_measurement(tmp_path):
    original = tmp_path / "original"
    (original / "inner").mkdir(parents=True)
    (original / "inner" / "a.py").write_text("x = 1\n")
    (original / "b.lua").write_text("return 1\n")
    first = compute_measurement({"p": original}, {"n": "1"})
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    (copy / "inner" / "a.pyc").write_bytes(b"compiled")
    assert compute_measurement({"p": copy}, {"n": "1"}) == first
    assert compute_measurement({"p": copy}, {"n": "2"}) != first
    assert compute_measurement({"q": copy}, {"n": "1"}) != first
    (copy / "b.lua").write_text("return 2\n")
    assert compute_measurement({"p": copy}, {"n": "1"}) != first
    (copy / "b.lua").write_text("return 1\n")
    (copy / "b.lua").rename(copy / "c.lua")
    assert compute_measurement({"p": copy}, {"n": "1"}) != first
