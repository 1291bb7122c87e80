"""The manifest and the data card: what a library holds, how it was made, how to check it."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fwdecg.config import identity_hash, identity_tree
from fwdecg.library.conditions import CONDITIONS, condition_of
from fwdecg.library.config import LibraryConfig
from fwdecg.library.layout import CARD, MANIFEST, STATISTICS
from fwdecg.library.part import PartRecord
from fwdecg.library.schema import SCHEMA_VERSION, case_schema
from fwdecg.library.splits import SPLITS, TRAIN, split_of
from fwdecg.library.statistics import Statistics, combine
from fwdecg.storage import METRICS, Store

ALL = "all"
CONDITION_NAMES = tuple(condition.name for condition in CONDITIONS)


def manifest(
    config: LibraryConfig, records: Sequence[PartRecord], *, core_seconds: float
) -> dict[str, Any]:
    """The content of manifest.json.

    Args:
        config: of the library.
        records: all its parts, by first case.
        core_seconds: processor time of the simulations of this run (an interrupted build's earlier
            runs do not count).
    """
    case_ids = [case_id for record in records for case_id in record.case_ids]
    quarantined = [case_id for record in records for case_id in record.quarantined]
    return {
        "schema_version": SCHEMA_VERSION,
        "config": identity_tree(config),
        "config_hash": identity_hash(config),
        "code_version": version("fwdecg"),
        "seed": config.seed,
        "cases": config.cases,
        "counts": counts(case_ids, quarantined),
        "quarantined": quarantined,
        "redraws": sum(record.redraws for record in records),
        "largest_cv_error_estimate": max(record.largest_cv_error for record in records),
        "cases_active_at_end": sum(record.active_at_end for record in records),
        "parts": [
            {
                "file": record.part.file,
                "cases": len(record.case_ids),
                "bytes": record.size_bytes,
                "sha256": record.sha256,
            }
            for record in records
            if record.case_ids
        ],
        "cost": {
            "node_updates": sum(record.node_updates for record in records),
            "core_seconds_of_last_run": round(core_seconds, 1),
        },
    }


def publish_descriptions(
    config: LibraryConfig, store: Store, records: Sequence[PartRecord], *, core_seconds: float
) -> dict[str, Any]:
    """Write statistics, data card and, last, the manifest, which makes the library readable."""
    content = manifest(config, records, core_seconds=core_seconds)
    training = content["counts"]["ok"][TRAIN][ALL]
    statistics = combine((record.moments for record in records), cases=training)
    if statistics is not None:
        store.publish_json(STATISTICS, statistics.as_dict())
    store.publish(CARD, data_card(config, content, statistics))
    store.publish_json(METRICS, _main_figures(content))
    store.publish_json(MANIFEST, content)
    return content


def _main_figures(content: dict[str, Any]) -> dict[str, Any]:
    names = ("config_hash", "cases", "largest_cv_error_estimate", "cases_active_at_end", "redraws")
    figures = {name: content[name] for name in names}
    return figures | {"quarantined": len(content["quarantined"])} | content["cost"]


def counts(case_ids: Sequence[int], quarantined: Sequence[int]) -> dict[str, Any]:
    """Cases by status, split and condition; "all" splits, "all" conditions."""
    return {"ok": _by_split(case_ids), "quarantined": _by_split(quarantined)}


def _by_split(case_ids: Sequence[int]) -> dict[str, dict[str, int]]:
    numbers = {}
    for split in (*SPLITS, ALL):
        names = [condition_of(case).name for case in case_ids if split in (split_of(case), ALL)]
        numbers[split] = {name: names.count(name) for name in CONDITION_NAMES} | {ALL: len(names)}
    return numbers


def data_card(config: LibraryConfig, content: dict[str, Any], statistics: Statistics | None) -> str:
    """The README.md of a library: for a reader who has nothing but the folder."""
    tissue, solver, recording = config.tissue, config.solver, config.recording
    parameters = ", ".join(f"{k} {v:g}" for k, v in solver.parameters._asdict().items())
    numbers = "\n".join(
        f"| {status} | {split} | " + " | ".join(str(number) for number in row.values()) + " |"
        for status, splits in content["counts"].items()
        for split, row in splits.items()
    )
    columns = "\n".join(
        f"| `{field.name}` | {field.type} | {field.metadata[b'unit'].decode()} "
        f"| {field.metadata[b'meaning'].decode()} |"
        for field in case_schema(recording)
    )
    scale = (
        "no training case"
        if statistics is None
        else (
            f"u {statistics.u_mean:.4g} +- {statistics.u_spread:.4g}; phi_e "
            + ", ".join(
                f"{mean:.4g} +- {spread:.4g}"
                for mean, spread in zip(statistics.phi_e_mean, statistics.phi_e_spread, strict=True)
            )
        )
    )
    return f"""# Simulated heart-tissue activations with their ECGs

{content["counts"]["ok"][ALL][ALL]} cases in `cases/*.parquet`, one row each. Open them with any
Parquet reader, e.g. `pyarrow.parquet.read_table("cases")`.

## Model
Monodomain equation du/dt = div(D grad u) - J_ion + J_stim on a square sheet of
{tissue.size_mm:g} x {tissue.size_mm:g} mm, no flux at edges and patches; Fenton-Karma cell
model {solver.cell_model} ({parameters}; times in ms). Stimulus: {config.pacing.protocol}.
ECG: phi_e = sum div(D grad u) dA / |r - r_e| over the solver's own cells, in units of u times
mm/ms, electrodes (x, y, z) in mm from the top-left corner: {list(recording.electrodes_mm)}.

## Numerics
Cell-centred finite volumes, harmonic diffusivity between cells, exact exponential gates, float32;
scheme: {solver.scheme}. Spacing and step of each case stand in its row; expected error of
conduction velocity, in recovering tissue: up to {content["largest_cv_error_estimate"]:.1%}.
{recording.frames} frames, one every {recording.frame_interval_ms:g} ms, the first at t = 0 (rest);
maps are area means on {recording.map_pixels} x {recording.map_pixels} pixels.
{content["cases_active_at_end"]} cases are still excited in the last frame.

## Conditions
D is uniform in a case, drawn from {tissue.healthy_diffusivity_mm2_per_ms} mm^2/ms (healthy,
fibrosis) or {tissue.remodelled_diffusivity_mm2_per_ms} mm^2/ms (gap_junction, combined).
Patches that do not conduct: thresholded Gaussian random fields, mean size
{tissue.small_patch_size_mm} mm over {tissue.small_patch_fraction} of the area (healthy) or
{tissue.large_patch_size_mm} mm over {tissue.large_patch_fraction} (fibrosis, combined); none in
gap_junction.

| status | split | {" | ".join(CONDITION_NAMES)} | all |
|---|---|{"---|" * len(CONDITION_NAMES)}---|
{numbers}

Mean and spread over the training split (`statistics.json`): {scale}.

## Columns
| column | type | unit | meaning |
|---|---|---|---|
{columns}

## Provenance
fwdecg {content["code_version"]}, configuration {content["config_hash"]} (in `manifest.json`), seed
{content["seed"]}, {content["cost"]["node_updates"]:.3g} node updates. After Ogbomo-Harmitt et al.,
"Towards Deep Learning Surrogate for the Forward Problem in Electrocardiology", Computing in
Cardiology 2025 (arXiv 2512.13765); cite it, this software's version and the configuration's hash.
"""
