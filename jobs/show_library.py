"""Draw a finished library: a contact sheet, histograms of its parameters, an animation of one case.

Maps and activation times are drawn over the sheet in mm. D is in mm^2/ms, the ECG in mm/ms, and
times are in ms.
"""

from pathlib import Path

from fwdecg.experiment.command_line import Parser, run_job

PICTURES = "pictures"  # name of the folder of pictures


def main() -> None:
    """Draw the pictures and print their paths."""
    parser = Parser(str(__doc__))
    parser.add_argument("library", metavar="LIBRARY", help="folder or URI of a finished library")
    parser.add_argument(
        "--case",
        type=int,
        metavar="ID",
        help="case of the animation (default: the first case with fibrosis, or else the first one)",
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help=f"folder of the pictures (default: {PICTURES} beside the library, or in the working "
        "folder if the library is in an object store)",
    )
    arguments = parser.parse_args()

    from fwdecg.cases.splits import ALL
    from fwdecg.library.reader import open_library
    from fwdecg.pictures.library_pictures import write_library_pictures
    from fwdecg.runtime.storage import absolute_path

    library = open_library(arguments.library)
    beside = library.store.folder.parent if library.store.folder else Path()
    folder = absolute_path(arguments.out or beside / PICTURES)
    paths = write_library_pictures(library, folder, arguments.case)
    print(f"pictures of {library.count(ALL)} cases:")
    for path in paths:
        print(f"  {path}")


if __name__ == "__main__":
    run_job(main, on_interrupt="the same command draws them again")
