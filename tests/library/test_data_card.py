from dataclasses import replace

import numpy as np
import pytest

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.splits import SHIFTS
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.library.data_card import data_card
from fwdecg.library.manifest import manifest
from fwdecg.library.part import PartRecord
from fwdecg.library.paths import Part
from fwdecg.library.statistics import Statistics
from fwdecg.runtime.cost import Cost

PLAIN = LibraryConfig(cases=1)
FEW = ((1.0, 2.0, 30.0), (4.0, 5.0, 60.0))


def card(config, statistics=None):
    moments = np.zeros((3, 2))
    record = PartRecord(part=Part(0, 1), case_ids=(0,), moments=moments, largest_cv_error=0.02)
    return data_card(config, manifest(config, [record], cost=Cost()), statistics)


@pytest.mark.parametrize(
    ("change", "expected", "expected_otherwise"),
    [
        (
            {"pacing": PacingConfig(protocol="reentry", tail_position=(0.3, 0.4))},
            "when the wave's tail is at 0.3 to 0.4 of that",
            "Stimulus: planar, a plane wave from the left edge.",
        ),
        (
            {"pacing": PacingConfig(protocol="focal")},
            "Stimulus: focal, at one random site per case.",
            "Stimulus: planar, a plane wave from the left edge.",
        ),
        (
            {
                "tissue": TissueConfig(
                    diffusivity_variation=0.25, diffusivity_variation_length_mm=7.0
                )
            },
            "D varies smoothly within a case, by up to 25% of its bulk value",
            "D is uniform within a case and drawn from",
        ),
        (
            {"tissue": TissueConfig(texture="ellipses")},
            "patches are (5, 15) ellipses at random places, with a longer\nhalf-axis of (0.5, 2.0)",
            "patches are thresholded Gaussian random fields, of mean size\n(1.0, 3.0) mm over",
        ),
        (
            {"shifts": ("stimulus",)},
            "- `test_stimulus`: the plane wave starts from the top edge",
            "10 % validation and 10 % test cases.\n\n|",
        ),
        (
            {"solver": SolverConfig(scheme="plain")},
            "conduction velocity in tissue at rest is at most\n2.0%",
            "conduction velocity in recovering tissue is at most\n2.0%",
        ),
    ],
)
def test_the_card_describes_enabled_options(change, expected, expected_otherwise):
    enabled, default = card(replace(PLAIN, **change)), card(PLAIN)
    assert expected in enabled
    assert expected not in default
    assert expected_otherwise in default
    assert expected_otherwise not in enabled


def test_every_shift_is_described():
    text = card(replace(PLAIN, shifts=SHIFTS))
    for words in (
        "- `test_diffusivity`: D is drawn from (0.11, 0.15) mm^2/ms\n",
        "- `test_patch_size`: the mean size of large patches is (18.0, 25.0) mm\n",
        "- `test_electrode`: each electrode is displaced by (15.0, 15.0, 0.0) mm (x, y, z)\n",
        "| ok | test_stimulus | ",
    ):
        assert words in text


def statistics_of(electrodes):
    scale = tuple(1.0 + electrode for electrode in range(electrodes))
    return Statistics(cases=3, u_mean=0.25, u_spread=0.5, phi_e_mean=scale, phi_e_spread=scale)


def test_few_electrodes_are_listed():
    text = card(replace(PLAIN, recording=RecordingConfig(electrodes_mm=FEW)), statistics_of(2))
    assert f"corner: {list(FEW)}." in text
    assert "phi_e 1 +- 1, 2 +- 2." in text


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (
            RecordingConfig(electrode_grid=(20, 50)),
            "corner: 1000, a grid of 20 x 50 row by row from the top, from\n"
            "(1.0, 2.5, 40.0) to (99.0, 97.5, 40.0); each row lists them.",
        ),
        (
            RecordingConfig(electrodes_mm=FEW * 500),
            "corner: 1000 from\n(1.0, 2.0, 30.0) to (4.0, 5.0, 60.0); each row lists them.",
        ),
    ],
)
def test_many_electrodes_are_summarised(recording, expected):
    text = card(replace(PLAIN, recording=recording), statistics_of(1000))
    assert expected in text
    assert (
        "phi_e of 1000 electrodes, means\nfrom 1 to 1000, standard deviations from 1 to 1000."
        in text
    )
    assert max(map(len, text.splitlines())) < 200
