"""Settings of the tissue: sheet size, and the ranges of D and patches."""

from dataclasses import dataclass

from fwdecg.config import Configuration, setting

Range = tuple[float, float]

# The lattice of the random field is finer for smaller patches. Patches of this size over 40 % of a
# sheet of 100 mm need 2 GB and 10 s per case; the cost grows with the inverse square of the size.
MIN_PATCH_SIZE_MM = 0.1
RANDOM_FIELD, ELLIPSES = "random_field", "ellipses"


@dataclass(frozen=True, kw_only=True)
class EllipsesConfig(Configuration):
    """Ranges from which elliptic patches are drawn uniformly."""

    number: tuple[int, int] = setting(
        (5, 15), "range of the number of patches", at_least=1, at_most=1000, ascending=True
    )
    small_half_axis_mm: Range = setting(
        (0.5, 2.0), "range of the longer half-axis in healthy cases", above=0, ascending=True
    )
    large_half_axis_mm: Range = setting(
        (4.0, 12.0),
        "range of the longer half-axis in fibrosis and combined cases",
        above=0,
        ascending=True,
    )
    shifted_half_axis_mm: Range = setting(
        (14.0, 18.0),
        "range of the longer half-axis in the test split of the shift patch_size",
        above=0,
        ascending=True,
    )
    aspect: Range = setting(
        (0.5, 1.0),
        "range of the shorter half-axis divided by the longer one",
        above=0,
        at_most=1,
        ascending=True,
    )
    angle_deg: Range = setting(
        (0.0, 180.0),
        "range of the angle from the horizontal to the longer half-axis, clockwise",
        ascending=True,
    )


@dataclass(frozen=True, kw_only=True)
class TissueConfig(Configuration):
    """The sheet, and the ranges from which its properties are drawn uniformly."""

    size_mm: float = setting(100.0, "side of the square sheet", above=0)
    healthy_diffusivity_mm2_per_ms: Range = setting(
        (0.09, 0.10), "range of D in healthy and fibrosis cases", above=0, ascending=True
    )
    remodelled_diffusivity_mm2_per_ms: Range = setting(
        (0.01, 0.09), "range of D in gap_junction and combined cases", above=0, ascending=True
    )
    texture: str = setting(
        RANDOM_FIELD,
        "shape of the patches: random_field, where a smooth random field exceeds a threshold; or "
        "ellipses, drawn from the keys of ellipses instead of those of small_patch and large_patch",
        added=True,
        choices=(RANDOM_FIELD, ELLIPSES),
    )
    ellipses: EllipsesConfig = setting(EllipsesConfig, added=True)
    small_patch_size_mm: Range = setting(
        (1.0, 3.0),
        "range of the mean patch size in healthy cases",
        at_least=MIN_PATCH_SIZE_MM,
        ascending=True,
    )
    small_patch_fraction: Range = setting(
        (0.0, 0.05),
        "range of the non-conductive fraction of the area in healthy cases",
        at_least=0,
        below=0.5,
        ascending=True,
    )
    large_patch_size_mm: Range = setting(
        (5.0, 15.0),
        "range of the mean patch size in fibrosis and combined cases",
        at_least=MIN_PATCH_SIZE_MM,
        ascending=True,
    )
    large_patch_fraction: Range = setting(
        (0.10, 0.40),
        "range of the non-conductive fraction of the area in fibrosis and combined cases",
        above=0,
        below=0.5,
        ascending=True,
    )
    shifted_diffusivity_mm2_per_ms: Range = setting(
        (0.11, 0.15),
        "range of D in the test split of the shift diffusivity",
        above=0,
        ascending=True,
    )
    shifted_patch_size_mm: Range = setting(
        (18.0, 25.0),
        "range of the mean size of large patches in the test split of the shift patch_size",
        at_least=MIN_PATCH_SIZE_MM,
        ascending=True,
    )
    diffusivity_variation: float = setting(
        0.0,
        "largest relative deviation of D from its bulk value within a tissue; 0 = uniform D",
        at_least=0,
        below=1,
    )
    diffusivity_variation_length_mm: float = setting(
        10.0, "distance at which the correlation of that deviation falls to 1/e", at_least=1
    )

    def diffusivity_span(self, bulk_mm2_per_ms: float) -> Range:
        """Return the smallest and largest possible D in a tissue with this bulk D, in mm^2/ms."""
        variation = self.diffusivity_variation
        return bulk_mm2_per_ms * (1 - variation), bulk_mm2_per_ms * (1 + variation)
