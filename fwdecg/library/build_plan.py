"""Plan a build: which part files make up a library, and which cases are simulated first."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from fwdecg.cases.draw import draw_bulk_diffusivity
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import LibraryError
from fwdecg.library.paths import Part


def plan_parts(config: LibraryConfig, published: list[Part]) -> list[Part]:
    """Return all parts of a library, published or still to build, sorted by case id.

    Args:
        config: library configuration.
        published: published parts, sorted by case id.

    Raises:
        LibraryError: the library has more cases than configured, or two parts overlap.
    """
    if published and published[-1].stop > config.cases:
        raise LibraryError(
            f"library.cases = {config.cases}: the library already has {published[-1].stop} cases; "
            "configure at least as many, or choose another library.path"
        )
    parts, first, size = [], 0, config.part_cases
    for part in published:
        if part.first < first:
            raise LibraryError(
                f"{part.file} overlaps the part before it; delete one of the two files"
            )
        parts += [*_grid(first, part.first, size), part]
        first = part.stop
    return parts + _grid(first, config.cases, size)


def sort_by_work(case_ids: Iterable[int], work: Mapping[int, float]) -> list[int]:
    """Sort cases by decreasing work, so that no CPU waits long for the last cases.

    Args:
        case_ids: cases to sort.
        work: expected work of each case.
    """
    return sorted(case_ids, key=lambda case_id: (-work[case_id], case_id))


def expected_work(config: LibraryConfig, case_id: int) -> float:
    """Estimate the work of a case, in arbitrary units, from the diffusivity of its first sheet."""
    bulk = draw_bulk_diffusivity(config, case_id)
    resolution = config.solver.resolution(*config.tissue.diffusivity_span(bulk))
    return 1 / (resolution.spacing_mm**2 * resolution.dt_ms)


def _grid(first: int, stop: int, size: int) -> list[Part]:
    """Return the parts from case `first` to `stop` (excluded), cut at the multiples of `size`."""
    edges = [first, *range((first // size + 1) * size, stop, size), stop]
    return [Part(a, b) for a, b in pairwise(edges) if a < b]
