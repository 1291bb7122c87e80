from fwdecg.evaluation.text_table import aligned


def test_the_first_column_is_set_left_the_others_right() -> None:
    lines = aligned([["R2", "healthy", "all"], ["network", "0.9", "-12.5"], ["x", "1", ""]])
    assert lines == [
        "R2       healthy    all",
        "network      0.9  -12.5",
        "x              1",
    ]
