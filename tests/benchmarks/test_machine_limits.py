from fwdecg.benchmarks.machine_limits import multiply_add_rate, triad_rate


def test_the_limits_are_rates():
    assert multiply_add_rate() > 0.1
    assert triad_rate(2**10) > 0.01
