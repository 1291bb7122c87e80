import torch

from fwdecg.model.mean_voltage import MeanVoltage
from fwdecg.model.standardise import Standardise


def test_by_hand() -> None:
    score = Standardise(torch.tensor(1.0), torch.tensor(2.0))
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, -4.0]]]])
    assert MeanVoltage(score)(maps).latents.tolist() == [[[1.0], [-1.0]]]
