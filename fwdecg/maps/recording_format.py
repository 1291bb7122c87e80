"""The format of recorded maps and ECGs, and the conversion of other maps to it.

Axes: N case, T frame, H row, W column, E electrode.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.errors import MapsError
from fwdecg.maps.map_quality import require_dimensionless
from fwdecg.physics.map_ecg import electrode_positions
from fwdecg.physics.raster import area_mean
from fwdecg.shapes import Numbers, number_array, single_number

Maps = Float[np.ndarray, "N T H W"]

SAME = 1e-6  # relative difference of two lengths or times that count as equal


@dataclass(frozen=True, kw_only=True)
class RecordingFormat:
    """Format of maps and ECGs, which must be the same for a surrogate and its data.

    Attributes:
        frames: number of frames of a case.
        map_pixels: number of rows and of columns of a map.
        electrodes_mm: position (x, y, z) of each electrode.
        frame_interval_ms: time between frames.
        map_spacing_mm: side of a pixel; None in an older checkpoint, which does not say it.
    """

    frames: int
    map_pixels: int
    electrodes_mm: tuple[tuple[float, float, float], ...]
    frame_interval_ms: float
    map_spacing_mm: float | None = None

    @classmethod
    def of(cls, library: LibraryConfig) -> "RecordingFormat":
        """Return the format of a library's recordings."""
        recording = library.recording
        return cls(
            frames=recording.frames,
            map_pixels=recording.map_pixels,
            electrodes_mm=library.electrodes_mm,
            frame_interval_ms=recording.frame_interval_ms,
            map_spacing_mm=library.map_spacing_mm,
        )

    def differences(self, other: "RecordingFormat") -> Iterator[tuple[str, Any, Any]]:
        """Yield (name, own value, other value) of each field that differs from another format."""
        for field in fields(RecordingFormat):
            own, others = getattr(self, field.name), getattr(other, field.name)
            if own != others and None not in (own, others):
                yield field.name, own, others

    @property
    def times_ms(self) -> Float[np.ndarray, " frame"]:
        """Time of each frame."""
        return np.arange(self.frames) * self.frame_interval_ms

    @property
    def assumptions(self) -> str:
        """The geometry in words."""
        sheet = "an unknown sheet"
        if self.map_spacing_mm is not None:
            side = self.map_pixels * self.map_spacing_mm
            sheet = f"a sheet of {side:g} x {side:g} mm"
        electrodes = ", ".join(str(list(each)) for each in self.electrodes_mm[:3])
        more = f" and {len(self.electrodes_mm) - 3} more" if len(self.electrodes_mm) > 3 else ""
        return (
            f"frames every {self.frame_interval_ms:g} ms, {sheet}, electrodes at {electrodes}{more}"
            " mm"
        )

    def require_electrodes(self, electrodes_mm: Numbers) -> None:
        """Raise MapsError unless electrodes are those of this format.

        Positions that are no numbers are a TissueError.
        """
        given = electrode_positions(electrodes_mm)
        own = np.array(self.electrodes_mm)
        if given.shape != own.shape or not np.allclose(given, own, rtol=SAME, atol=SAME):
            raise MapsError(
                f"electrodes_mm = {given.tolist()}: the surrogate predicts the ECG at "
                f"{own.tolist()} only; train one on a library with these electrodes, or use "
                "fwdecg.ecg"
            )


