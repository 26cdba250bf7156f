"""What a summary says in words: the notes under its title, and its description."""

from __future__ import annotations

import numpy as np

from headspec.charts.ranges import short_names, span_text
from headspec.charts.summary_frame import Layout, View
from headspec.tables.result_columns import STAGES
from headspec.tables.result_groups import Groups, Spread
from headspec.tables.result_runs import percent
from headspec.text import count, listing, number


def seeds_text(groups: Groups) -> str:
    """Say how many runs a group has: ``3 seeds each``, ``1 to 3 seeds``; empty for one."""
    least, most = int(groups.runs.min()), int(groups.runs.max())
    if most == 1:
        return ""
    return f"{most:,} seeds each" if least == most else f"{least:,} to {most:,} seeds"


def group_name(groups: Groups, place: int) -> str:
    """Return what to call a group: ``gpt2 · entropy at 30 %``, as far as there is more than one of each."""
    words = []
    if len(groups.models) > 1:
        words.append(groups.models[groups.model[place]])
    if len(groups.strategies) > 1 or not words:
        words.append(groups.strategies[groups.strategy[place]])
    level = groups.levels[groups.level[place]] if groups.levels else float("nan")
    at = f" at {percent(level)}" if len(groups.levels) > 1 and level == level else ""
    return " · ".join(words) + at


def summary_notes(groups: Groups, view: View, layout: Layout) -> list[str]:
    """Return what a reader must know about how the data is drawn."""
    notes = []
    if seeds := seeds_text(groups):
        notes.append(f"dots are means, lines reach from the least to the greatest of {seeds}")
    outside = (
        (view.change.outside if view.change else 0)
        + view.recovery.outside
        + view.pruning.outside
        + view.tuning.outside
        + (view.limits is not None)
    )
    if outside:
        notes.append("what lies far beyond the rest stands at the edge of its panel, with its number")
    lost = int(sum((spread.nan + spread.infinite).sum() for name, spread in groups.spreads.items() if name in STAGES))
    if lost:
        notes.append(f"× NaN or infinite perplexity ({count(lost, 'value')}, not in the means)")
    if view.unhurt:
        notes.append(
            f"recovery is undefined in {int(groups.unhurt.sum()):,} of {count(int(groups.runs.sum()), 'run')}, where pruning did "
            "not hurt (hollow at the foot where no seed has one)"
        )
    final = np.abs(groups.spreads["final_change"].mean)
    if (final[np.isfinite(final)] > view.final).any():
        notes.append(f"colours of the final change end at ±{number(view.final)} %")
    if view.untuned:
        notes.append("† not fine-tuned: the change after pruning alone")
    if view.nudges is not None:
        notes.append("points of equal effects stand side by side")
    if len(view.shown_levels) < len(view.levels):
        notes.append(f"stages of {len(view.shown_levels)} of {len(view.levels)} levels")
    short, prefix = short_names(groups.models, letters=max(layout.cell // 7, 12))
    if prefix:
        notes.append(f"names of models without “{prefix}”")
    elif any(name != shown for name, shown in short.items()):
        notes.append("names of models shortened by …")
    return notes + groups.notes


def summary_text(groups: Groups) -> list[str]:
    """Return what the data shows, as sentences."""
    sizes = [
        _named(groups.models, "model"),
        _named(groups.strategies, "strategy", "strategies"),
        _named([percent(level) for level in groups.levels if level == level], "level"),
        seeds_text(groups) or "one run each",
    ]
    sentences = ["; ".join(size for size in sizes if size)]
    stages = [
        f"{stage.replace('_', '-')} {span_text(groups.spreads[stage].mean)}"
        for stage in STAGES
        if groups.spreads[stage].finite.any()
    ]
    if stages:
        sentences.append("Perplexity: " + ", ".join(stages))
    sentences.append(_extremes(groups, groups.spreads["recovery"], "Recovery", "highest", "lowest"))
    sentences.append(_quadrants(groups))
    sentences.append(_extremes(groups, groups.spreads["final_change"], "Final change of perplexity", "worst", "best"))
    return sentences


def _named(names: list[str], noun: str, plural: str | None = None) -> str:
    if not names or names == [""]:
        return ""
    return f"{count(len(names), noun, plural)} ({listing(names, limit=6)})"


def _extremes(groups: Groups, spread: Spread, what: str, top: str, bottom: str) -> str:
    finite = np.flatnonzero(np.isfinite(spread.mean))
    if not len(finite):
        return ""
    means = spread.mean[finite]
    text = f"{what}: {span_text(means, ' %')}"
    if len(finite) < 2 or means.min() == means.max():
        return text
    high, low = finite[int(means.argmax())], finite[int(means.argmin())]
    return f"{text}; {top} {group_name(groups, int(high))}, {bottom} {group_name(groups, int(low))}"


def _quadrants(groups: Groups) -> str:
    pruning, tuning = groups.spreads["pruning_effect"].mean, groups.spreads["tuning_effect"].mean
    both = np.isfinite(pruning) & np.isfinite(tuning)
    if not both.any():
        return ""
    hurt, repaired = pruning[both] > 0, tuning[both] < 0
    found = {
        "pruning hurt and fine-tuning repaired": int((hurt & repaired).sum()),
        "both hurt": int((hurt & ~repaired).sum()),
        "both helped": int((~hurt & repaired).sum()),
        "pruning helped and fine-tuning hurt": int((~hurt & ~repaired).sum()),
    }
    whole = int(both.sum())
    text = listing([f"{what} in {n:,}" for what, n in found.items() if n])
    return f"{text[:1].upper()}{text[1:]} of {whole:,}"
