from dataclasses import replace

import pytest

from fwdecg.cost import Cost
from fwdecg.library.card import data_card
from fwdecg.library.config import LibraryConfig, PacingConfig, TissueConfig
from fwdecg.library.layout import Part
from fwdecg.library.manifest import manifest
from fwdecg.library.part import PartRecord
from fwdecg.library.statistics import Moments, PartMoments

PLAIN = LibraryConfig(cases=1)


def card(config):
    record = PartRecord(
        part=Part(0, 1),
        case_ids=(0,),
        sha256="0",
        size_bytes=1,
        moments=PartMoments(u=Moments(), phi_e=(Moments(),)),
        largest_cv_error=0.02,
        active_at_end=0,
        redraws=0,
        node_updates=1,
    )
    return data_card(config, manifest(config, [record], cost=Cost()), None)


@pytest.mark.parametrize(
    ("change", "says", "else_says"),
    [
        (
            {"pacing": PacingConfig(protocol="reentry", tail_position=(0.3, 0.4))},
            "when the wave's tail is at 0.3 to 0.4 of that",
            "Stimulus: planar, a plane wave from the left edge.",
        ),
        (
            {"pacing": PacingConfig(protocol="focal")},
            "Stimulus: focal, at one random site a case.",
            "Stimulus: planar, a plane wave from the left edge.",
        ),
        (
            {
                "tissue": TissueConfig(
                    diffusivity_variation=0.25, diffusivity_variation_length_mm=7.0
                )
            },
            "D varies smoothly in a case, by up to 25% of its bulk value",
            "D is uniform in a case, drawn from",
        ),
        (
            {"shifts": ("stimulus",)},
            "- `test_stimulus` the plane wave starts from the top edge",
            "10 % each for validation and testing.\n\n|",
        ),
    ],
)
def test_the_card_tells_what_is_switched_on(change, says, else_says):
    with_it, without = card(replace(PLAIN, **change)), card(PLAIN)
    assert says in with_it
    assert says not in without
    assert else_says in without
    assert else_says not in with_it
