"""Predict the ECGs of voltage maps with a trained surrogate, or with an ensemble of several.

The voltage u is dimensionless: 0 at rest and about 1 when excited. Maps of the voltage V in mV or V
become u = (V - rest) / (peak - rest). The ECG phi_e is in mm/ms, as in the library of the training.
An ensemble predicts the mean of its members and their standard deviation, phi_e_spread. The cases
of a library are predicted by actors of a Ray cluster, on its GPUs if it has any. Maps from a file,
and a library with --here, are predicted in this process.
"""

import argparse

from fwdecg.experiment.command_line import Parser, connect_to_ray, run_job


def main() -> None:
    """Predict all cases of the input."""
    arguments = _arguments()

    from fwdecg.evaluation.ensemble import load_members
    from fwdecg.evaluation.evaluation_config import EvaluationConfig
    from fwdecg.evaluation.predictions import (
        predict_library,
        predict_own_maps,
        require_new,
    )
    from fwdecg.library.reader import open_library
    from fwdecg.maps.map_files import holds_images, read_maps
    from fwdecg.maps.recording_format import own_maps
    from fwdecg.runtime.storage import absolute_path

    output = absolute_path(arguments.output)
    require_new(output)
    batch_size = EvaluationConfig(batch_size=arguments.batch_size).batch_size
    members = load_members(arguments.checkpoint)
    place = absolute_path(arguments.input)
    if "://" in arguments.input or (place.is_dir() and not holds_images(place)):
        library = open_library(arguments.input)
        if not arguments.here:
            connect_to_ray()
        run = predict_library(
            library, members, output, batch_size=batch_size, on_cluster=not arguments.here
        )
    else:
        u = read_maps(
            place,
            unit=arguments.unit,
            rest=arguments.rest,
            peak=arguments.peak,
            name=arguments.name,
        )
        own = own_maps(u, arguments.frame_interval_ms, arguments.map_spacing_mm)
        run = predict_own_maps(own, members, output, batch_size=batch_size)
    print(f"ECGs of {run.cases} cases in mm/ms, {run.cases_per_second:.3g} cases per second:")
    print(f"  {output}")


def _arguments() -> argparse.Namespace:
    parser = Parser(str(__doc__))
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        nargs="+",
        help="best.safetensors of a training; several form an ensemble",
    )
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="folder or URI of a library; or a file with maps (frame, row, col) or (case, frame, "
        "row, col): .npy, .npz, .h5, .igb, .igb.gz, .vti, .vtk; or a folder or quoted pattern of "
        ".vti or .vtk files with one frame each",
    )
    parser.add_argument(
        "output",
        metavar="OUTPUT.parquet",
        help="new file with case_id and phi_e (electrode, frame), mm/ms",
    )
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="cases per batch (default: 8)"
    )
    parser.add_argument(
        "--frame-interval-ms",
        type=float,
        metavar="MS",
        help="time between the frames of own maps (default: as in the training)",
    )
    parser.add_argument(
        "--map-spacing-mm",
        type=float,
        metavar="MM",
        help="side of a pixel of own maps (default: as in the training)",
    )
    parser.add_argument(
        "--unit", default="u", help="unit of own maps: u (dimensionless), mV or V (default: u)"
    )
    parser.add_argument(
        "--rest",
        type=float,
        metavar="V",
        help="voltage at rest in the unit of the maps (default: 0, -85 mV, -0.085 V)",
    )
    parser.add_argument(
        "--peak",
        type=float,
        metavar="V",
        help="voltage at the peak in the unit of the maps (default: 1, 15 mV, 0.015 V)",
    )
    parser.add_argument(
        "--name", help="array of own maps in an .npz, HDF5 or VTK file (default: u or the only one)"
    )
    parser.add_argument(
        "--here", action="store_true", help="predict a library in this process, without Ray"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_job(main, on_interrupt="nothing was written")
