"""The shapes in which people keep results: a row per stage, a row per comparison, and long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import narwhals as nw
import numpy as np

from headspec.errors import DataError
from headspec.tables import result_columns as columns_of
from headspec.tables.result_columns import METRIC_STAGES, STAGES, Bools, Codes, Floats, Key, Numbers
from headspec.text import listing

LevelUnit = Literal["auto", "fraction", "percent"]
KEYS = ("model", "strategy", "pruning_level", "seed")


class Entries(NamedTuple):
    """The rows of a results frame, whatever its shape: keys for each row, and blocks of values on some of the rows."""

    keys: dict[str, Key]
    blocks: list[Block]
    notes: list[str]


class Block(NamedTuple):
    """Values of one metric at one stage, and the rows that they belong to (None: all)."""

    metric: str
    stage: str
    rows: Codes | None
    values: Floats
    missing: Bools


def entries_of(frame: nw.DataFrame[Any], found: dict[str, str], unit: LevelUnit) -> Entries:
    """Return the rows of a frame by the shape that its columns show: long, a row per stage, or a row per comparison."""
    if "strategy" not in found:
        raise columns_of.no_column("column for the strategy", frame.columns)
    keys, notes = _keys(frame, found, unit)
    if "metric" in found and "value" in found:
        blocks = _long_blocks(frame, found)
    elif "stage" in found:
        blocks = _wide_blocks(frame, found)
    else:
        blocks = _comparison_blocks(frame, found)
    return Entries(keys, blocks, notes)


def _keys(frame: nw.DataFrame[Any], found: Mapping[str, str], unit: LevelUnit) -> tuple[dict[str, Key], list[str]]:
    notes = []
    blank = Key(np.full(len(frame), -1, dtype=np.int64), [])
    keys = dict.fromkeys(KEYS, blank)
    for key in ("model", "strategy"):
        if key in found:
            keys[key] = columns_of.names_key(frame[found[key]])
    if "seed" in found:
        keys["seed"] = columns_of.seeds_key(frame[found["seed"]])
    if "pruning_level" in found:
        keys["pruning_level"], as_percent = columns_of.levels_key(frame[found["pruning_level"]], unit=unit)
        if as_percent:
            notes.append("pruning levels read as percent")
    return keys, notes


def _wide_blocks(frame: nw.DataFrame[Any], found: Mapping[str, str]) -> list[Block]:
    if "perplexity" not in found and not METRIC_STAGES.keys() & found.keys():
        raise columns_of.no_column(
            "column for the perplexity (it has a stage column, so a row is a stage)", frame.columns
        )
    stages = columns_of.stages_key(frame[found["stage"]])
    places = {stage: np.flatnonzero(stages == place) for place, stage in enumerate(STAGES)}
    blocks = []
    if "perplexity" in found:
        cells = columns_of.numbers_of(frame[found["perplexity"]])
        # a row stands for a stage that was run: without a number it did not come to one
        cells = Numbers(cells.values, np.zeros_like(cells.missing))
        blocks += [_block("perplexity", stage, places[stage], cells) for stage in STAGES]
    for metric, stage in METRIC_STAGES.items():
        if metric in found:
            cells = columns_of.numbers_of(frame[found[metric]])
            blocks.append(_block(metric, stage, places[stage], cells))
    return blocks


def _block(metric: str, stage: str, rows: Codes, cells: Numbers) -> Block:
    return Block(metric, stage, rows, cells.values[rows], cells.missing[rows])


def _comparison_blocks(frame: nw.DataFrame[Any], found: Mapping[str, str]) -> list[Block]:
    blocks = []
    for stage in STAGES:
        if stage in found:
            cells = columns_of.numbers_of(frame[found[stage]])
            blocks.append(Block("perplexity", stage, None, cells.values, cells.missing))
    for metric, stage in METRIC_STAGES.items():
        if metric in found:
            cells = columns_of.numbers_of(frame[found[metric]])
            blocks.append(Block(metric, stage, None, cells.values, cells.missing))
    if not blocks:
        raise columns_of.no_column(
            "column for the stage, and none that compares stages ('Baseline Perplexity', 'Pruned Perplexity', "
            "'Fine-tuned Perplexity', 'Recovery %', 'Improvement %')",
            frame.columns,
        )
    return blocks


def _long_blocks(frame: nw.DataFrame[Any], found: Mapping[str, str]) -> list[Block]:
    if "stage" not in found:
        raise columns_of.no_column("column for the stage beside metric and value", frame.columns)
    stages = columns_of.stages_key(frame[found["stage"]])
    metrics = columns_of.names_key(frame[found["metric"]])
    cells = columns_of.numbers_of(frame[found["value"]])
    meanings = columns_of.match_columns(metrics.labels, {})  # names of metrics are read as names of columns are
    blocks = []
    for metric, stage in [*(("perplexity", stage) for stage in STAGES), *METRIC_STAGES.items()]:
        if metric in meanings:
            of_metric = metrics.codes == metrics.labels.index(meanings[metric])
            rows = np.flatnonzero(of_metric & (stages == STAGES.index(stage)))
            blocks.append(_block(metric, stage, rows, Numbers(cells.values, np.zeros_like(cells.missing))))
    if not blocks:
        raise DataError(
            f"results: metric has {listing(metrics.labels, limit=20)}; expected perplexity or {listing(METRIC_STAGES, last='or')}"
        )
    return blocks
