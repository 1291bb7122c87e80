"""Maps in every format: order of the axes, units, and one line for each bad file.

The map is neither symmetric nor square, and no two axes have the same length.
"""

import builtins
import gzip
import re

import h5py
import numpy as np
import pytest
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkIOLegacy import vtkPolyDataWriter, vtkStructuredPointsWriter
from vtkmodules.vtkIOXML import vtkXMLImageDataWriter

from fwdecg.errors import MapsError
from fwdecg.maps import map_arrays
from fwdecg.maps.map_files import holds_images, read_maps

FRAMES, ROWS, COLS = 3, 4, 5
ONE = (np.arange(FRAMES * ROWS * COLS, dtype=np.float32) / 60).reshape(FRAMES, ROWS, COLS)
TWO = np.stack([ONE, 1 - ONE])


def write_npy(path, array):
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)


def write_npz(path, **arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)


def write_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array


def write_igb(path, values, **changed):
    """Write a file as the manual describes it; a key that is None is left out."""
    frames, rows, cols = values.shape
    keys = {"x": cols, "y": rows, "z": 1, "t": frames, "type": "float", "systeme": "little_endian"}
    keys |= {"unites_t": "ms", "dim_t": 10, "facteur": 1, "zero": 0} | changed
    words = [f"{key}:{value}" for key, value in keys.items() if value is not None]
    text = "# written by a test\r\n" + " ".join(words[:6]) + "\r\n" + " ".join(words[6:])
    content = text.ljust(1023).encode() + b"\f" + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix.lower() == ".gz" else content)


def image(layers, name="u", *, cells=False):
    """A VTK image with the axes (z, y, x) as point values or cell values."""
    depth, rows, cols = layers.shape
    sizes = (cols + 1, rows + 1, depth + (depth > 1)) if cells else (cols, rows, depth)
    made = vtkImageData()
    made.SetDimensions(*sizes)
    array = numpy_to_vtk(np.ascontiguousarray(layers).ravel(), deep=True)
    array.SetName(name)
    (made.GetCellData() if cells else made.GetPointData()).AddArray(array)
    return made


def write_vti(path, made):
    writer = vtkXMLImageDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(made)
    writer.Write()


def write_vti_in_time(path, frames):
    made = image(frames[:1])
    writer = vtkXMLImageDataWriter()
    writer.SetFileName(str(path))
    writer.SetNumberOfTimeSteps(len(frames))
    writer.SetInputData(made)
    writer.Start()
    for number, frame in enumerate(frames):
        made.DeepCopy(image(frame[None]))
        made.Modified()
        writer.WriteNextTime(float(number))
    writer.Stop()


def write_vtk(path, made, writer=None):
    writer = writer or vtkStructuredPointsWriter()
    writer.SetFileName(str(path))
    writer.SetFileTypeToBinary()
    writer.SetInputData(made)
    writer.Write()


FORMATS = {
    "npy": ("maps.npy", lambda path: write_npy(path, ONE)),
    "Fortran order": ("maps.npy", lambda path: write_npy(path, np.asfortranarray(ONE))),
    "npz": ("maps.npz", lambda path: write_npz(path, u=ONE, time_ms=np.arange(3.0))),
    "npz under the suffix npy": ("maps.npy", lambda path: write_npz(path, voltage=ONE)),
    "igb": ("vm.igb", lambda path: write_igb(path, ONE)),
    "npz with folders": ("maps.npz", lambda path: write_npz(path, **{"a/voltage": ONE})),
    "compressed igb": ("vm.IGB.GZ", lambda path: write_igb(path, ONE)),
    "big-endian doubles": (
        "VM.IGB",
        lambda path: write_igb(path, ONE.astype(">f8"), type="double", systeme="big_endian"),
    ),
    "hdf5": ("maps.h5", lambda path: write_hdf5(path, results__voltage=ONE)),
    "hdf5 with several data sets": ("m.hdf5", lambda path: write_hdf5(path, u=ONE, t=np.ones(3))),
    "vti, frames along z": ("maps.vti", lambda path: write_vti(path, image(ONE))),
    "vti, frames along z in cells": ("a.vti", lambda path: write_vti(path, image(ONE, cells=True))),
    "vti with time steps": ("maps.vti", lambda path: write_vti_in_time(path, ONE)),
    "vtk, frames along z": ("maps.vtk", lambda path: write_vtk(path, image(ONE))),
}


