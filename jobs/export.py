"""Export a trained surrogate to formats that run without fwdecg, and compare their ECGs.

The job writes surrogate.safetensors (weights and description), surrogate.pt2 (torch.export),
surrogate.onnx on request, and metrics.json. The exported programs take maps u (case, frame, row,
col), dimensionless float32, and return phi_e (case, electrode, frame) in mm/ms, for any number of
cases.
"""

from pathlib import Path

from fwdecg.experiment.command_line import Parser, run_job


def main() -> None:
    """Export the surrogate of a checkpoint."""
    parser = Parser(str(__doc__))
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="best.safetensors of a training")
    parser.add_argument(
        "--out", metavar="FOLDER", help="new folder (default: export/ beside the checkpoint)"
    )
    parser.add_argument(
        "--onnx", action="store_true", help="also write ONNX; requires the extra fwdecg[onnx]"
    )
    arguments = parser.parse_args()

    from fwdecg.runtime.storage import absolute_path
    from fwdecg.training.export import export_surrogate
    from fwdecg.training.trained_surrogate import load_surrogate

    folder = absolute_path(arguments.out or Path(arguments.checkpoint).parent / "export")
    trained = load_surrogate(arguments.checkpoint)
    metrics = export_surrogate(trained, folder, onnx=arguments.onnx)
    for name, difference in metrics["largest_difference"].items():
        print(
            f"{name} differs from the network by at most {difference:.1e} standard deviations of "
            "the ECG"
        )
    print(f"  {folder}")


if __name__ == "__main__":
    run_job(main)
