import json

import pytest

from fwdecg.benchmarks.storage_benchmark import COMPRESSIONS, benchmark_storage

pytestmark = pytest.mark.ray


def test_every_compression_and_reader_is_measured(ray_cluster, small_library, tmp_path):
    benchmark_storage(small_library, tmp_path, turns=1)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["cases_compressed"] == 10
    assert found["compressions"].keys() == COMPRESSIONS.keys()
    shares = {name: row["share_of_maps"] for name, row in found["compressions"].items()}
    assert min(shares, key=shares.__getitem__) != "none"
    assert set(found["readers"]) == {"pyarrow", "Ray Data", "Ray Data, shuffled"}
    for rows in (found["compressions"], found["readers"]):
        assert all(value > 0 for row in rows.values() for value in row.values())
    report = (tmp_path / "report.txt").read_text()
    assert all(name in report for name in (*COMPRESSIONS, *found["readers"]))