@pytest.mark.parametrize(("file", "write"), FORMATS.values(), ids=FORMATS)
def test_axes_of_a_format(tmp_path, file, write):
    write(tmp_path / file)
    u = read_maps(tmp_path / file)
    assert u.dtype == np.float32
    assert u.flags.c_contiguous
    np.testing.assert_array_equal(u, ONE)


@pytest.mark.parametrize("file", ["maps.npy", "maps.npz", "maps.h5"])
def test_several_cases(tmp_path, file):
    path = tmp_path / file
    {
        ".npy": lambda: write_npy(path, TWO),
        ".npz": lambda: write_npz(path, u=TWO),
        ".h5": lambda: write_hdf5(path, u=TWO),
    }[path.suffix]()
    np.testing.assert_array_equal(read_maps(str(path)), TWO)


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f2", "f8", "longdouble"])
def test_any_float_type(tmp_path, dtype):
    write_npy(tmp_path / "maps.npy", TWO.astype(dtype))
    expected = TWO.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(read_maps(tmp_path / "maps.npy"), expected)


@pytest.mark.parametrize("suffix", [".vti", ".vtk"])
@pytest.mark.parametrize("cells", [False, True])
def test_one_image_per_frame(tmp_path, suffix, cells):
    write = {".vti": write_vti, ".vtk": write_vtk}[suffix]
    frames = np.arange(11, dtype=np.float32)[:, None, None] / 11 + ONE[0] / 60
    for number, frame in enumerate(frames):  # 10 must follow 9
        write(tmp_path / f"frame_{number}{suffix}", image(frame[None], cells=cells))
    assert holds_images(tmp_path)
    np.testing.assert_array_equal(read_maps(tmp_path), frames)
    np.testing.assert_array_equal(read_maps(f"{tmp_path}/frame_?{suffix}"), frames[:10])
    chosen = [tmp_path / f"frame_{number}{suffix}" for number in (4, 2)]
    np.testing.assert_array_equal(read_maps(chosen), frames[[4, 2]])


def test_an_array_is_chosen_by_name(tmp_path):
    write_npz(tmp_path / "maps.npz", u=1 - ONE, voltage=ONE)
    write_hdf5(tmp_path / "maps.h5", u=1 - ONE, a__voltage=ONE)
    made = image(1 - ONE)
    other = image(ONE, "voltage").GetPointData().GetArray("voltage")
    made.GetPointData().AddArray(other)
    write_vti(tmp_path / "maps.vti", made)
    np.testing.assert_array_equal(read_maps(tmp_path / "maps.npz", name="voltage"), ONE)
    np.testing.assert_array_equal(read_maps(tmp_path / "maps.h5", name="/a/voltage"), ONE)
    np.testing.assert_array_equal(read_maps(tmp_path / "maps.vti", name="voltage"), ONE)


@pytest.mark.parametrize(
    ("unit", "options", "voltage"),
    [
        ("mV", {}, 100 * ONE - 85),
        ("V", {}, 0.1 * ONE - 0.085),
        ("mV", {"rest": -80.0, "peak": 40.0}, 120 * ONE - 80),
        ("mV", {"peak": 35.0}, 120 * ONE - 85),
        ("u", {"rest": 200.0, "peak": 300.0}, 100 * ONE + 200),
    ],
)
def test_voltages_are_scaled(tmp_path, unit, options, voltage):
    write_npy(tmp_path / "maps.npy", voltage)
    # Rounding of the voltage to float32: up to 320 * 2^-24 of a range of 100.
    u = read_maps(tmp_path / "maps.npy", unit=unit, **options)
    np.testing.assert_allclose(u, ONE, atol=1e-6)


def test_whole_numbers_of_millivolts(tmp_path):
    write_npy(tmp_path / "maps.npy", np.full((2, 3, 4), -35, np.int16))
    np.testing.assert_allclose(read_maps(tmp_path / "maps.npy", unit="mV"), 0.5)


def test_steps_and_offset_of_igb(tmp_path):
    counts = np.arange(FRAMES * ROWS * COLS, dtype="<i2").reshape(FRAMES, ROWS, COLS)
    write_igb(tmp_path / "vm.igb", counts, type="short", facteur=0.5, zero=-85)
    u = read_maps(tmp_path / "vm.igb", unit="mV")
    np.testing.assert_allclose(u, 0.005 * counts, atol=1e-6)


def truncated(write, cut):
    def save(path):
        write(path)
        path.write_bytes(path.read_bytes()[:-cut])

    return save


