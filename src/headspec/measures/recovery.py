"""How much pruning cost, and how much of it fine-tuning won back: differences and shares of perplexities."""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from headspec.arrays import ArrayLike, to_numpy
from headspec.errors import DataError

Values: TypeAlias = npt.NDArray[np.float64]
Reasons: TypeAlias = npt.NDArray[np.str_]
Scale: TypeAlias = Literal["perplexity", "loss"]

DIVERGED = "not a finite number"
NOT_HURT = "pruning did not hurt"


def _values(value: ArrayLike, name: str) -> Values:
    # A missing value (None, a masked or nullable entry) is NaN here: neither has a difference to anything.
    array = to_numpy(value, name=name)
    return np.asarray(np.ma.filled(np.ma.asarray(array, dtype=np.float64), np.nan), dtype=np.float64)


def _aligned(**given: ArrayLike) -> list[Values]:
    arrays = {name: _values(value, name) for name, value in given.items()}
    try:
        return [np.asarray(array) for array in np.broadcast_arrays(*arrays.values())]
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(
            f"{shapes} do not belong together; give one number or one array of the same shape each"
        ) from None


def _plain(values: Values) -> float | Values:
    return float(values) if values.ndim == 0 else values


def _logs(values: Values, name: str) -> Values:
    if bool((values <= 0).any()):
        raise DataError(
            f"{name} holds {values[values <= 0].flat[0]:g}: a perplexity is above 0, and its log is the loss"
        )
    return np.log(values)


@overload
def calculate_recovery(
    baseline: ArrayLike, pruned: ArrayLike, fine_tuned: ArrayLike, *, scale: Scale = ..., reasons: Literal[False] = ...
) -> float | Values: ...
@overload
def calculate_recovery(
    baseline: ArrayLike, pruned: ArrayLike, fine_tuned: ArrayLike, *, scale: Scale = ..., reasons: Literal[True]
) -> tuple[float | Values, str | Reasons]: ...
def calculate_recovery(
    baseline: ArrayLike,
    pruned: ArrayLike,
    fine_tuned: ArrayLike,
    *,
    scale: Scale = "perplexity",
    reasons: bool = False,
) -> float | Values | tuple[float | Values, str | Reasons]:
    """Say what share of the damage of pruning fine-tuning repaired, in percent.

    ``100 · (pruned − fine_tuned) / (pruned − baseline)``: 0 is no repair, 100 is the baseline regained, above 100
    is better than the baseline, below 0 is worse than right after pruning.

    Parameters
    ----------
    baseline, pruned, fine_tuned
        Perplexities (or losses) before pruning, right after it, and after fine-tuning: numbers, or arrays of any
        library that broadcast.
    scale
        ``"perplexity"`` takes the formula as it stands, also for losses. ``"loss"`` takes the natural logarithm of the
        perplexities first, so that one diverged run no longer swallows the scale.
    reasons
        Also return, for each value, why it is undefined.

    Returns
    -------
    float or numpy.ndarray
        Percent. NaN where it is undefined: where pruning did not hurt (``pruned <= baseline``) there is nothing to
        recover, however good the fine-tuned model is.
    str or numpy.ndarray of str
        Only with ``reasons=True``: ``""`` where recovery is defined, else ``"pruning did not hurt"`` or
        ``"not a finite number"``.

    Raises
    ------
    DataError
        If shapes do not belong together, or if ``scale="loss"`` meets a perplexity of 0 or less.

    Notes
    -----
    Where pruning hardly hurt, the denominator is tiny and recovery is huge (11,000 % is real): read it beside the
    change from baseline.

    Examples
    --------
    >>> calculate_recovery(20.0, 40.0, 25.0)
    75.0
    >>> calculate_recovery(20.0, 19.0, 18.0, reasons=True)
    (nan, 'pruning did not hurt')
    >>> round(calculate_recovery(20.0, 40.0, 25.0, scale="loss"), 1)
    67.8
    """
    if scale not in ("perplexity", "loss"):
        raise DataError(f'scale is {scale!r}; choose "perplexity" or "loss"')
    base, cut, tuned = _aligned(baseline=baseline, pruned=pruned, fine_tuned=fine_tuned)
    if scale == "loss":
        base, cut, tuned = _logs(base, "baseline"), _logs(cut, "pruned"), _logs(tuned, "fine_tuned")
    with np.errstate(all="ignore"):
        share = 100.0 * (cut - tuned) / (cut - base)
    unhurt = cut <= base
    share = np.where(unhurt | ~np.isfinite(base) | ~np.isfinite(cut), np.nan, share)
    if not reasons:
        return _plain(share)
    why = np.where(unhurt, NOT_HURT, np.where(np.isnan(share), DIVERGED, ""))
    return _plain(share), str(why) if why.ndim == 0 else why


