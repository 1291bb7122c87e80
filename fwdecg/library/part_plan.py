"""Which parts make up a library, and in which order their cases are best simulated."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from fwdecg.cases.draw import draw_bulk_diffusivity
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import LibraryError
from fwdecg.library.paths import Part


def plan_parts(config: LibraryConfig, published: list[Part]) -> list[Part]:
    """The parts that make up a library, by first case: those that exist, then the rest.

    Raises:
        LibraryError: the folder holds more cases than are asked for, or some of them twice.
    """
    if published and published[-1].stop > config.cases:
        raise LibraryError(
            f"library.cases = {config.cases}: the library already holds {published[-1].stop}; "
            "ask for at least as many, or choose another library.path"
        )
    parts, first, size = [], 0, config.part_cases
    for part in published:
        if part.first < first:
            raise LibraryError(
                f"{part.file} holds cases that the part before it holds too; delete one of them"
            )
        parts += [*_grid(first, part.first, size), part]
        first = part.stop
    return parts + _grid(first, config.cases, size)


def sort_by_work(case_ids: Iterable[int], work: Mapping[int, float]) -> list[int]:
    """Cases in the order in which they are simulated: the last ones to run are short ones.

    Args:
        case_ids: of some cases.
        work: expected of each of them.
    """
    return sorted(case_ids, key=lambda case_id: (-work[case_id], case_id))


def expected_work(config: LibraryConfig, case_id: int) -> float:
    """The work of a case by the D of its first draw, in units of its own."""
    bulk = draw_bulk_diffusivity(config, case_id)
    resolution = config.solver.resolution(*config.tissue.diffusivity_span(bulk))
    return 1 / (resolution.spacing_mm**2 * resolution.dt_ms)


def _grid(first: int, stop: int, size: int) -> list[Part]:
    """The parts from case `first` to before `stop`, cut at the multiples of `size`."""
    edges = [first, *range((first // size + 1) * size, stop, size), stop]
    return [Part(a, b) for a, b in pairwise(edges) if a < b]
