"""Predict the ECGs of voltage maps with a trained surrogate.

Voltage u is dimensionless, (V - V0) / (Vfi - V0): 0 at rest, about 1 excited. The ECG phi_e comes
in mm/ms, as in the library that the surrogate was trained on; times are in ms.
"""

import argparse
from pathlib import Path

from fwdecg.command import Parser, run_job


def main() -> None:
    """Predict every case of the input."""
    arguments = _arguments()
    from fwdecg.evaluation.config import EvaluationConfig
    from fwdecg.evaluation.maps import read_maps
    from fwdecg.evaluation.predictions import predict_library, predict_own_maps, require_new
    from fwdecg.library.reader import open_library
    from fwdecg.training.checkpoint import load_surrogate

    output = Path(arguments.output).absolute()
    require_new(output)
    batch_size = EvaluationConfig(batch_size=arguments.batch_size).batch_size
    trained = load_surrogate(arguments.checkpoint)
    if "://" in arguments.input or Path(arguments.input).is_dir():
        library = open_library(arguments.input)
        cases = predict_library(library, trained, output, batch_size=batch_size)
    else:
        u = read_maps(arguments.input, trained.signature)
        cases = predict_own_maps(u, trained, output, batch_size=batch_size)
    print(f"ECGs of {cases} cases in mm/ms:")
    print(f"  {output}")


def _arguments() -> argparse.Namespace:
    parser = Parser(str(__doc__))
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="best.pt of a training")
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="folder of a library, or .npy or .npz (array u) with maps (frame, row, col) or "
        "(case, frame, row, col), dimensionless",
    )
    parser.add_argument(
        "output", metavar="OUTPUT.parquet", help="new file: case_id, phi_e (electrode, frame) mm/ms"
    )
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="cases at once (default: 8)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_job(main, then="nothing was written")
