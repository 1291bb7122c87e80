"""Read maps from VTK images: `.vti` (XML), and `.vtk` with STRUCTURED_POINTS (legacy format).

Only the input and output modules of VTK are imported, which need no display.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from fwdecg.errors import MapsError
from fwdecg.maps.map_arrays import choose_name, missing_extra, require_memory

SUFFIXES = (".vti", ".vtk")
MOST_BYTES_PER_VALUE = 24  # a double in VTK's array, its copy, and the float32 that is returned

Values = Shaped[np.ndarray, "frame row col"]


def read_images(paths: Sequence[Path], name: str | None) -> Values:
    """Return the values of images: y is the row, x the column, and time or z the frame.

    Args:
        paths: one file with all frames, as time steps (`TimeValues`) or along z; or one file per
            frame, in order.
        name: point or cell array to read; by default `u` or the only one.

    Raises:
        MapsError: VTK is not installed; or a file is damaged, is no image, has no such array,
            differs in size from the first, or needs more memory than there is.
        OSError: a file cannot be opened.
    """
    if len(paths) == 1:
        return _ImageFile(paths[0], name).frames()
    first = _one_frame(paths[0], name)
    require_memory(paths[0].parent, len(paths) * first.size * (first.itemsize + 4))
    values = np.empty((len(paths), *first.shape), first.dtype)
    for frame, path in enumerate(paths):
        found = _one_frame(path, name)
        if found.shape != first.shape:
            raise MapsError(
                f"{path} has {found.shape[0]} x {found.shape[1]} values, {paths[0].name} has "
                f"{first.shape[0]} x {first.shape[1]}: all frames must have the same rows and "
                "columns; give the files of one recording"
            )
        values[frame] = found
    return values


def _one_frame(path: Path, name: str | None) -> Shaped[np.ndarray, "row col"]:
    values = _ImageFile(path, name).frames()
    if len(values) != 1:
        raise MapsError(
            f"{path} has {len(values)} frames: each of several files must have one; give this file "
            "alone"
        )
    return values[0]


class _ImageFile:
    """One image file and the array to read from it."""

    def __init__(self, path: Path, name: str | None) -> None:
        with path.open("rb"):  # raises the usual errors of a missing file
            pass
        try:
            from vtkmodules.vtkIOLegacy import vtkDataSetReader  # noqa: PLC0415  # optional
            from vtkmodules.vtkIOXML import vtkXMLImageDataReader  # noqa: PLC0415
        except ImportError as error:
            raise missing_extra(path, "vtk") from error
        self._path, self._name = path, name
        if path.suffix.lower() == ".vti":
            self._reader: Any = vtkXMLImageDataReader()
        else:
            self._reader = vtkDataSetReader()
            self._reader.ReadAllScalarsOn()
        self._reader.SetFileName(str(path))

    def frames(self) -> Values:
        """Return all frames of the file."""
        self._call(self._reader.UpdateInformation)
        steps = 0
        if hasattr(self._reader, "GetNumberOfTimeSteps"):
            steps = self._reader.GetNumberOfTimeSteps()
        require_memory(self._path, max(steps, 1) * self._values() * MOST_BYTES_PER_VALUE)
        if steps < 2:
            return self._layers()
        frames = []
        for step in range(steps):
            self._reader.SetTimeStep(step)
            frames.append(self._layers())
        if any(len(layers) > 1 for layers in frames):
            raise MapsError(
                f"{self._path} has {steps} time steps of {len(frames[0])} layers: maps are a "
                "sheet; extract one layer"
            )
        return np.concatenate(frames)

    def _values(self) -> int:
        """Return the number of points that the file announces, or its bytes if it does not."""
        from vtkmodules.vtkCommonExecutionModel import (  # noqa: PLC0415
            vtkStreamingDemandDrivenPipeline,
        )

        key = vtkStreamingDemandDrivenPipeline.WHOLE_EXTENT()
        information = self._reader.GetOutputInformation(0)
        if not information.Has(key):
            return self._path.stat().st_size
        first, last = np.reshape(information.Get(key), (3, 2)).T
        return int(np.prod(np.maximum(last - first + 1, 0)))

    def _layers(self) -> Shaped[np.ndarray, "layer row col"]:
        """Return a copy of the image at the chosen time step."""
        from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415

        self._call(self._reader.Update)
        image = self._reader.GetOutput()
        if image is None or not image.IsA("vtkImageData") or min(image.GetDimensions()) < 1:
            raise MapsError(
                f"{self._path} holds no image: must be ImageData or STRUCTURED_POINTS; resample "
                "the mesh to an image, for example in ParaView"
            )
        points, cells = _arrays(image.GetPointData()), _arrays(image.GetCellData())
        chosen = choose_name(self._path, list(points | cells), self._name)
        array = points[chosen] if chosen in points else cells[chosen]
        if array.GetNumberOfComponents() != 1:
            raise MapsError(
                f"{self._path}: the array {chosen} has {array.GetNumberOfComponents()} components: "
                "must be 1; give name as that of the voltage"
            )
        cols, rows, layers = image.GetDimensions()
        if chosen not in points:
            cols, rows, layers = (max(size - 1, 1) for size in (cols, rows, layers))
        if min(rows, cols) == 1:
            raise MapsError(
                f"{self._path} has {cols} x {rows} values in x and y: maps must lie in the x-y "
                "plane; turn the sheet there, and keep z for the frames"
            )
        return vtk_to_numpy(array).reshape(layers, rows, cols).copy()

    def _call(self, action: Any) -> None:
        """Call a method of the reader, which prints its errors instead of raising them."""
        from vtkmodules.vtkCommonCore import (  # noqa: PLC0415
            vtkLogger,
            vtkOutputWindow,
            vtkStringOutputWindow,
        )

        usual, window = vtkOutputWindow.GetInstance(), vtkStringOutputWindow()
        verbosity = vtkLogger.GetCurrentVerbosityCutoff()
        vtkOutputWindow.SetInstance(window)
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        try:
            action()
        finally:
            vtkLogger.SetStderrVerbosity(verbosity)
            vtkOutputWindow.SetInstance(usual)
        if "error" in window.GetOutput().lower():  # truncation is only a warning of this name
            raise MapsError(
                f"{self._path} cannot be read as a VTK image: it is damaged or of another kind; "
                "write it again"
            )


def _arrays(attributes: Any) -> dict[str, Any]:
    """Return the arrays of points or cells by name; an array without a name is `values`."""
    found = [attributes.GetArray(number) for number in range(attributes.GetNumberOfArrays())]
    return {array.GetName() or "values": array for array in found if array is not None}
