from fwdecg.benchmarks.timing import interleave


def test_every_round_calls_each_measurement_once_in_order():
    calls = []

    def record(name):
        calls.append(name)
        return float(len(calls))

    values = interleave({"a": lambda: record("a"), "b": lambda: record("b")}, 2)
    assert calls == ["a", "b", "a", "b"]
    assert values == {"a": [1, 3], "b": [2, 4]}
