"""The neural surrogate that predicts the ECG from voltage maps; torch alone, no files, no Ray."""

from fwdecg.model.surrogate import Surrogate, SurrogateConfig

__all__ = ["Surrogate", "SurrogateConfig"]