def calculate_improvement(baseline: ArrayLike, fine_tuned: ArrayLike) -> float | Values:
    """Say by how many percent of the baseline perplexity the fine-tuned model is better.

    ``100 · (baseline − fine_tuned) / baseline``: positive is better. Its denominator is not that of recovery, so the
    two never share an axis.

    Parameters
    ----------
    baseline, fine_tuned
        Perplexities above 0: numbers, or arrays of any library that broadcast.

    Returns
    -------
    float or numpy.ndarray
        Percent; NaN where a value is missing, −∞ where the fine-tuned perplexity is infinite.

    Raises
    ------
    DataError
        If shapes do not belong together or a baseline is 0 or less.

    Examples
    --------
    >>> calculate_improvement(20.0, 19.0)
    5.0
    """
    base, tuned = _aligned(baseline=baseline, fine_tuned=fine_tuned)
    return _plain(-relative_change(base, tuned, name="baseline"))


def calculate_perplexity_changes(
    baseline: ArrayLike, pruned: ArrayLike, fine_tuned: ArrayLike | None = None, *, relative: bool = False
) -> dict[str, float | Values]:
    """Say what pruning and fine-tuning did to the perplexity (after − before: positive is worse).

    Parameters
    ----------
    baseline, pruned, fine_tuned
        Perplexities before pruning, right after it, and (if there was any) after fine-tuning.
    relative
        Differences in percent of the earlier perplexity, under names that end in ``_percent``, rather than
        absolute ones.

    Returns
    -------
    dict of str to float or numpy.ndarray
        ``perplexity_change`` (pruned − baseline), ``perplexity_change_from_pruned`` (fine-tuned − pruned) and
        ``perplexity_change_from_baseline`` (fine-tuned − baseline).

    Raises
    ------
    DataError
        If shapes do not belong together, or if relative changes meet an earlier perplexity of 0 or less.

    Examples
    --------
    >>> calculate_perplexity_changes(20.0, 40.0, 25.0)
    {'perplexity_change': 20.0, 'perplexity_change_from_pruned': -15.0, 'perplexity_change_from_baseline': 5.0}
    >>> calculate_perplexity_changes(20.0, 40.0, relative=True)
    {'perplexity_change_percent': 100.0}
    """
    given = {"baseline": baseline, "pruned": pruned} | ({} if fine_tuned is None else {"fine_tuned": fine_tuned})
    stage = dict(zip(given, _aligned(**given), strict=True))
    pairs = {"perplexity_change": ("baseline", "pruned")}
    if fine_tuned is not None:
        pairs["perplexity_change_from_pruned"] = ("pruned", "fine_tuned")
        pairs["perplexity_change_from_baseline"] = ("baseline", "fine_tuned")
    if relative:
        return {
            f"{name}_percent": _plain(relative_change(stage[before], stage[after], name=before))
            for name, (before, after) in pairs.items()
        }
    with np.errstate(all="ignore"):
        return {name: _plain(stage[after] - stage[before]) for name, (before, after) in pairs.items()}


def relative_change(before: Values, after: Values, *, name: str = "before") -> Values:
    """Return ``100 · (after − before) / before``, for arrays of one shape whose `before` is above 0."""
    if bool((before <= 0).any()):
        raise DataError(f"{name} holds {before[before <= 0].flat[0]:g}: a perplexity is above 0")
    with np.errstate(all="ignore"):
        return np.asarray(100.0 * (after - before) / before, dtype=np.float64)
