from dataclasses import replace

import numpy as np
import pytest

import fwdecg.library.labelled_cases as module
from fwdecg.cases.splits import SPLITS
from fwdecg.errors import LibraryError
from fwdecg.library.labelled_cases import read_labelled_cases, stream_labelled_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import tensor_column


@pytest.mark.parametrize("at_once", [1, 3, 4, 32])
def test_stream_has_each_case_once_in_batches(
    library: Library, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CASES_PER_BATCH", at_once)
    batches = list(stream_labelled_cases(library))
    assert np.concatenate([batch.case_id for batch in batches]).tolist() == list(range(10))
    assert {len(batch) for batch in batches[:-1]} <= {at_once}


@pytest.mark.parametrize("split", SPLITS)
def test_stream_of_a_split_equals_its_table(library: Library, split: str) -> None:
    (batch,) = stream_labelled_cases(library, split)
    table = library.table(split)
    assert batch.case_id.tolist() == table["case_id"].to_pylist()
    assert set(batch.split) == {split}
    np.testing.assert_array_equal(batch.u, tensor_column(table, "u"))
    np.testing.assert_array_equal(batch.phi_e, tensor_column(table, "phi_e"))


def test_chosen_cases_are_read_by_case_id(library: Library) -> None:
    cases = read_labelled_cases(library, [7, 2])
    assert cases.case_id.tolist() == [2, 7]
    assert cases.condition == ("fibrosis", "fibrosis")
    with pytest.raises(LibraryError, match="no case 10"):
        read_labelled_cases(library, [7, 10])


def test_conducting_fraction(library: Library, varied_library: Library) -> None:
    """The pixels are the solver's cells here, so each conducts entirely or not at all."""
    for source in (library, varied_library):
        (cases,) = stream_labelled_cases(source)
        conducts = cases.diffusivity_mm2_per_ms > 0
        np.testing.assert_allclose(cases.conducting_fraction, conducts, rtol=1e-6)


def test_a_split_that_only_the_manifest_knows_is_an_error(library: Library) -> None:
    counts = library.manifest["counts"]
    counted = counts | {"ok": counts["ok"] | {"electrode": {"all": 1}}}
    claimed = replace(library, manifest=library.manifest | {"counts": counted})
    with pytest.raises(LibraryError, match="has no case in the split electrode, although"):
        list(stream_labelled_cases(claimed, "electrode"))
