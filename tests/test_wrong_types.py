"""Values of another type end in one line for users, too, whose annotations nobody checks."""

import subprocess
import sys

CALLS = """
import numpy as np
import fwdecg
from fwdecg import Stimulus, Tissue, ecg, pacing_train, s1_s2, simulate, simulate_tissue

strip, maps = Stimulus.strip("left"), np.zeros((2, 3, 4))
sheet = {"diffusivity_mm2_per_ms": 0.1, "spacing_mm": 0.5, "shape": (4, 4)}
field = {"spacing_mm": 0.5, "diffusivity_mm2_per_ms": 0.1, "electrodes_mm": [[1, 1, 5]]}
tissue = Tissue(**sheet)
FK = tuple(fwdecg.PARAMETER_SETS["FK-CAF"])

def own(sheet=tissue, stimuli=strip, **changed):
    valid = {"electrodes_mm": [[1, 1, 5]], "duration_ms": 10}
    return simulate_tissue(sheet, stimuli, **(valid | changed))

case = own(cv_error=0.2, map_spacing_mm=np.float32(1), frame_interval_ms=np.float32(0.1))
assert case.u.shape == (100, 2, 2)
network = fwdecg.load_surrogate()
calls = {
    "spacing_mm holds <U1 values": lambda: Tissue(**(sheet | {"spacing_mm": "1"})),
    "spacing_mm has shape (1,)": lambda: Tissue(**(sheet | {"spacing_mm": [1]})),
    "shape = 3: must be two whole": lambda: Tissue(**(sheet | {"shape": 3})),
    "shape = (2.5, 3): must be two": lambda: Tissue(**(sheet | {"shape": (2.5, 3)})),
    "shape = (2, 3, 4): must be two": lambda: Tissue(**(sheet | {"shape": (2, 3, 4)})),
    "x_mm holds <U1 values": lambda: Stimulus.disc(x_mm="1", y_mm=1, radius_mm=1),
    "start_ms holds object values": lambda: Stimulus.strip("left", start_ms=None),
    "cycle_lengths_ms = 200": lambda: pacing_train(strip, 200),
    "s1_count = 1.5": lambda: s1_s2(strip, s1_ms=300, s1_count=1.5, s2_ms=200),
    "threshold holds <U1 values": lambda: fwdecg.scar_mask(maps[0], threshold="1"),
    "spacing_mm holds object": lambda: ecg(maps, **(field | {"spacing_mm": None})),
    "thickness_mm has shape (2,)": lambda: ecg(maps, **field, unit="mV", thickness_mm=[1, 2]),
    "tissue is a ndarray": lambda: own(maps[0]),
    "stimuli holds None": lambda: own(stimuli=None),
    "stimuli holds 'left'": lambda: own(stimuli=["left"]),
    "stimuli holds (Stimulus": lambda: own(stimuli=[pacing_train(strip, [20])]),
    "duration_ms holds object values": lambda: own(duration_ms=None),
    "frame_interval_ms holds <U1 values": lambda: own(frame_interval_ms="5"),
    "map_spacing_mm has shape (2,)": lambda: own(map_spacing_mm=[1, 1]),
    "cv_error holds object values": lambda: own(cv_error=None),
    "solver_spacing_mm holds <U1 values": lambda: own(solver_spacing_mm="1"),
    "cell_model = (0.125": lambda: own(cell_model=FK),
    "electrode = 0.0": lambda: fwdecg.contribution_map(case, 0.0, 5),
    "time_ms holds <U1 values": lambda: fwdecg.contribution_map(case, 0, "5"),
    "electrode = '0'": lambda: fwdecg.plot_case(case, electrode="0"),
    "map_spacing_mm holds <U1": lambda: network.predict(maps, map_spacing_mm="2"),
    "frame_interval_ms has shape (1,)": lambda: network.predict(maps, frame_interval_ms=[5]),
    "5: must be the name of a key": lambda: simulate(settings={5: 20}),
    "{'a': 1}: must be text": lambda: simulate(settings=[{"a": 1}]),
    "number = 1.5": lambda: simulate(number=1.5),
}
for text, call in calls.items():
    try:
        call()
    except fwdecg.FwdEcgError as error:
        assert text in str(error) and "\\n" not in str(error), (text, str(error))
    else:
        raise AssertionError(text)
small = {"library.recording.duration_ms": 20, "library.solver.cv_error": 0.2}
small["library.recording.least_activated_fraction"] = 0
first, second = (simulate(number=number, settings=small) for number in (2, np.int64(2)))
assert first.case_id == second.case_id
"""


def test_values_of_another_type_are_rejected_in_one_line():
    done = subprocess.run(
        [sys.executable, "-c", CALLS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
