"""Data card: the README.md of a library, for a reader who has only the folder."""

from typing import Any

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import FOCAL, PLANAR, REENTRY
from fwdecg.cases.splits import (
    ALL,
    DIFFUSIVITY_SHIFT,
    ELECTRODE_SHIFT,
    PATCH_SIZE_SHIFT,
    STIMULUS_SHIFT,
    shifted_split,
)
from fwdecg.cases.tissue_config import ELLIPSES, RANDOM_FIELD
from fwdecg.library.schema import case_schema
from fwdecg.library.statistics import Statistics

MAX_LISTED_ELECTRODES = 12  # the card summarises longer lists of electrodes


def data_card(config: LibraryConfig, content: dict[str, Any], statistics: Statistics | None) -> str:
    """Return the text of README.md.

    Args:
        config: library configuration.
        content: content of the manifest.
        statistics: statistics of the training split; None if the split is empty.
    """
    tissue, solver, recording = config.tissue, config.solver, config.recording
    parameters = ", ".join(f"{name} {v:g}" for name, v in solver.parameters._asdict().items())
    reference_tissue = "tissue at rest" if solver.plain else "recovering tissue"
    names = [condition.name for condition in CONDITIONS]
    return f"""# Simulated activations of heart tissue with their ECGs

{content["counts"]["ok"][ALL][ALL]} cases in `cases/*.parquet`, one row per case. Any Parquet reader
opens them, for example `pyarrow.parquet.read_table("cases")`.

## Model
Monodomain equation du/dt = div(D grad u) - J_ion + J_stim on a square sheet of
{tissue.size_mm:g} x {tissue.size_mm:g} mm, with no flux across edges and patches. Cell model:
Fenton-Karma {solver.cell_model} ({parameters}; times in ms).
Stimulus: {_pacing(config)}.
ECG: phi_e = sum div(D grad u) dA / |r - r_e| over the solver's cells, in units of u times mm/ms.
Electrodes (x, y, z) in mm from the top-left corner: {_electrodes(config)}.

## Numerics
Cell-centred finite volumes, harmonic mean of D between cells, exact exponential integration of the
gates, float32. Scheme: {solver.scheme}. Each row states the spacing and time step of its case; the
expected error of the conduction velocity in {reference_tissue} is at most
{content["largest_cv_error_estimate"]:.1%}. {recording.frames} frames, one every
{recording.frame_interval_ms:g} ms, the first at t = 0 (rest). Maps are area means on
{recording.map_pixels} x {recording.map_pixels} pixels.
{content["cases_active_at_end"]} cases are still excited in the last frame.

## Conditions
{_variation(config)} drawn from {tissue.healthy_diffusivity_mm2_per_ms} mm^2/ms (healthy,
fibrosis) or {tissue.remodelled_diffusivity_mm2_per_ms} mm^2/ms (gap_junction, combined).
Non-conductive patches are {_patches(config)};
gap_junction cases have none.

## Splits
{_splits(config)}

| status | split | {" | ".join(names)} | all |
|---|---|{"---|" * len(names)}---|
{_counts(content)}

Mean +- standard deviation over the training split (`statistics.json`): {_scale(statistics)}.

## Columns
| column | type | unit | meaning |
|---|---|---|---|
{_columns(config)}

## Provenance
fwdecg {content["code_version"]}, configuration {content["config_hash"]} (in `manifest.json`), seed
{content["seed"]}, {content["cost"]["node_updates"]:.3g} node updates. After Ogbomo-Harmitt et al.,
"Towards Deep Learning Surrogate for the Forward Problem in Electrocardiology", Computing in
Cardiology 2025 (arXiv 2512.13765). Please cite that paper, the version of this software and the
hash of the configuration.
"""


def _electrodes(config: LibraryConfig) -> str:
    positions, grid = config.electrodes_mm, config.recording.electrode_grid
    if len(positions) <= MAX_LISTED_ELECTRODES:
        return str(list(positions))
    order = f", a grid of {grid[0]} x {grid[1]} row by row from the top," if grid else ""
    lowest, highest = (tuple(map(bound, zip(*positions, strict=True))) for bound in (min, max))
    return f"{len(positions)}{order} from\n{lowest} to {highest}; each row lists them"