def two_sizes(folder):
    folder.mkdir()
    write_vti(folder / "frame_1.vti", image(ONE[:1]))
    write_vti(folder / "frame_2.vti", image(ONE[:1, 1:]))


def two_stacks(folder):
    folder.mkdir()
    write_vti(folder / "a.vti", image(ONE))
    write_vti(folder / "b.vti", image(ONE))


def vector_image(path):
    made = image(ONE)
    array = numpy_to_vtk(np.zeros((ONE.size, 3)), deep=True)
    array.SetName("u")
    made.GetPointData().AddArray(array)
    write_vti(path, made)


REFUSED = {
    "missing npy": ("a.npy", lambda path: None, "No such file"),
    "missing igb": ("a.igb", lambda path: None, "No such file"),
    "missing igb.gz": ("a.igb.gz", lambda path: None, "No such file"),
    "missing hdf5": ("a.h5", lambda path: None, "No such file"),
    "missing vti": ("a.vti", lambda path: None, "No such file"),
    "folder without images": ("a.npy", lambda path: path.mkdir(), "folder without .vti or .vtk"),
    "pattern": ("frame_*.vti", lambda path: None, "matches no file"),
    "suffix": ("a.mat", lambda path: path.write_bytes(b"x"), "unknown suffix .mat; must be one"),
    "no suffix": ("maps", lambda path: path.write_bytes(b"x"), "unknown suffix (none)"),
    "empty": ("a.npy", lambda path: path.write_bytes(b""), "cannot be read"),
    "text": ("a.npy", lambda path: path.write_text("u = 0.5"), "cannot be read"),
    "broken archive": (
        "a.npz",
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)),
        "cannot be read",
    ),
    "truncated npy": ("a.npy", truncated(lambda path: write_npy(path, TWO), 9), "cannot be read"),
    "truncated npz": (
        "a.npz",
        truncated(lambda path: write_npz(path, u=TWO), 300),
        "cannot be read",
    ),
    "pickled": ("a.npy", lambda path: write_npy(path, np.array([{}, {}])), "cannot be read"),
    "two arrays": (
        "a.npz",
        lambda path: write_npz(path, a=ONE, b=ONE),
        "contains the arrays a, b: it must contain an array named u",
    ),
    "no array": ("a.npz", write_npz, "(none)"),
    "records": (
        "a.npy",
        lambda path: write_npy(path, np.zeros(3, dtype=[("u", "f4")])),
        "must be floating-point or whole numbers",
    ),
    "complex": ("a.npy", lambda path: write_npy(path, ONE + 0j), "holds complex64 values"),
    "whole numbers": (
        "a.npy",
        lambda path: write_npy(path, ONE.astype(int)),
        'give the unit, "mV" or "V"',
    ),
    "a number": ("a.npy", lambda path: write_npy(path, np.array(0.5)), "has shape ()"),
    "one map": ("a.npy", lambda path: write_npy(path, ONE[0]), "has shape (4, 5)"),
    "five axes": ("a.npy", lambda path: write_npy(path, TWO[None]), "has shape (1, 2, 3, 4, 5)"),
    "no frame": ("a.h5", lambda path: write_hdf5(path, u=ONE[:0]), "has shape (0, 4, 5)"),
    "short igb": ("a.igb", lambda path: path.write_bytes(b"x:3"), "has 3 bytes"),
    "no igb": ("a.igb", lambda path: path.write_bytes(bytes(2000)), "must give x, y and t"),
    "igb type": ("a.igb", lambda path: write_igb(path, ONE, type="vec3f"), "'vec3f'"),
    "igb byte order": ("a.igb", lambda path: write_igb(path, ONE, systeme=None), "'systeme'"),
    "igb sizes": ("a.igb", lambda path: write_igb(path, ONE, x=0), "must be at least 1"),
    "igb factor": ("a.igb", lambda path: write_igb(path, ONE, facteur="nan"), "numbers finite"),
    "igb layers": ("a.igb", lambda path: write_igb(path, ONE, z=2), "z = 2 layers: must be 1"),
    "igb nodes": (
        "a.igb",
        lambda path: write_igb(path, ONE, x=20, y=1),
        "interpolate the nodes to a raster",
    ),
    "truncated igb": (
        "a.igb",
        truncated(lambda path: write_igb(path, ONE), 4),
        "holds 2 of the 3 frames",
    ),
    "truncated igb.gz": (
        "a.igb.gz",
        truncated(lambda path: write_igb(path, ONE), 20),
        "truncated or damaged",
    ),
    "no gzip": ("a.igb.gz", lambda path: write_npy(path, ONE), "truncated or damaged"),
    "no hdf5": ("a.h5", lambda path: path.write_text("u"), "cannot be read as HDF5"),
    "truncated hdf5": (
        "a.h5",
        truncated(lambda path: write_hdf5(path, u=TWO), 300),
        "cannot be read as HDF5",
    ),
    "text in hdf5": ("a.h5", lambda path: write_hdf5(path, u="text"), "values: maps must be"),
    "two data sets": ("a.h5", lambda path: write_hdf5(path, a=ONE, b__c=ONE), "the arrays a, b/c"),
    "empty vti": ("a.vti", lambda path: path.write_bytes(b""), "cannot be read as a VTK image"),
    "truncated vti": (
        "a.vti",
        truncated(lambda path: write_vti(path, image(ONE)), 60),
        "cannot be read as a VTK image",
    ),
    "half of a vti": (
        "a.vti",
        truncated(lambda path: write_vti(path, image(ONE)), 600),
        "cannot be read as a VTK image",
    ),
    "truncated vtk": (
        "a.vtk",
        truncated(lambda path: write_vtk(path, image(ONE)), 100),
        "cannot be read as a VTK image",
    ),
    "no vtk": ("a.vtk", lambda path: path.write_text("hello"), "cannot be read as a VTK image"),
    "mesh": (
        "a.vtk",
        lambda path: write_vtk(path, vtkPolyData(), vtkPolyDataWriter()),
        "must be ImageData or STRUCTURED_POINTS",
    ),
    "image without arrays": (
        "a.vti",
        lambda path: write_vti(path, vtkImageData()),
        "holds no image",
    ),
    "sheet in the x-z plane": (
        "a.vti",
        lambda path: write_vti(path, image(ONE[:, :1])),
        "maps must lie in the x-y plane",
    ),
    "vectors": ("a.vti", vector_image, "has 3 components: must be 1"),
    "images of two sizes": ("a", two_sizes, "all frames must have the same rows and columns"),
    "several stacks": ("a", two_stacks, "has 3 frames: each of several files must have one"),
}


