from types import SimpleNamespace

import numpy as np

from fwdecg.pictures.search_figures import STYLES, plot_cost, plot_curves, plot_parameters
from fwdecg.tuning.search_space import read_space
from fwdecg.tuning.trials import OUTCOMES, UNFINISHED


def trial(number, status, r2, **settings):
    return SimpleNamespace(
        number=number,
        status=status,
        r2=r2,
        settings=settings,
        parameters=1000 * (number + 1),
        seconds_per_epoch=2.0 - number,
    )


SIZE, RATE = "model.hidden_size", "training.learning_rate"
TRIALS = [
    trial(0, "stopped", [0.1, 0.3], **{SIZE: 8, RATE: 1e-3}),
    trial(1, "finished", [0.2, 0.5, 0.9], **{SIZE: 4, RATE: 0.1}),
]
SPACE = read_space({SIZE: {"choice": [4, 8]}, RATE: {"loguniform": [1e-3, 0.1]}})


def marks(ax):
    """Positions of all single points of a panel, without the empty ones of its legend."""
    lines = (line.get_xydata() for line in ax.get_lines())
    return [tuple(points[0]) for points in lines if len(points) == 1]


def test_every_status_has_a_style():
    assert set(STYLES) == {*OUTCOMES, UNFINISHED}


def test_a_curve_has_a_mark_at_the_last_epoch():
    (ax,) = plot_curves(TRIALS, TRIALS[1], epochs=3).axes
    assert marks(ax) == [(2, 0.3), (3, 0.9)]


def test_a_trial_is_marked_at_its_setting_in_each_panel():
    importance = {SIZE: 0.25, RATE: None}
    choices, rates = plot_parameters(TRIALS, TRIALS[1], SPACE, importance).axes
    assert marks(choices) == [(1, 0.3), (0, 0.9)]
    assert marks(rates) == [(1e-3, 0.3), (0.1, 0.9)]
    assert rates.get_xscale() == "log"
    assert choices.get_title() == "hidden_size: importance 0.25"
    assert rates.get_title() == "learning_rate: too few trials"


def test_the_pareto_front_is_a_step_through_its_trials():
    fronts = {"parameters": TRIALS, "seconds_per_epoch": TRIALS[1:]}
    by_size, _ = plot_cost(TRIALS, TRIALS[1], fronts).axes
    (front,) = (line for line in by_size.get_lines() if line.get_drawstyle() == "steps-post")
    np.testing.assert_array_equal(front.get_xydata(), [(1000, 0.3), (2000, 0.9)])
