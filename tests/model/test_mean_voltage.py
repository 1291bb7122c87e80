import torch

from fwdecg.model.mean_voltage import MeanVoltage


def test_by_hand() -> None:
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, -4.0]]]])
    assert MeanVoltage()(maps).tolist() == [[[3.0], [-1.0]]]
