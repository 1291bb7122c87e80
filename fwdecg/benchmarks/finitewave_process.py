"""A process that steps Finitewave on the sheet of `solver_speed`.

It runs in a separate Python environment that has Finitewave but not fwdecg, and therefore imports
nothing from fwdecg. It prints "ready" after its warm-up. For each line on standard input it then
runs `STEPS` steps and prints how many million cell updates it computed per second.
"""

import sys
import time

import finitewave
import numpy as np

CELLS, SPACING_MM, DT_MS = 400, 0.25, 0.02
STEPS = 40


def main() -> None:
    """Time `STEPS` steps for each line, until standard input ends."""
    rng = np.random.default_rng(0)
    conducts = np.kron(rng.random((CELLS // 8, CELLS // 8)) > 0.2, np.ones((8, 8)))
    tissue = finitewave.CardiacTissue((CELLS + 2, CELLS + 2))
    mesh = np.zeros((CELLS + 2, CELLS + 2), dtype=np.int8)
    mesh[1:-1, 1:-1] = np.where(conducts > 0, 1, 2)
    tissue.mesh = mesh
    tissue.conductivity = np.pad(np.linspace(1.0, 0.3, CELLS)[:, None] * np.ones(CELLS), 1)

    model = finitewave.FentonKarma()
    model.cardiac_tissue = tissue
    model.dt, model.dr, model.prog_bar = DT_MS, SPACING_MM, False
    stimulus = finitewave.StimSequence()
    stimulus.add_stim(finitewave.StimVoltageCoord(0, 1, 1, CELLS, 1, 9))
    model.stim_sequence = stimulus
    model.t_max = 20 * DT_MS
    model.run(num_of_threads=1)
    print("ready", flush=True)  # noqa: T201
    for _ in sys.stdin:
        model.t_max = model.t + STEPS * DT_MS
        before = model.step
        started = time.perf_counter()
        model.run(initialize=False, num_of_threads=1)
        seconds_per_step = (time.perf_counter() - started) / (model.step - before)
        print(CELLS**2 / seconds_per_step / 1e6, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
