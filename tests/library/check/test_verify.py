"""A sound library has no fault; each kind of damage is named, and nothing else is touched."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fwdecg.cases.conditions import CONDITIONS, condition_of
from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.pacing import PacingConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.errors import CaseError, ConfigError, LibraryError
from fwdecg.library.build_plan import plan_parts
from fwdecg.library.check.fault import Check
from fwdecg.library.check.limits import case_bytes, lead_bytes, sheet_size
from fwdecg.library.check.verify import check_library
from fwdecg.library.manifest import publish_descriptions
from fwdecg.library.part import build_part
from fwdecg.library.reader import open_library
from fwdecg.library.schema import tensor_column
from fwdecg.physics.pseudo_ecg import lead_fields
from fwdecg.runtime.cost import Cost
from fwdecg.runtime.storage import Store

FIRST, SECOND = "cases/cases-000000-000004.parquet", "cases/cases-000004-000008.parquet"
LAST = "cases/cases-000008-000010.parquet"
SHIFTED = "cases/cases-000050-000060.parquet"  # case 50 is the first that is shifted


def built(config, root, simulate=simulate_case):
    store = Store.at(root)
    records = [build_part(config, store, part, simulate) for part in plan_parts(config, [])]
    publish_descriptions(config, store, records, cost=Cost())
    return open_library(store)


@pytest.fixture(scope="session")
def varied_library(small_config, tmp_path_factory):
    """D varies, and six electrodes stand in a grid."""
    tissue = replace(
        small_config.tissue,
        remodelled_diffusivity_mm2_per_ms=(0.05, 0.09),
        diffusivity_variation=0.5,
        diffusivity_variation_length_mm=2.0,
    )
    recording = replace(small_config.recording, electrode_grid=(2, 3), electrode_grid_height_mm=5.0)
    config = replace(small_config, tissue=tissue, recording=recording)
    return built(config, tmp_path_factory.mktemp("varied"))


@pytest.fixture(scope="session")
def reentry_library(tmp_path_factory):
    """Slow conduction, so that a wave fits on a small sheet."""
    slow = (0.01, 0.011)
    config = LibraryConfig(
        cases=4,
        cases_per_part=4,
        tissue=TissueConfig(
            size_mm=16.0,
            healthy_diffusivity_mm2_per_ms=slow,
            remodelled_diffusivity_mm2_per_ms=slow,
            large_patch_size_mm=(2.0, 3.0),
        ),
        pacing=PacingConfig(protocol="reentry"),
        solver=SolverConfig(cv_error=0.1),
        recording=RecordingConfig(
            duration_ms=300.0, map_pixels=8, electrodes_mm=((8.0, 8.0, 6.0),)
        ),
    )
    return built(config, tmp_path_factory.mktemp("reentry"))


@pytest.fixture
def copied(tmp_path, regular_and_shifted_library, varied_library, reentry_library):
    """A copy of a library of some kind, which may be damaged."""
    kinds = {
        "shifted": regular_and_shifted_library[1],
        "varied": varied_library,
        "reentry": reentry_library,
    }
    return lambda kind: shutil.copytree(kinds[kind].store.folder, tmp_path / kind)


@pytest.fixture
def root(small_library, tmp_path):
    shutil.copytree(small_library.store.folder, tmp_path / "library")
    return tmp_path / "library"


def lines(root, sample=0):
    return [fault.line for fault in check_library(root, sample=sample).faults]


def all_bytes(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def edit_json(root, file, edit):
    content = json.loads((root / file).read_text())
    edit(content)
    (root / file).write_text(json.dumps(content))


def seal(root):
    """Let the manifest name the files as they are now, as a forger would."""

    def edit(manifest):
        for entry in manifest["parts"]:
            content = (root / entry["file"]).read_bytes()
            entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    edit_json(root, "manifest.json", edit)


def rewrite(root, file, edit):
    """A part with another table, which the manifest names as if it were the part."""
    table = edit(pq.read_table(root / file))
    pq.write_table(table, root / file, use_dictionary=False)
    seal(root)


def with_column(table, name, values, field=None):
    """A table with another column in the place of one."""
    index = table.schema.names.index(name)
    field = field or table.schema.field(name)
    if isinstance(values, np.ndarray) and values.ndim > 1:
        values = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))
    elif not isinstance(values, pa.Array):
        values = pa.array(values, field.type)
    return table.set_column(index, field, values)


def edit_tensor(root, file, name, edit):
    def change(table):
        values = tensor_column(table, name).copy()
        edit(values)
        return with_column(table, name, values)

    rewrite(root, file, change)


def edit_scalar(root, file, name, row, value):
    def change(table):
        values = table[name].to_pylist()
        values[row] = value
        return with_column(table, name, values)

    rewrite(root, file, change)


def test_a_sound_library_has_no_fault_and_stays_as_it_is(root):
    before = all_bytes(root)
    report = check_library(root, sample=4)
    assert report.faults == ()
    assert set(report.extents) == set(Check)
    assert "equal bit for bit" in report.extents[Check.SIMULATION]
    assert all_bytes(root) == before


def test_a_library_with_quarantined_cases_is_sound(small_config, tmp_path):
    def fail(case, config):
        if case.spec.case_id in (5, 8, 9):
            raise CaseError("u is not finite at t = 5 ms")
        return simulate_case(case, config)

    built(small_config, tmp_path, fail)
    assert lines(tmp_path) == []
    (tmp_path / "quarantine/case-000008.json").unlink()
    assert "case 8: neither in a part nor in quarantine" in "\n".join(lines(tmp_path))


@pytest.mark.parametrize("kind", ["shifted", "varied", "reentry"])
def test_a_sound_library_of_another_kind_has_no_fault(copied, kind):
    report = check_library(copied(kind), sample=4)
    assert report.faults == ()
    assert "equal bit for bit" in report.extents[Check.SIMULATION]


# Damages to files


def flip_a_byte(root):
    content = bytearray((root / FIRST).read_bytes())
    content[len(content) // 2] ^= 1
    (root / FIRST).write_bytes(content)


def truncate(root):
    (root / SECOND).write_bytes((root / SECOND).read_bytes()[:-100])


def truncate_and_seal(root):
    truncate(root)
    seal(root)


def nonsense_and_seal(root):
    (root / SECOND).write_bytes(b"PAR1" + bytes(range(256)) * 20 + b"PAR1")
    seal(root)


def drop_a_part(root):
    (root / SECOND).unlink()


def drop_a_part_from_the_manifest(root):
    drop_a_part(root)
    edit_json(root, "manifest.json", lambda manifest: manifest["parts"].pop(1))


def duplicate_a_part(root):
    shutil.copy(root / FIRST, root / "cases/cases-000010-000014.parquet")


def duplicate_a_part_in_the_manifest(root):
    shutil.copy(root / FIRST, root / "cases/cases-000002-000006.parquet")
    edit_json(
        root,
        "manifest.json",
        lambda manifest: manifest["parts"].append(
            manifest["parts"][0] | {"file": "cases/cases-000002-000006.parquet"}
        ),
    )


def lead_elsewhere(root):
    edit_json(
        root,
        "manifest.json",
        lambda manifest: manifest["parts"][0].update(file="../cases-000000-000004.parquet"),
    )


def quarantine_a_case(root, content='{"case_id": 3, "error": "CaseError"}'):
    (root / "quarantine").mkdir()
    (root / "quarantine/case-000003.json").write_text(content)


def quarantine_wrongly(root):
    quarantine_a_case(root, '{"case_id": 4}')


def put_a_stranger_into_quarantine(root):
    (root / "quarantine").mkdir()
    (root / "quarantine/run.sh").write_text("true")


# Damages to descriptions


def remove_readme(root):
    (root / "README.md").unlink()


def swap_readme(root):
    (root / "README.md").write_text("# Another library\n")


def binary_readme(root):
    (root / "README.md").write_bytes(b"\xff\xfe\xfa")


def remove_manifest(root):
    (root / "manifest.json").unlink()


def remove_statistics(root):
    (root / "statistics.json").unlink()


def deep_statistics(root):
    (root / "statistics.json").write_text("[" * 100_000)


def other_schema_version(root):
    edit_json(root, "manifest.json", lambda manifest: manifest.update(schema_version=99))


def other_seed(root):
    edit_json(root, "manifest.json", lambda manifest: manifest.update(seed=3))


def fewer_keys(root):
    edit_json(root, "manifest.json", lambda manifest: manifest.pop("counts"))


def edit_config(edit):
    def damage(root):
        edit_json(root, "manifest.json", lambda manifest: edit(manifest["config"]))

    return damage


def edit_manifest(**values):
    return lambda root: edit_json(root, "manifest.json", lambda manifest: manifest.update(values))


def edit_statistics(**values):
    return lambda root: edit_json(root, "statistics.json", lambda found: found.update(values))


def shift_mean(root):
    def edit(statistics):
        statistics["u_mean"] *= 1 + 1e-6

    edit_json(root, "statistics.json", edit)


def other_copy_of_the_configuration(root):
    config = json.loads((root / "manifest.json").read_text())["config"]
    (root / "config.json").write_text(json.dumps(config | {"seed": 1}))


# Damages to columns


def extra_column(root):
    rewrite(root, FIRST, lambda table: table.append_column("mood", pa.array(["good"] * 4)))


def drop_column(root):
    rewrite(root, FIRST, lambda table: table.drop_columns(["activated_fraction"]))


def other_type(root):
    def edit(table):
        return with_column(table, "u", tensor_column(table, "u").astype(np.float32), wide)

    wide = pa.field("u", pa.fixed_shape_tensor(pa.float32(), (8, 8, 8)), nullable=False)
    rewrite(root, FIRST, edit)


def other_unit(root):
    def edit(table):
        field = table.schema.field("phi_e").with_metadata({"unit": "mV"})
        return with_column(table, "phi_e", tensor_column(table, "phi_e"), field)

    rewrite(root, FIRST, edit)


def null_split(root):
    def edit(table):
        field = table.schema.field("split").with_nullable(True)
        return with_column(table, "split", [None, *table["split"].to_pylist()[1:]], field)

    rewrite(root, FIRST, edit)


def null_inside_a_tensor(root):
    def edit(table):
        kind = table.schema.field("phi_e").type
        lists = table["phi_e"].combine_chunks().storage.to_pylist()
        lists[1][2] = None
        tensors = pa.ExtensionArray.from_storage(kind, pa.array(lists, kind.storage_type))
        return with_column(table, "phi_e", tensors)

    rewrite(root, FIRST, edit)


def reverse_columns(root):
    rewrite(root, FIRST, lambda table: table.select(table.column_names[::-1]))


# Damages to values


def nan_in_u(root):
    edit_tensor(root, FIRST, "u", lambda u: u.__setitem__((2, 3, 4, 5), np.nan))


def huge_u(root):
    edit_tensor(root, FIRST, "u", lambda u: u.__setitem__((0, 1), 7))


def excited_at_first(root):
    edit_tensor(root, FIRST, "u", lambda u: u.__setitem__((1, 0), 0.5))


def early_ecg(root):
    edit_tensor(root, FIRST, "phi_e", lambda phi_e: phi_e.__setitem__((1, 0, 0), 0.5))


def infinite_phi_e(root):
    edit_tensor(root, LAST, "phi_e", lambda phi_e: phi_e.__setitem__((1, 0, 3), np.inf))


def negative_diffusivity(root):
    edit_tensor(root, FIRST, "diffusivity_mm2_per_ms", lambda d: d.__setitem__((1, 0, 0), -0.1))


def excited_scar(root):
    edit_tensor(root, FIRST, "diffusivity_mm2_per_ms", lambda d: d.__setitem__(1, 0))


def scale_phi_e(root):
    edit_tensor(root, LAST, "phi_e", lambda phi_e: phi_e[0].__imul__(1.05))


def delay_u(root):
    edit_tensor(root, LAST, "u", lambda u: u.__setitem__((0, slice(1, None)), u[0, :-1].copy()))


def move_electrode(root):
    edit_tensor(root, FIRST, "electrodes_mm", lambda place: place.__setitem__((0, 0, 2), 6.0))


def set_scalar(name, row, value, file=FIRST):
    return lambda root: edit_scalar(root, file, name, row, value)


def share_a_texture(root):
    patches = np.where(np.arange(64).reshape(8, 8) % 3 == 0, 0, 0.1)
    for file, row in ((FIRST, 2), (LAST, 1)):
        edit_tensor(
            root, file, "diffusivity_mm2_per_ms", lambda d, row=row: d.__setitem__(row, patches)
        )


def share_a_seed(root):
    edit_scalar(root, LAST, "seed", 1, pq.read_table(root / FIRST)["seed"][2].as_py())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_byte, f"{FIRST}: has SHA-256"),
        (truncate, f"{SECOND}: has"),
        (truncate_and_seal, f"{SECOND}: cannot be read"),
        (nonsense_and_seal, f"{SECOND}: cannot be read"),
        (drop_a_part, f"{SECOND}: is missing; build the library again"),
        (drop_a_part_from_the_manifest, "cases 4 to 7: neither in a part nor in quarantine"),
        (duplicate_a_part, "cases/cases-000010-000014.parquet: is not in manifest.json"),
        (duplicate_a_part_in_the_manifest, "its range of cases overlaps that of"),
        (duplicate_a_part_in_the_manifest, "case 3: stands in 2 rows: must stand in one"),
        (lead_elsewhere, "manifest.json: parts[0] is {'file': '../cases-000000-000004.parquet'"),
        (quarantine_a_case, "case 3: is in quarantine and in a part"),
        (quarantine_wrongly, "case-000003.json: case_id is 4: must be 3, as in its name"),
        (quarantine_wrongly, "case-000003.json: has no error"),
        (put_a_stranger_into_quarantine, "quarantine/run.sh: is no record of a case"),
        (remove_readme, "README.md: cannot be read: README.md is missing"),
        (binary_readme, "README.md: cannot be read: 'utf-8' codec"),
        (swap_readme, "README.md: does not name configuration"),
        (remove_manifest, "manifest.json: cannot be read: manifest.json is missing"),
        (remove_statistics, "statistics.json: cannot be read: statistics.json is missing"),
        (deep_statistics, "statistics.json: cannot be read"),
        (other_schema_version, "manifest.json: schema_version is 99: must be 1"),
        (other_seed, "manifest.json: seed is 3, but config.seed 2025"),
        (fewer_keys, "manifest.json: has no counts"),
        (edit_config(lambda c: c.update(seed=1)), "manifest.json: config_hash is"),
        (edit_config(lambda c: c.update(mood=1)), "config is not valid: unknown key mood"),
        (edit_config(lambda c: c["solver"].pop("scheme")), "config has no solver.scheme"),
        (
            edit_config(lambda c: c["recording"].update(duration_ms=1e300)),
            "by its config a case has 2.7e+301 bytes",
        ),
        (
            edit_config(lambda c: c["recording"].update(duration_ms=1e308, frame_interval_ms=1e-9)),
            "config is not valid: cannot convert float infinity to integer",
        ),
        (edit_config(lambda c: c["tissue"].update(size_mm=2.0)), "its configuration has 0.25"),
        (edit_config(lambda c: c["tissue"].update(size_mm=1e6)), "no case is drawn or simulated"),
        (edit_config(lambda c: c["recording"].update(map_pixels=10**6)), "no case is read"),
        (
            edit_config(lambda c: c["recording"].update(electrode_grid=[10**9, 10**9])),
            "config is not valid: recording.electrode_grid = (1000000000, 1000000000): must be at",
        ),
        (
            edit_config(lambda c: c["recording"].update(duration_ms=1e6, electrode_grid=[99, 99])),
            "by its config a case has 7.9e+09 bytes",
        ),
        (edit_manifest(config=[1]), "config must be a section with keys of its own"),
        (edit_manifest(cases=0), "config is not valid: cases = 0: must be at least 1"),
        (edit_manifest(cases=10**18), "cases 10 to 999999999999999999: neither"),
        (edit_manifest(cases=8), "case 9: the library's ids run from 0 to 7"),
        (edit_manifest(parts="none"), "manifest.json: parts must be a list of files"),
        (edit_manifest(quarantined=[4]), "quarantined is [4], its cases give []"),
        (edit_manifest(redraws=-1), "manifest.json: redraws is -1, its cases give 0"),
        (edit_manifest(counts=None), "manifest.json: counts is None, its cases give"),
        (edit_manifest(cost=3), "manifest.json: cost is 3, its cases give"),
        (edit_statistics(cases=7), "statistics.json: cases is 7: the training cases give 8"),
        (edit_statistics(phi_e_mean=["a"]), "statistics.json: phi_e_mean is ['a']"),
        (shift_mean, "statistics.json: u_mean is"),
        (other_copy_of_the_configuration, "config.json: is unlike manifest.json in seed"),
        (extra_column, f"{FIRST}: has a column mood that no library has"),
        (drop_column, f"{FIRST}: has no column activated_fraction"),
        (other_type, f"{FIRST}: column u is extension"),
        (other_unit, f"{FIRST}: column phi_e has the unit mV: must be mm/ms"),
        (null_split, f"{FIRST}: column split holds nulls, 1 of them"),
        (null_split, f"{FIRST}: column split may hold nulls"),
        (null_inside_a_tensor, f"{FIRST}: column phi_e holds nulls, 1 of them"),
        (reverse_columns, f"{FIRST}: has its columns in another order"),
        (nan_in_u, "case 2: u is not finite in 1 of 512 values"),
        (huge_u, "case 0: u runs from 0 to 7: tissue stays between -0.01 and 1.3"),
        (excited_at_first, "case 1: u is not 0 in the first frame"),
        (early_ecg, "case 1: phi_e is not 0 in the first frame"),
        (infinite_phi_e, "case 9: phi_e is not finite in 1 of 16 values"),
        (negative_diffusivity, "case 1: diffusivity_mm2_per_ms falls to -0.1"),
        (excited_scar, "case 1: u is not 0 in 64 pixels without tissue"),
        (excited_scar, "case 1: diffusivity_mm2_per_ms differs in 64 of 64 pixels from the map"),
        (move_electrode, "case 0: electrodes_mm is"),
        (set_scalar("split", 0, "test"), "split is test: its configuration draws train"),
        (set_scalar("split", 0, "test"), "condition healthy: has 1 cases in split test: the rule"),
        (set_scalar("condition", 0, "a\nb"), r"condition is a\nb: its configuration draws healthy"),
        (set_scalar("seed", 0, 1), "case 0: seed is 1: its configuration draws"),
        (set_scalar("patch_fraction", 2, 0.3), "case 2: patch_fraction is 0.3: its config"),
        (set_scalar("stimulus_x_mm", 1, 2.0), "stimulus_x_mm is 2.0: its configuration draws None"),
        (set_scalar("frame_interval_ms", 1, 4.0), "frame_interval_ms is 4.0: its configuration"),
        (set_scalar("solver_dt_ms", 1, 0.04), "solver_dt_ms is 0.04: its configuration solves"),
        (set_scalar("activated_fraction", 3, 1.1), "activated_fraction is 1.1: must be from 0.1"),
        (set_scalar("activated_fraction", 3, np.nan), "activated_fraction is nan: must be from"),
        (set_scalar("node_updates", 3, 0), "case 3: node_updates is 0: must be from 1 to"),
        (set_scalar("case_id", 1, 9), "case 9: lies outside the range in the part's name"),
        (set_scalar("case_id", 1, -(2**63)), "the library's ids run from 0 to 9"),
        (set_scalar("case_id", 1, 9), "case 1: neither in a part nor in quarantine"),
        (share_a_texture, "case 9: has the non-conducting patches of case 2, but one is in split"),
        (share_a_seed, "case 9: has the seed of case 2, but one is in split test, the other in tr"),
    ],
)
def test_each_damage_is_named(root, damage, message):
    damage(root)
    before = all_bytes(root)
    found = lines(root)
    assert [line for line in found if message in line], "\n".join(found)
    assert all(line.isprintable() for line in found)
    assert all_bytes(root) == before


def conduct_everywhere(root):
    edit_tensor(root, FIRST, "conducting_fraction", lambda share: share.__setitem__(2, 1))


def conduct_twice(root):
    edit_tensor(root, FIRST, "conducting_fraction", lambda share: share.__setitem__((1, 0, 0), 2))


def conduct_nowhere(root):
    edit_tensor(root, FIRST, "conducting_fraction", lambda share: share.__setitem__((1, 0, 0), 0))


def move_back(root):
    """Let the first case of displaced electrodes have those of all others."""
    file = "cases/cases-000060-000070.parquet"
    regular = tensor_column(
        pq.read_table(root / "cases/cases-000000-000010.parquet"), "electrodes_mm"
    )[0]
    edit_tensor(root, file, "electrodes_mm", lambda place: place.__setitem__(5, regular))


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        (
            "shifted",
            set_scalar("split", 0, "train", SHIFTED),
            "case 50: split is train: its configuration draws test_diffusivity",
        ),
        (
            "shifted",
            set_scalar("split", 0, "train", SHIFTED),
            "condition healthy: has 0 cases in split test_diffusivity: the rule gives it 1",
        ),
        (
            "shifted",
            set_scalar("split", 0, "train", SHIFTED),
            "statistics.json: cases is 40: the training cases give 41",
        ),
        ("shifted", move_back, "case 65: electrodes_mm is [[4.0, 4.0, 5.0], [0.0, 0.0, 3.0]]: its"),
        (
            "shifted",
            edit_config(lambda c: c.update(shifts=[])),
            "condition healthy: has 1 cases in split test_stimulus: the rule gives it 0",
        ),
        (
            "varied",
            conduct_everywhere,
            "case 2: conducting_fraction differs in",
        ),
        ("varied", conduct_twice, "case 1: conducting_fraction runs from 1 to 2: must be from 0"),
        ("varied", conduct_nowhere, "disagree on whether 1 pixels conduct"),
        (
            "varied",
            edit_config(lambda c: c["recording"].update(electrode_grid=[2, 2])),
            "column phi_e is extension",
        ),
        (
            "varied",
            edit_config(lambda c: c["tissue"].update(diffusivity_variation=0.0)),
            "has a column conducting_fraction that no library has",
        ),
        (
            "reentry",
            set_scalar("stimulus_s2_start_ms", 1, 90.0, FIRST),
            "case 1: stimulus_s2_start_ms is 90.0: its configuration draws",
        ),
        (
            "reentry",
            set_scalar("stimulus_s2_start_ms", 1, None, FIRST),
            "case 1: stimulus_s2_start_ms is None: its configuration draws",
        ),
    ],
)
def test_damage_to_a_library_of_another_kind_is_named(copied, kind, damage, message):
    root = copied(kind)
    damage(root)
    found = lines(root)
    assert [line for line in found if message in line], "\n".join(found)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (scale_phi_e, "case 8: phi_e has R2 0.99"),
        (delay_u, "case 8: u is up to"),
    ],
)
def test_what_only_a_simulation_tells_is_named(root, damage, message):
    damage(root)
    found = lines(root, sample=10)
    assert [line for line in found if message in line], "\n".join(found)


@pytest.mark.parametrize("limit", ["LARGEST_NODE_UPDATES", "LARGEST_LEAD_BYTES"])
def test_a_simulation_without_end_is_refused_with_the_reason(root, monkeypatch, limit):
    monkeypatch.setattr(f"fwdecg.library.check.resimulation.{limit}", 1e3)
    (line,) = lines(root, sample=1)
    assert "was not simulated again: it takes" in line
    assert "at most 1000 are granted; leave out simulations with --sample 0" in line


@pytest.mark.parametrize("kind", ["shifted", "varied", "reentry"])
def test_what_a_case_asks_of_the_machine_is_foreseen(copied, kind):
    library = open_library(copied(kind))
    config, case = library.config, draw_case(library.config, 2)
    record = simulate_case(case, config)
    tensors = [record.u, record.phi_e, record.diffusivity_mm2_per_ms, record.electrodes_mm]
    if kind == "varied":
        tensors.append(record.conducting_fraction)
    assert case_bytes(config) == sum(tensor.nbytes for tensor in tensors)
    tissue = case.sheet.rasterise(record.solver_spacing_mm)
    # A raster has up to one more row and column than its spacing asks for.
    leads = lead_fields(tissue, case.electrodes_mm, np.float32)
    assert lead_bytes(config, case.spec.bulk_diffusivity_mm2_per_ms) == pytest.approx(
        leads.nbytes, rel=0.05
    )
    assert tissue.conducts.size <= 1.05 * sheet_size(config)


@pytest.mark.parametrize(
    ("shifts", "change", "nodes"),
    [
        ((), {}, 0),
        # The lattice of a texture is a third of its smoothing length wide; of a variation of D
        # that is half the length over which its correlation falls.
        ((), {"diffusivity_variation": 0.1, "diffusivity_variation_length_mm": 1.0}, 600**2),
        # By Rice's formula a patch size of 1 mm at a share of 0.4 needs smoothing over 0.272 mm.
        (("patch_size",), {"shifted_patch_size_mm": (1.0, 2.0)}, (300 / 0.2725) ** 2),
    ],
)
def test_the_finest_texture_counts(shifts, change, nodes):
    quick, wide = (1.0, 1.0), (40.0, 50.0)
    tissue = TissueConfig(
        healthy_diffusivity_mm2_per_ms=quick,
        remodelled_diffusivity_mm2_per_ms=quick,
        small_patch_size_mm=wide,
        large_patch_size_mm=wide,
        **change,
    )
    config = LibraryConfig(tissue=tissue, shifts=shifts, solver=SolverConfig(spacing_mm=2.0))
    # Whether a stimulus gets around is decided on 200 x 200 cells.
    assert sheet_size(config) == pytest.approx(max(nodes, 200**2), rel=5e-3)


def test_the_raster_that_a_case_is_drawn_on_counts():
    # Waves and patches that cells of 67 mm resolve; what a stimulus reaches is decided on 1 mm.
    quick, wide = (1e4, 1e4), (1e3, 1e3)
    tissue = TissueConfig(
        size_mm=1e4,
        healthy_diffusivity_mm2_per_ms=quick,
        remodelled_diffusivity_mm2_per_ms=quick,
        small_patch_size_mm=wide,
        large_patch_size_mm=wide,
    )
    assert sheet_size(LibraryConfig(tissue=tissue)) == pytest.approx(1e8)


def test_all_faults_are_named_at_once(root):
    remove_readme(root)
    edit_scalar(root, FIRST, "seed", 0, 1)
    duplicate_a_part(root)
    truncate(root)
    found = "\n".join(lines(root))
    for message in ("README.md", "seed is 1", "is not in manifest.json", f"{SECOND}: has"):
        assert message in found


def test_whatever_byte_is_damaged_the_check_ends(root):
    rng = np.random.default_rng(0)
    whole = (root / LAST).read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 30)):
            content[place] = rng.integers(256)
        (root / LAST).write_bytes(content)
        seal(root)
        check_library(root, sample=0)


JUNK = (None, True, -1, 10**30, float("nan"), "\x1b[2J", [], [{}], {"a": []}, {"all": 3})


@pytest.mark.parametrize("file", ["manifest.json", "statistics.json"])
@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_whatever_a_description_says_the_check_ends(root, file, junk):
    whole = json.loads((root / file).read_text())
    for name in whole:
        (root / file).write_text(json.dumps(whole | {name: junk}))
        found = lines(root)
        assert found or name == "code_version" or junk == whole[name]
        assert all(line.isprintable() for line in found)


def test_the_sample_takes_the_conditions_in_turn(small_library):
    samples = set()
    for seed in (0, 1):
        covered = check_library(small_library.store.folder, sample=5, seed=seed).extents[
            Check.SIMULATION
        ]
        case_ids = [int(word.strip(",")) for word in covered.split() if word.strip(",").isdigit()]
        assert {condition_of(case_id) for case_id in case_ids} == set(CONDITIONS)
        assert len(case_ids) == 5
        samples.add(tuple(case_ids))
    assert len(samples) == 2


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_what_is_no_library_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="give the folder that has"):
        check_library(tmp_path / name)


def test_a_negative_sample_is_refused(root):
    with pytest.raises(ConfigError, match="sample = -1, seed = 0: both must be at least 0"):
        check_library(root, sample=-1)