def _pacing(config: LibraryConfig) -> str:
    first, last = config.pacing.tail_position
    descriptions = {
        PLANAR: "planar, a plane wave from the left edge",
        FOCAL: "focal, at one random site per case",
        REENTRY: (
            "reentry, a plane wave from the left edge, then a stimulus of the lower left quarter\n"
            f"(at `stimulus_s2_start_ms`) when the wave's tail is at {first:g} to {last:g} of that "
            "quarter's\nwidth. Some re-entries end early; see `active_fraction_at_end`"
        ),
    }
    return descriptions[config.pacing.protocol]


def _variation(config: LibraryConfig) -> str:
    tissue = config.tissue
    if tissue.diffusivity_variation == 0:
        return "D is uniform within a case and"
    return (
        f"D varies smoothly within a case, by up to {tissue.diffusivity_variation:.0%} of its bulk "
        "value: D = bulk D times (1 + a g),\nwhere g is a Gaussian random field, mapped to a "
        "uniform distribution from -1 to 1. The correlation of the\nGaussian field falls to 1/e "
        f"over {tissue.diffusivity_variation_length_mm:g} mm. The bulk D is"
    )


def _patches(config: LibraryConfig) -> str:
    tissue, ellipses = config.tissue, config.tissue.ellipses
    if tissue.texture == RANDOM_FIELD:
        return (
            "thresholded Gaussian random fields, of mean size\n"
            f"{tissue.small_patch_size_mm} mm over a fraction {tissue.small_patch_fraction} of the "
            f"area (healthy)\nor {tissue.large_patch_size_mm} mm over "
            f"{tissue.large_patch_fraction} (fibrosis, combined)"
        )
    return (
        f"{ellipses.number} ellipses at random places, with a longer\nhalf-axis of "
        f"{ellipses.small_half_axis_mm} mm (healthy) or {ellipses.large_half_axis_mm} mm "
        f"(fibrosis, combined), an\naspect of {ellipses.aspect} and an angle of "
        f"{ellipses.angle_deg} degrees"
    )


def _splits(config: LibraryConfig) -> str:
    tissue, recording = config.tissue, config.recording
    patch_size = (
        f"the longer half-axis of large patches is {tissue.ellipses.shifted_half_axis_mm} mm"
        if tissue.texture == ELLIPSES
        else f"the mean size of large patches is {tissue.shifted_patch_size_mm} mm"
    )
    descriptions = {
        DIFFUSIVITY_SHIFT: f"D is drawn from {tissue.shifted_diffusivity_mm2_per_ms} mm^2/ms",
        PATCH_SIZE_SHIFT: patch_size,
        STIMULUS_SHIFT: "the plane wave starts from the top edge",
        ELECTRODE_SHIFT: (
            f"each electrode is displaced by {recording.electrode_shift_mm} mm (x, y, z)"
        ),
    }
    lines = [
        "Of every condition, 80 % of the cases are training, 10 % validation and 10 % test cases."
    ]
    if config.shifts:
        lines.append("Additional test splits lie outside the training distribution:")
    lines += [f"- `{shifted_split(shift)}`: {descriptions[shift]}" for shift in config.shifts]
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
    means, deviations = statistics.phi_e_mean, statistics.phi_e_spread
    if len(means) > MAX_LISTED_ELECTRODES:
        return (
            f"{u}; phi_e of {len(means)} electrodes, means\nfrom {min(means):.4g} to "
            f"{max(means):.4g}, standard deviations from {min(deviations):.4g} to "
            f"{max(deviations):.4g}"
        )
    pairs = zip(means, deviations, strict=True)
    return f"{u}; phi_e " + ", ".join(f"{mean:.4g} +- {deviation:.4g}" for mean, deviation in pairs)


def _columns(config: LibraryConfig) -> str:
    return "\n".join(
        f"| `{field.name}` | {field.type} | {field.metadata[b'unit'].decode()} "
        f"| {field.metadata[b'meaning'].decode()} |"
        for field in case_schema(config)
    )
