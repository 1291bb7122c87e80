"""The configuration of an evaluation, in a module that does not load PyTorch."""

from dataclasses import dataclass

from fwdecg.config import Configuration, setting


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Configuration):
    """Settings of the evaluation of a trained surrogate."""

    path: str = setting(
        "", "folder of the evaluation; default: evaluation/ in results.path", identity=False
    )
    batch_size: int = setting(8, "cases predicted at once", identity=False, at_least=1)
