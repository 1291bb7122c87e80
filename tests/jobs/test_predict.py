"""The job predict with maps of other programs: units, arrays, and one image per frame."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOXML import vtkXMLImageDataWriter

from fwdecg.training.trained_surrogate import predict_maps

pytestmark = pytest.mark.filterwarnings("ignore::fwdecg.errors.FwdEcgWarning")


@pytest.fixture
def checkpoint(trained, tmp_path):
    trained.save(tmp_path / "best.safetensors")
    return tmp_path / "best.safetensors"


def write_frames(folder, u):
    """Write one image per frame."""
    folder.mkdir()
    writer = vtkXMLImageDataWriter()
    for number, frame in enumerate(u):
        image = vtkImageData()
        image.SetDimensions(frame.shape[1], frame.shape[0], 1)
        image.GetPointData().AddArray(array := numpy_to_vtk(frame.ravel(), deep=True))
        array.SetName("u")
        writer.SetFileName(str(folder / f"frame_{number}.vti"))
        writer.SetInputData(image)
        writer.Write()


def test_maps_in_millivolts_and_in_images(run_script, checkpoint, trained, cases, tmp_path):
    u = cases.u[4].astype(np.float32)
    np.savez(tmp_path / "maps.npz", other=u, voltage=120 * u - 80)
    write_frames(tmp_path / "frames", u)
    expected = predict_maps(trained.build(), u[None], 1)[0]
    scale = ["--unit", "mV", "--rest", "-80", "--peak", "40", "--name", "voltage"]
    known = ["--frame-interval-ms", "3", "--map-spacing-mm", "0.5"]
    for source, options in ((tmp_path / "maps.npz", scale), (tmp_path / "frames", [])):
        ecg = tmp_path / f"{source.name}.parquet"
        ended = run_script("predict", checkpoint, source, ecg, *options, *known)
        assert ended.code == 0, ended.err
        found = pq.read_table(ecg)["phi_e"].combine_chunks().to_numpy_ndarray()[0]
        # The scaled voltage is rounded to float32, about 1e-6 of u.
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_an_unknown_unit(run_script, checkpoint, tmp_path):
    ended = run_script("predict", checkpoint, "maps.npy", tmp_path / "ecg.parquet", "--unit", "uV")
    assert ended.code == 2
    assert ended.err == "error: unit = 'uV': must be one of u, mV, V\n"