@dataclass(frozen=True, kw_only=True)
class OwnMaps:
    """Maps of some cases, and what is known of their format.

    Attributes:
        u: dimensionless voltage.
        frame_interval_ms: time between frames, None if unknown.
        map_spacing_mm: side of a pixel, None if unknown.
        electrodes_mm: electrodes whose ECG is wanted, None if unknown.
    """

    u: Maps
    frame_interval_ms: float | None = None
    map_spacing_mm: float | None = None
    electrodes_mm: Numbers | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the whole geometry is known."""
        known = (self.frame_interval_ms, self.map_spacing_mm, self.electrodes_mm)
        return all(each is not None for each in known)

    @property
    def times_ms(self) -> Float[np.ndarray, " frame"] | None:
        """Time of each frame, None if unknown."""
        interval_ms = self.frame_interval_ms
        return None if interval_ms is None else np.arange(self.u.shape[1]) * float(interval_ms)

    def converted(self, form: RecordingFormat) -> tuple[Maps, list[str]]:
        """Return the maps in another format, and what was converted.

        Frames are interpolated linearly in time. Pixels are averaged, or interpolated if the other
        format has more of them.

        Raises:
            MapsError: the record is shorter or longer, the sheet is another one, or the maps have
                another shape and nothing is known of their format.
        """
        u, notes = self.u, []
        if self.frame_interval_ms is not None:
            u, note = self._at_times_of(form)
            notes += note
        if self.map_spacing_mm is not None:
            self._require_sheet_of(form)
            if form.map_spacing_mm is None:
                notes.append("the checkpoint does not say its sheet; it must be that of the maps")
            if u.shape[2] != form.map_pixels:
                notes.append(
                    f"maps of {u.shape[2]} x {u.shape[3]} pixels are resampled to "
                    f"{form.map_pixels} x {form.map_pixels}"
                    + (", which cannot restore details" if u.shape[2] < form.map_pixels else "")
                )
                u = _resized(u, form.map_pixels)
        expected = (form.frames, form.map_pixels, form.map_pixels)
        if u.shape[1:] != expected:
            raise MapsError(
                f"u has shape {self.u.shape[1:]}: must be (frame, row, col) = {expected}, "
                "optionally preceded by an axis of cases; give frame_interval_ms and "
                "map_spacing_mm, so that other frames and pixels of the same sheet can be "
                "converted"
            )
        return u, notes

    def _at_times_of(self, form: RecordingFormat) -> tuple[Maps, list[str]]:
        interval_ms, wanted_ms = self.frame_interval_ms, form.frame_interval_ms
        if interval_ms is None or not 0 < interval_ms < math.inf:
            raise MapsError(f"frame_interval_ms = {interval_ms}: must be above 0 and finite")
        last_ms, wanted_last_ms = (self.u.shape[1] - 1) * interval_ms, form.times_ms[-1]
        if abs(last_ms - wanted_last_ms) >= max(interval_ms, wanted_ms) * (1 + SAME):
            raise MapsError(
                f"the last of {self.u.shape[1]} frames every {interval_ms:g} ms is at {last_ms:g} "
                f"ms: the surrogate needs a record of {form.frames} frames every {wanted_ms:g} ms, "
                f"until {wanted_last_ms:g} ms; simulate or cut the record to this length"
            )
        if math.isclose(interval_ms, wanted_ms, rel_tol=SAME):
            return self.u, []
        position = np.minimum(form.times_ms / interval_ms, self.u.shape[1] - 1.0)
        before = np.floor(position + SAME).astype(np.intp)
        after = np.minimum(before + 1, self.u.shape[1] - 1)
        weight = np.maximum(position - before, 0.0).astype(np.float32)[:, None, None]
        u = self.u[:, before] * (1 - weight) + self.u[:, after] * weight
        coarse = ", which cannot restore a front between them" if interval_ms > wanted_ms else ""
        return u.astype(np.float32), [
            f"frames every {interval_ms:g} ms are interpolated to every {wanted_ms:g} ms{coarse}"
        ]

    def _require_sheet_of(self, form: RecordingFormat) -> None:
        rows, cols = self.u.shape[2:]
        spacing_mm = self.map_spacing_mm
        if spacing_mm is None or not 0 < spacing_mm < math.inf:
            raise MapsError(f"map_spacing_mm = {spacing_mm}: must be above 0 and finite")
        if form.map_spacing_mm is None:
            return
        side_mm = form.map_pixels * form.map_spacing_mm
        if not all(math.isclose(each * spacing_mm, side_mm, rel_tol=1e-3) for each in (rows, cols)):
            raise MapsError(
                f"the maps show a sheet of {cols * spacing_mm:g} x {rows * spacing_mm:g} mm: the "
                f"surrogate was trained on {side_mm:g} x {side_mm:g} mm; train one on such sheets, "
                "or use fwdecg.ecg"
            )


def own_maps(
    maps: RecordedCase | Numbers,
    frame_interval_ms: float | None = None,
    map_spacing_mm: float | None = None,
    electrodes_mm: Numbers | None = None,
) -> OwnMaps:
    """Return maps with what is known of their format. A case brings its own.

    Raises:
        MapsError: the array has another shape or type, or values that are not finite or not
            dimensionless; or the frame interval or pixel is no number, or not that of the case.
    """
    if frame_interval_ms is not None:
        frame_interval_ms = single_number(frame_interval_ms, "frame_interval_ms", MapsError)
    if map_spacing_mm is not None:
        map_spacing_mm = single_number(map_spacing_mm, "map_spacing_mm", MapsError)
    if isinstance(maps, RecordedCase):
        _require_of_case("frame_interval_ms", frame_interval_ms, maps.frame_interval_ms)
        _require_of_case("map_spacing_mm", map_spacing_mm, maps.map_spacing_mm)
        return OwnMaps(
            u=_checked(maps.u),
            frame_interval_ms=maps.frame_interval_ms,
            map_spacing_mm=maps.map_spacing_mm,
            electrodes_mm=maps.electrodes_mm if electrodes_mm is None else electrodes_mm,
        )
    return OwnMaps(
        u=_checked(maps),
        frame_interval_ms=frame_interval_ms,
        map_spacing_mm=map_spacing_mm,
        electrodes_mm=electrodes_mm,
    )


def _require_of_case(name: str, given: float | None, own: float) -> None:
    if given is not None and not math.isclose(given, own, rel_tol=SAME):
        raise MapsError(
            f"{name} = {given:g}: must be that of the case, {own:g}; leave it out, or give case.u "
            "instead of the case"
        )


def _checked(maps: Numbers) -> Maps:
    """Return maps with an axis of cases, as float16 or float32."""
    u = number_array(maps, "u", MapsError)
    if u.dtype.kind != "f":
        raise MapsError(
            f"u holds {u.dtype} values: maps must be floating-point, 0 at rest and about 1 when "
            "excited"
        )
    cases = u[None] if u.ndim == 3 else u
    if cases.ndim != 4 or cases.size == 0:
        raise MapsError(
            f"u has shape {u.shape}: must be (frame, row, col), optionally preceded by an axis of "
            "cases"
        )
    with np.errstate(over="ignore"):  # values beyond float32 become infinite: refused below
        cases = cases if cases.dtype == np.float16 else cases.astype(np.float32)
    require_dimensionless(cases, "u")
    return cases


def at_times(
    phi_e: Float[np.ndarray, "N E T"], form: RecordingFormat, times_ms: np.ndarray | None
) -> Float[np.ndarray, "N E frame"]:
    """Return ECGs in a format's frames at other times, interpolated linearly."""
    if times_ms is None or (
        len(times_ms) == form.frames and np.allclose(times_ms, form.times_ms, rtol=SAME)
    ):
        return phi_e
    series = phi_e.reshape(-1, form.frames)
    values = np.stack([np.interp(times_ms, form.times_ms, each) for each in series])
    return values.reshape(*phi_e.shape[:2], -1).astype(np.float32)


def _resized(u: Maps, pixels: int) -> Float[np.ndarray, "N T pixel pixel"]:
    """Return square maps with another number of pixels."""
    if u.shape[2] > pixels:
        return area_mean(u.astype(np.float32), pixels).astype(np.float32)
    centres = (np.arange(pixels) + 0.5) * u.shape[2] / pixels - 0.5
    position = np.clip(centres, 0, u.shape[2] - 1)
    near = np.minimum(position.astype(np.intp), u.shape[2] - 2)
    weight = (position - near).astype(np.float32)
    rows = u[:, :, near] * (1 - weight)[:, None] + u[:, :, near + 1] * weight[:, None]
    return (rows[..., near] * (1 - weight) + rows[..., near + 1] * weight).astype(np.float32)
