"""The data card: a library described for a reader who has nothing but the folder."""

from typing import Any

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.splits import (
    ALL,
    DIFFUSIVITY_SHIFT,
    ELECTRODE_SHIFT,
    PATCH_SIZE_SHIFT,
    STIMULUS_SHIFT,
    shifted_split,
)
from fwdecg.library.schema import case_schema
from fwdecg.library.statistics import Statistics

LISTED = 12  # more electrodes than these are told by their number and range


def data_card(config: LibraryConfig, content: dict[str, Any], statistics: Statistics | None) -> str:
    """The README.md of a library.

    Args:
        config: of the library.
        content: of its manifest.
        statistics: of its training split, if that has any case.
    """
    tissue, solver, recording = config.tissue, config.solver, config.recording
    names = [condition.name for condition in CONDITIONS]
    return f"""# Simulated heart-tissue activations with their ECGs

{content["counts"]["ok"][ALL][ALL]} cases in `cases/*.parquet`, one row each. Open them with any
Parquet reader, e.g. `pyarrow.parquet.read_table("cases")`.

## Model
Monodomain equation du/dt = div(D grad u) - J_ion + J_stim on a square sheet of
{tissue.size_mm:g} x {tissue.size_mm:g} mm, no flux at edges and patches; Fenton-Karma cell
model {solver.cell_model} ({_parameters(config)}; times in ms).
Stimulus: {_pacing(config)}.
ECG: phi_e = sum div(D grad u) dA / |r - r_e| over the solver's own cells, in units of u times
mm/ms, electrodes (x, y, z) in mm from the top-left corner: {_electrodes(config)}.

## Numerics
Cell-centred finite volumes, harmonic diffusivity between cells, exact exponential gates, float32;
scheme: {solver.scheme}. Spacing and step of each case stand in its row; expected error of
conduction velocity, in {_where(config)}: up to {content["largest_cv_error_estimate"]:.1%}.
{recording.frames} frames, one every {recording.frame_interval_ms:g} ms, the first at t = 0 (rest);
maps are area means on {recording.map_pixels} x {recording.map_pixels} pixels.
{content["cases_active_at_end"]} cases are still excited in the last frame.

## Conditions
{_variation(config)}, drawn from {tissue.healthy_diffusivity_mm2_per_ms} mm^2/ms (healthy,
fibrosis) or {tissue.remodelled_diffusivity_mm2_per_ms} mm^2/ms (gap_junction, combined).
Patches that do not conduct: thresholded Gaussian random fields, mean size
{tissue.small_patch_size_mm} mm over {tissue.small_patch_fraction} of the area (healthy) or
{tissue.large_patch_size_mm} mm over {tissue.large_patch_fraction} (fibrosis, combined); none in
gap_junction.

## Splits
{_splits(config)}

| status | split | {" | ".join(names)} | all |
|---|---|{"---|" * len(names)}---|
{_counts(content)}

Mean and spread over the training split (`statistics.json`): {_scale(statistics)}.

## Columns
| column | type | unit | meaning |
|---|---|---|---|
{_columns(config)}

## Provenance
fwdecg {content["code_version"]}, configuration {content["config_hash"]} (in `manifest.json`), seed
{content["seed"]}, {content["cost"]["node_updates"]:.3g} node updates. After Ogbomo-Harmitt et al.,
"Towards Deep Learning Surrogate for the Forward Problem in Electrocardiology", Computing in
Cardiology 2025 (arXiv 2512.13765); cite it, this software's version and the configuration's hash.
"""


def _parameters(config: LibraryConfig) -> str:
    return ", ".join(f"{k} {v:g}" for k, v in config.solver.parameters._asdict().items())


def _electrodes(config: LibraryConfig) -> str:
    positions, grid = config.electrodes_mm, config.recording.electrode_grid
    if len(positions) <= LISTED:
        return str(list(positions))
    order = f", {grid[0]} x {grid[1]} row by row from the top," if grid else ""
    lowest, highest = (tuple(map(bound, zip(*positions, strict=True))) for bound in (min, max))
    return f"{len(positions)}{order} from\n{lowest} to {highest}; listed in each case's row"


def _where(config: LibraryConfig) -> str:
    """The tissue that the expected error of the conduction velocity holds in, see `resolution`."""
    return "tissue at rest" if config.solver.plain else "recovering tissue"


def _pacing(config: LibraryConfig) -> str:
    first, last = config.pacing.tail_position
    words = {
        "planar": "planar, a plane wave from the left edge",
        "focal": "focal, at one random site a case",
        "reentry": (
            "reentry, a plane wave from the left edge, then the lower left quarter (column\n"
            f"`stimulus_s2_start_ms`) when the wave's tail is at {first:g} to {last:g} of that "
            "quarter's\nwidth. Not every re-entry lasts: see `active_fraction_at_end`"
        ),
    }
    return words[config.pacing.protocol]


def _variation(config: LibraryConfig) -> str:
    tissue = config.tissue
    if tissue.diffusivity_variation == 0:
        return "D is uniform in a case"
    return (
        f"D varies smoothly in a case, by up to {tissue.diffusivity_variation:.0%} of its bulk "
        "value: it is that times 1 + a g,\nwith g a Gaussian random field whose correlation falls "
        f"to 1/e over {tissue.diffusivity_variation_length_mm:g} mm, squashed to values\nspread "
        "evenly from -1 to 1. The bulk value is"
    )


def _splits(config: LibraryConfig) -> str:
    tissue, recording = config.tissue, config.recording
    words = {
        DIFFUSIVITY_SHIFT: (
            f"D is drawn from {tissue.shifted_diffusivity_mm2_per_ms} mm^2/ms instead"
        ),
        PATCH_SIZE_SHIFT: (
            f"the mean size of large patches is {tissue.shifted_patch_size_mm} mm instead"
        ),
        STIMULUS_SHIFT: "the plane wave starts from the top edge",
        ELECTRODE_SHIFT: (
            f"each electrode is displaced by {recording.electrode_shift_mm} mm (x, y, z)"
        ),
    }
    regular = "Of every condition 80 % of the cases are for training, 10 % each for validation and "
    lines = [f"{regular}testing."]
    if config.shifts:
        lines.append("Beside them, test splits of cases unlike those of training; in")
    lines += [f"- `{shifted_split(shift)}` {words[shift]}" for shift in config.shifts]
    return "\n".join(lines)


def _counts(content: dict[str, Any]) -> str:
    return "\n".join(
        f"| {status} | {split} | " + " | ".join(str(number) for number in row.values()) + " |"
        for status, splits in content["counts"].items()
        for split, row in splits.items()
    )


def _scale(statistics: Statistics | None) -> str:
    if statistics is None:
        return "no training case"
    u = f"u {statistics.u_mean:.4g} +- {statistics.u_spread:.4g}"
    means, spreads = statistics.phi_e_mean, statistics.phi_e_spread
    if len(means) > LISTED:
        return (
            f"{u}; phi_e of {len(means)} electrodes, means\nfrom {min(means):.4g} to "
            f"{max(means):.4g}, spreads from {min(spreads):.4g} to {max(spreads):.4g}"
        )
    pairs = zip(means, spreads, strict=True)
    return f"{u}; phi_e " + ", ".join(f"{mean:.4g} +- {spread:.4g}" for mean, spread in pairs)


def _columns(config: LibraryConfig) -> str:
    return "\n".join(
        f"| `{field.name}` | {field.type} | {field.metadata[b'unit'].decode()} "
        f"| {field.metadata[b'meaning'].decode()} |"
        for field in case_schema(config)
    )