@pytest.mark.parametrize(("file", "save", "reason"), REFUSED.values(), ids=REFUSED)
def test_bad_files_are_refused_in_one_line(tmp_path, capfd, file, save, reason):
    path = tmp_path / file
    save(path)
    with pytest.raises(MapsError, match=re.escape(reason)) as caught:
        read_maps(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert ";" in message  # precedes the remedy
    assert capfd.readouterr().err == ""  # VTK would print its own errors


def test_a_name_that_does_not_exist(tmp_path):
    write_npz(tmp_path / "maps.npz", u=ONE)
    with pytest.raises(MapsError, match="has no array v, only u; give name as one of them"):
        read_maps(tmp_path / "maps.npz", name="v")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"unit": "uV"}, "unit = 'uV': must be one of u, mV, V"),
        ({"unit": "mV", "rest": 15.0}, "rest = 15 and peak = 15 (mV): must be finite"),
        ({"unit": "V", "peak": float("nan")}, "peak = nan (V)"),
    ],
)
def test_bad_units(options, reason):
    with pytest.raises(MapsError, match=re.escape(reason)):
        read_maps("maps.npy", **options)


def test_bad_lists(tmp_path):
    with pytest.raises(MapsError, match="must name at least one file"):
        read_maps([])
    with pytest.raises(MapsError, match=r"2 files with the suffixes .npy: only .vti and .vtk"):
        read_maps([tmp_path / "a.npy", tmp_path / "b.npy"])


@pytest.mark.parametrize(
    ("file", "package", "extra"), [("a.h5", "h5py", "hdf5"), ("a.vti", "vtkmodules", "vtk")]
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, file, package, extra):
    (tmp_path / file).write_bytes(b"")
    imported = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MapsError, match=re.escape(f"; install fwdecg[{extra}]")):
        read_maps(tmp_path / file)


@pytest.mark.parametrize("file", ["maps.npy", "maps.npz", "vm.igb", "m.hdf5", "maps.vti"])
def test_maps_larger_than_the_memory_are_refused(tmp_path, monkeypatch, file):
    next(write for name, write in FORMATS.values() if name == file)(tmp_path / file)
    monkeypatch.setattr(map_arrays, "available_memory_bytes", lambda: ONE.nbytes - 1)
    with pytest.raises(MapsError, match="GB are available: the maps must fit; read fewer cases"):
        read_maps(tmp_path / file)
