from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pytest
import vl_convert

import headspec
from headspec.charts.explorer import visualize_head_explorer
from headspec.charts.explorer_serve import head_explorer_files, head_explorer_widget
from headspec.errors import DataError, KindError, MissingPackageError
from headspec.reduce.palette import ColourScale
from support import find, mark_counts, svg_of

HOSTILE = ["The", "</script><script>alert(1)</script>", "'+alert(1)+'", '"; alert(1); "', "\x00\x1b\u202e", " a\nb"]


def attention(
    layers: int, heads: int, size: int, seed: int = 0, *, causal: bool = True, sharp: float = 2.0
) -> tuple[np.ndarray, ...]:
    logits = np.random.default_rng(seed).normal(size=(layers, 1, heads, size, size)) * sharp
    if causal:
        logits[..., *np.triu_indices(size, 1)] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return tuple((weights / weights.sum(-1, keepdims=True)).astype(np.float32))


def gradients(layers: int = 3, heads: int = 4) -> np.ndarray:
    return np.random.default_rng(1).lognormal(-3, 2, (layers, heads))


def notes(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])


def rect_groups(svg: str) -> list[list[str]]:
    """Return the fills of each group of rects, in the order drawn."""
    groups = re.findall(r'<g class="mark-rect role-mark[^"]*"[^>]*>(.*?)</g>', svg, re.S)
    fills = [re.findall(r'<path[^>]* fill="([^"]*)"', group) for group in groups]
    return [group for group in fills if not any("gradient" in fill for fill in group)]


def close(colour: str, expected: Any) -> bool:
    if colour.startswith("#"):
        found = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    else:
        found = [int(item) for item in re.findall(r"\d+", colour)]
    return bool(np.abs(np.array(found) - np.asarray(expected, dtype=int)).max() <= 4)


def palette(scheme: Any, low: float, high: float, values: Any, space: Any = "linear") -> np.ndarray:
    scale = ColourScale(scheme, low, high, space)
    return scale.colours()[scale.entry(values)]


# --- the picture -----------------------------------------------------------------------------------------------------------


def test_the_picture_shows_the_measure_and_the_attention_of_the_head_that_it_opens_on() -> None:
    weights = attention(3, 4, 9)
    chart = visualize_head_explorer(weights, pick=(1, 2), tokens=[f"t{place}" for place in range(9)])
    svg = svg_of(chart)
    heads, _, cells, *_ = rect_groups(svg)
    entropy = headspec.calculate_entropy(weights)
    assert len(heads) == 12
    for place, colour in enumerate(heads):
        assert close(colour, palette("viridis", 0, entropy.max(), entropy[divmod(place, 4)]))
    head = weights[1][0, 2]
    top = max(float(layer.max()) for layer in weights)
    seen = np.tril_indices(9)
    assert len(cells) == 45
    assert all(
        close(colour, expected)
        for colour, expected in zip(cells, palette("magma", 0, top, head[seen].round(3)), strict=True)
    )
    assert ">Attention of L1 H2<" in svg
    assert ">Entropy (nats)<" in svg
    assert "opens on L1 H2" in notes(chart)


def test_it_opens_on_the_head_that_looks_most_sharply_elsewhere() -> None:
    weights = np.array(attention(2, 3, 8))
    weights[0, 0, 1] = np.eye(8)  # all on itself
    weights[1, 0, 0] = np.eye(8)[[0] * 8]  # all on the first
    weights[1, 0, 2] = np.eye(8)[[0, 0, 1, 2, 3, 4, 5, 6]]  # all on the previous one
    chart = visualize_head_explorer(tuple(weights))
    assert "opens on L1 H2, which looks most sharply at keys other than the first and the query itself" in notes(chart)
    assert chart.to_dict()["params"][0]["value"] == [{"layer": 1, "head": 2}]


def test_its_own_measures_are_those_of_slow_loops() -> None:
    weights = np.array(attention(2, 2, 7))
    weights[0, 0, 1, 4] = np.nan
    table = headspec.to_table(visualize_head_explorer(tuple(weights)))
    heads = table.drop_duplicates(["layer", "head"])
    for row in heads.to_dict("records"):
        matrix = weights[row["layer"], 0, row["head"]]
        live = [query for query in range(7) if not np.isnan(matrix[query]).any()]
        back = [query for query in live if query]
        first = np.mean([matrix[query, 0] for query in back])
        previous = np.mean([matrix[query, query - 1] for query in back])
        largest = np.mean([matrix[query].max() for query in live])
        entropy = np.mean([-sum(p * np.log(p) for p in matrix[query] if p > 0) for query in live])
        assert row["Weight on the first key"] == pytest.approx(first, rel=1e-4)
        assert row["Weight on the previous token"] == pytest.approx(previous, rel=1e-4)
        assert row["Largest weight of a query, mean"] == pytest.approx(largest, rel=1e-4)
        assert row["Entropy (nats)"] == pytest.approx(entropy, rel=1e-4)


def test_a_pair_to_begin_with_colours_the_map_in_the_picture() -> None:
    weights = attention(2, 3, 6)
    svg = svg_of(visualize_head_explorer(weights, pair=(4, 2), tokens=[f"t{place}" for place in range(6)]))
    assert ">Weight from query 4 (t4) on key 2 (t2)<" in svg
    top = max(float(layer.max()) for layer in weights)
    for place, colour in enumerate(rect_groups(svg)[0]):
        layer, head = divmod(place, 3)
        assert close(colour, palette("magma", 0, top, round(float(weights[layer][0, head, 4, 2]), 3)))
        assert f">{weights[layer][0, head, 4, 2]:.3f}<" in svg


def test_values_that_are_not_finite_stay_apart() -> None:
    measure = np.ma.MaskedArray([[0.5, np.nan, np.inf], [5.0, 0.0, 1.0]], mask=[[0] * 3, [0, 0, 1]])
    weights = attention(2, 3, 5)
    measure[1, 0] = 500.0
    chart = visualize_head_explorer(weights, measures={"norm": measure}, pick=(0, 0))
    fills = rect_groups(svg_of(chart))[0]
    low = palette("viridis", 0.5, 500, [0.5, 500.0], "log")
    assert close(fills[0], low[0])
    assert close(fills[3], low[1])
    assert [fill.upper() for fill in (fills[1], fills[2], fills[5], fills[4])] == [
        "#B0B0B0",
        "#8A8A8A",
        "#D6D6D6",
        "#EFE9DC",
    ]
    kinds = headspec.to_table(chart).drop_duplicates(["layer", "head"])["kind_0"].tolist()
    assert kinds == ["value", "nan", "inf", "value", "zero", "masked"]


def test_weights_that_are_not_finite_stay_apart() -> None:
    weights = np.array(attention(1, 2, 6))
    weights[0, 0, 0, 4] = np.nan
    weights[0, 0, 0, 3, 1] = np.inf
    chart = visualize_head_explorer(tuple(weights), pick=(0, 0), attention_mask=[0, 1, 1, 1, 1, 1])
    cells = headspec.to_table(chart)
    kinds = cells[cells["head"] == 0].set_index(["query", "key"])["kind"]
    assert kinds[4, 2] == "nan"
    assert kinds[3, 1] == "inf"
    assert kinds[0, 0] == kinds[5, 0] == "masked"
    assert kinds[5, 3] == "value"
    assert "no entropy" in notes(chart)
    fills = rect_groups(svg_of(chart))[2]
    assert fills[0].upper() == "#D6D6D6"
    assert fills[4 * 5 // 2 + 2].upper() == "#B0B0B0"


@pytest.mark.parametrize("space", ["linear", "sqrt", "log"])
def test_weights_are_drawn_in_the_space_asked_for(space: Any) -> None:
    weights = attention(1, 2, 6)
    chart = visualize_head_explorer(weights, scale=space, pick=(0, 1), max_value=1.0)
    low = 1e-4 if space == "log" else 0.0
    cells = rect_groups(svg_of(chart))[2]
    head = weights[0][0, 1][np.tril_indices(6)]
    step = 10 ** (0.0025) if space == "log" else 1
    for colour, value in zip(cells, head, strict=True):
        about = [value / step, value * step] if space == "log" else [value - 5e-4, value, value + 5e-4]
        assert any(close(colour, expected) for expected in palette("magma", low, 1, np.maximum(about, low), space))


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_it_is_drawn_under_every_theme(theme: str) -> None:
    chart = visualize_head_explorer(attention(2, 3, 5), gradient=gradients(2, 3), pruned_heads=[(0, 1)])
    assert headspec.to_png(chart, theme=theme).startswith(b"\x89PNG")


# --- size ------------------------------------------------------------------------------------------------------------------


def test_weights_above_the_budget_are_pooled_by_blocks_and_say_so() -> None:
    weights = attention(4, 4, 40)
    chart = visualize_head_explorer(weights, budget=8_000, pair=(33, 13))
    table = headspec.to_table(chart)
    block = int(table["last_query"][0] + 1)
    assert block > 1
    assert f"each cell of the matrix is the maximum of {block} × {block} weights" in notes(chart)
    for row in table.sample(200, random_state=0).itertuples():
        inside = weights[row.layer][0, row.head, row.query : row.query + block, row.key : row.key + block]
        assert row.weight == pytest.approx(float(inside.max()), abs=5.1e-4)
    rows = json.loads(headspec.to_json(chart))["datasets"]
    lists = [json.dumps(row["q"], separators=(",", ":")) for data in rows.values() for row in data if "q" in row]
    assert sum(map(len, lists)) <= 8_000
    query, key = (place - place % block for place in (33, 13))
    assert f"Weight from queries {query}–{query + block - 1} on keys {key}–{key + block - 1}" in svg_of(chart)


def test_real_sizes_stay_within_the_budget() -> None:
    chart = visualize_head_explorer(attention(12, 12, 64))
    assert len(headspec.to_json(chart)) < 1_100_000
    many = visualize_head_explorer(attention(32, 32, 64), measures={"x": np.ones((32, 32))})
    assert len(headspec.to_json(many)) < 2_200_000
    assert "each cell of the matrix is the maximum of 2 × 2 weights" in notes(many)


def test_long_sequences_are_pooled_to_what_the_panel_shows() -> None:
    chart = visualize_head_explorer(attention(1, 1, 300))
    assert "maximum of 3 × 3 weights" in notes(chart)
    assert mark_counts(svg_of(chart))["rect"] == 1 + 1 + 100 * 101 // 2


# --- shapes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "cells"),
    [
        (lambda: np.ones((1, 1, 1, 1)), 1),
        (lambda: attention(1, 1, 2), 3),
        (lambda: np.full((2, 1, 2, 4, 4), 0.25), 16),
        (lambda: attention(2, 2, 6, causal=False), 36),
        (lambda: np.random.default_rng(0).dirichlet(np.ones(9), size=(2, 1, 2, 4)), 36),
        (lambda: {2: attention(1, 4, 6)[0], 5: attention(1, 2, 3)[0]}, 21),
    ],
)
def test_every_shape_is_drawn(weights: Any, cells: int) -> None:
    values = weights()
    layers = values if isinstance(values, (dict, tuple)) else [values] if values.ndim == 4 else list(values)
    chart = visualize_head_explorer(layers, pick=(2, 0) if isinstance(values, dict) else (0, 0))
    heads = sum(layer.shape[1] for layer in (layers.values() if isinstance(layers, dict) else layers))
    assert mark_counts(svg_of(chart))["rect"] == heads + 1 + cells


# --- errors ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (lambda: tuple(np.full((1, 1, 2, 4, 4), np.nan)), {}, "no finite weight in any of 2 heads"),
        (lambda: attention(4, 4, 30), {"budget": 100}, "budget=100 bytes is too small.*give budget="),
        (
            lambda: attention(4, 4, 30),
            {"budget": 4_000, "pool": None},
            "pool=None, but 16 heads of 30 tokens need blocks",
        ),
        (lambda: np.ones((1, 5_000, 1, 1)), {}, "5,000 heads, more than the 4,096"),
        (lambda: attention(1, 2, 4), {"pick": (0, 2)}, "pick names layer 0, head 2, which is out of range"),
        (lambda: attention(1, 2, 4), {"pair": (1, 3)}, "the key lies after the query"),
        (lambda: attention(1, 2, 4), {"pair": (9, 1)}, r"is no \(query, key\)"),
        (lambda: attention(1, 2, 4), {"measures": {}}, "measures is empty"),
        (lambda: attention(1, 2, 4), {"measures": [1, 2]}, "measures is no dict"),
        (lambda: attention(1, 2, 4), {"measures": {"a": [[np.nan, np.nan]]}}, "holds no finite value"),
        (lambda: attention(1, 2, 4), {"measures": {"a": {3: [1.0]}}}, "covers none of the 2 heads"),
        (lambda: attention(1, 2, 4), {"scatter": ("a", "b")}, "does not name two measures; there are Entropy"),
        (lambda: attention(1, 2, 4), {"select": "a b"}, "cannot name a selection"),
        (lambda: attention(1, 2, 4, causal=False), {"causal": True}, "gives weight to a later key"),
        (lambda: attention(1, 2, 4), {"tokens": ["a"]}, "1 token, but the matrix has 4"),
        (lambda: np.ones((2, 2, 4, 4)), {}, "batch of 2"),
    ],
)
def test_what_cannot_be_shown_says_so(weights: Any, options: Any, message: str) -> None:
    with pytest.raises((DataError, KindError), match=message):
        visualize_head_explorer(weights(), **options)


# --- as a spec -------------------------------------------------------------------------------------------------------------


def everything() -> alt.HConcatChart:
    return visualize_head_explorer(
        attention(3, 4, 6),
        gradient=gradients(),
        tokens=HOSTILE,
        pruned_heads=[(0, 1), (2, 3)],
        revived_heads=[(2, 3)],
        vulnerable_heads=[(1, 1)],
    )


def test_the_spec_is_valid_plain_and_the_same_every_time() -> None:
    import jsonschema

    chart = everything()
    text = headspec.to_json(chart)
    assert text == headspec.to_json(everything())
    spec = json.loads(text)
    schema = alt.load_schema()
    jsonschema.validators.validator_for(schema)(schema).validate(spec)
    assert chart.config is alt.Undefined
    assert isinstance(chart, alt.HConcatChart)
    for token in HOSTILE:  # text of the caller is a value, never part of an expression
        for key in ("calculate", "expr", "labelExpr", "filter", "test", "field"):
            assert not any(isinstance(item, str) and len(token) > 3 and token in item for item in find(spec, key))


def test_it_stands_beside_other_charts_and_beside_itself() -> None:
    chart = everything()
    other = headspec.visualize_entropy_heatmap([[0.0, 300.0]])
    alone = sum(mark_counts(svg_of(chart)).values())
    for pair in (chart | other, other & chart):
        assert sum(mark_counts(svg_of(pair)).values()) == alone + sum(mark_counts(svg_of(other)).values())
    second = visualize_head_explorer(attention(2, 2, 5), select="second_pick")
    both = sum(mark_counts(svg_of(chart & second)).values())
    assert both == alone + sum(mark_counts(svg_of(second)).values())


def test_the_description_says_what_the_data_says() -> None:
    weights = attention(3, 4, 6)
    text = headspec.summary(everything())
    entropy = headspec.calculate_entropy(weights)
    low = np.unravel_index(entropy.argmin(), entropy.shape)
    assert "Linked views of 3 layers × 4 heads" in text
    assert f"(L{low[0]} H{low[1]}) to" in text
    assert "1 head pruned (L0 H1); 1 head revived (L2 H3); 1 head vulnerable (L1 H1)" in text
    assert "6 queries × 6 keys" in text


def test_the_documented_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import doctest

    for function in (visualize_head_explorer, head_explorer_files):
        monkeypatch.setattr(headspec, function.__name__, function, raising=False)
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        for test in doctest.DocTestFinder(recurse=False).find(function, "example", globs={}):
            runner.run(test)
        assert runner.tries > 2
        assert runner.failures == 0


# --- in the browser --------------------------------------------------------------------------------------------------------

ITEMS = """(kind) => {
  const view = headspec.view, found = [];
  const plain = d => Object.fromEntries(Object.entries(d || {}).filter(([k, v]) => v === null || typeof v !== 'object'));
  (function walk(item, x, y) {
    if (item.marktype === undefined) { for (const mark of item.items || []) walk(mark, x, y); return; }
    for (const one of item.items || []) {
      if (item.marktype === 'group') walk(one, x + (one.x || 0), y + (one.y || 0));
      else if (item.marktype === kind) found.push({
        role: item.role, name: item.name, datum: plain(one.datum), fill: one.fill, text: one.text,
        at: [x + (one.bounds.x1 + one.bounds.x2) / 2, y + (one.bounds.y1 + one.bounds.y2) / 2] });
    }
  })({marktype: 'group', items: [view.scenegraph().root.items[0]]}, 0, 0);
  const box = view.container().querySelector('canvas, svg').getBoundingClientRect();
  const from = view.origin(), pad = view.padding();
  for (const one of found) one.at = [one.at[0] + box.x + from[0] + pad.left, one.at[1] + box.y + from[1] + pad.top];
  return found;
}"""


class Page:
    """An explorer in a browser, and what a reader does with it."""

    def __init__(self, opened: Any) -> None:
        self.opened = opened
        self.mouse = opened.page.mouse

    def items(self, kind: str, *, role: str = "mark") -> list[dict[str, Any]]:
        return [item for item in self.opened.page.evaluate(ITEMS, kind) if item["role"] == role]

    def heads(self) -> dict[tuple[int, int], dict[str, Any]]:
        found = [item for item in self.items("rect") if "measure_0" in item["datum"] and "query" not in item["datum"]]
        return {(item["datum"]["layer"], item["datum"]["head"]): item for item in found if item["fill"]}

    def cells(self) -> dict[tuple[int, int], dict[str, Any]]:
        found = [item for item in self.items("rect") if "query" in item["datum"] and item["fill"]]
        return {(item["datum"]["query"], item["datum"]["key"]): item for item in found}

    def points(self) -> dict[tuple[int, int], dict[str, Any]]:
        found = [
            item for item in self.items("symbol") if "_x" in item["datum"] and item["fill"] not in (None, "transparent")
        ]
        return {(item["datum"]["layer"], item["datum"]["head"]): item for item in found}

    def titles(self) -> list[str]:
        return [item["text"] for item in self.items("text", role="title-text")]

    def signal(self, name: str) -> Any:
        return self.opened.js(f"headspec.view.signal('{name}')")

    def until(self, test: Callable[[], bool]) -> None:
        for _ in range(500):
            if test():
                return
            self.opened.page.wait_for_timeout(20)
        raise AssertionError("it did not happen")

    def click(self, item: dict[str, Any]) -> None:
        self.mouse.click(*item["at"])

    def settle(self) -> None:
        self.opened.page.wait_for_timeout(120)


@pytest.fixture
def visit(open_page: Any, tmp_path: Path) -> Callable[..., Page]:
    def go(chart: Any, **options: Any) -> Page:
        path = tmp_path / "explorer.html"
        path.write_text(headspec.to_html(chart, fallback=False), encoding="utf-8")
        opened = open_page(path, size=(1400, 1100), **options).wait()
        assert opened.state == "drawn"
        return Page(opened)

    return go


def shows(page: Page, head: np.ndarray, *, step: float = 0.001) -> bool:
    cells = page.cells()
    return all(abs(item["datum"]["weight"] - head[pair]) <= step / 2 + 1e-6 for pair, item in cells.items())


@pytest.mark.browser
def test_picking_a_head_in_map_or_scatter_shows_its_matrix(visit: Any) -> None:
    weights = attention(3, 4, 6)
    page = visit(visualize_head_explorer(weights, gradient=gradients(), pick=(0, 0)))
    assert len(page.cells()) == 21
    assert shows(page, weights[0][0, 0])
    page.click(page.heads()[2, 1])
    page.until(lambda: page.signal("head_pick").get("layer") == [2])
    page.settle()
    assert shows(page, weights[2][0, 1])
    assert not shows(page, weights[0][0, 0])
    assert "Attention of L2 H1" in page.titles()
    page.click(page.points()[1, 3])
    page.until(lambda: page.signal("head_pick").get("layer") == [1])
    page.settle()
    assert shows(page, weights[1][0, 3])
    assert len(page.cells()) == 21
    names = [name for name in page.opened.js("Object.keys(headspec.view._runtime.data)") if name.startswith("data_")]
    drawn = [page.opened.js(f"headspec.view.data('{name}').map(d => [d.query, d.key, d.weight])") for name in names]
    tables = [rows for rows in drawn if len(rows) == 21 and rows[0][0] is not None]
    assert tables
    for rows in tables:
        for query, key, weight in rows:
            assert abs(weight - weights[1][0, 3][query, key]) <= 5.01e-4
    assert page.opened.messages == []
    assert page.opened.requests == []


@pytest.mark.browser
def test_picking_a_pair_colours_map_and_scatter_by_every_heads_weight_on_it(visit: Any) -> None:
    weights = attention(3, 4, 6)
    page = visit(visualize_head_explorer(weights, gradient=gradients(), tokens=HOSTILE))
    top = max(float(layer.max()) for layer in weights)
    entropy = headspec.calculate_entropy(weights)
    page.click(page.cells()[4, 1])
    page.until(lambda: page.signal("head_pick_by_pair"))
    page.settle()
    for found in (page.heads(), page.points()):
        assert len(found) == 12
        for (layer, head), item in found.items():
            value = float(weights[layer][0, head, 4, 1])
            assert abs(item["datum"]["_value"] - value) <= 5.01e-4
            assert close(item["fill"], palette("magma", 0, top, round(value, 3)))
    assert "Weight from query 4 (\\x00\\x1b\\u202e) on key 1 (</script><script>alert(1)</script>)" in page.titles()
    page.click(page.heads()[1, 1])  # another head: the pair stays
    page.settle()
    assert page.signal("head_pick_by_pair")
    assert "Attention of L1 H1" in page.titles()
    page.opened.page.select_option("select", "1")
    page.until(lambda: not page.signal("head_pick_by_pair"))
    page.settle()
    assert "Weight on the first key" in page.titles()
    page.opened.page.select_option("select", "0")
    page.settle()
    for (layer, head), item in page.heads().items():
        assert close(item["fill"], palette("viridis", 0, entropy.max(), entropy[layer, head]))
    page.click(page.cells()[4, 1])  # the same pair again
    page.until(lambda: page.signal("head_pick_by_pair"))
    assert page.opened.messages == []


@pytest.mark.browser
@pytest.mark.parametrize("way", ["escape", "double click"])
def test_there_is_a_way_back_from_a_pair(visit: Any, way: str) -> None:
    weights = attention(2, 3, 5)
    page = visit(visualize_head_explorer(weights))
    before = {head: item["fill"] for head, item in page.heads().items()}
    page.click(page.cells()[3, 1])
    page.until(lambda: page.signal("head_pick_by_pair"))
    page.settle()
    assert {head: item["fill"] for head, item in page.heads().items()} != before
    if way == "escape":
        page.opened.page.keyboard.press("Escape")
    else:
        page.mouse.dblclick(*page.cells()[0, 0]["at"])
    page.until(lambda: not page.signal("head_pick_by_pair"))
    page.settle()
    assert {head: item["fill"] for head, item in page.heads().items()} == before
    assert "query" not in page.signal("head_pick_pair")
    assert "Entropy (nats)" in page.titles()
    assert page.opened.messages == []


@pytest.mark.browser
def test_clicks_on_empty_places_change_nothing(visit: Any) -> None:
    page = visit(visualize_head_explorer(attention(2, 3, 8), gradient=gradients(2, 3), pick=(1, 1)))
    page.click(page.cells()[6, 2])
    page.until(lambda: page.signal("head_pick_by_pair"))
    before = (page.signal("head_pick"), page.signal("head_pick_pair"))
    corner, side = page.cells()[0, 0]["at"], page.cells()[7, 7]["at"]
    x, y = page.heads()[0, 0]["at"]
    low = max(item["at"][1] for item in page.points().values())
    places = [(side[0], corner[1]), (x, y - 60), (x + 3, (y + low) / 2 + 30), (side[0] + 60, side[1])]
    for place in places:
        page.mouse.click(*place)
        page.settle()
        assert (page.signal("head_pick"), page.signal("head_pick_pair")) == before, place
    assert page.signal("head_pick_by_pair")


@pytest.mark.browser
def test_the_legend_is_true_of_each_measure(visit: Any) -> None:
    norms = np.geomspace(2e-4, 3, 12).reshape(3, 4)
    measures = {"a": np.linspace(-2, 5, 12).reshape(3, 4), "image": norms, "b</script>": norms * 0 + 3.0}
    page = visit(visualize_head_explorer(attention(3, 4, 5), measures=measures, scatter=None))
    options = page.opened.js("[...document.querySelectorAll('select option')].map(o => o.textContent)")
    assert options == list(measures)
    spaces = set()
    for place, (name, values) in enumerate(measures.items()):
        page.opened.page.select_option("select", str(place))
        page.settle()
        assert name in page.titles()
        about = page.signal("head_pick_shown")
        spaces.add(about["space"])
        bent = np.log10 if about["space"] == "log" else np.asarray
        matrix = page.cells()[0, 0]["at"][0]
        labels = [item for item in page.items("text", role="legend-label") if item["at"][0] < matrix and item["text"]]
        assert len(labels) >= 3
        for item in labels:
            text, shade = float(item["text"].replace("−", "-")), item["datum"]["value"]
            assert abs(bent(text) - shade) <= 0.03 * max(1, abs(shade)), (name, item)
        for (layer, head), item in page.heads().items():
            value = np.asarray(values)[layer, head]
            low, high = (10.0**end if about["space"] == "log" else end for end in (about["low"], about["high"]))
            assert close(item["fill"], palette(about["scheme"], low, high, value, about["space"]))
    assert spaces == {"linear", "log"}
    assert page.opened.messages == []
    assert page.opened.requests == []


@pytest.mark.browser
def test_heads_of_other_sizes_have_no_weight_on_a_pair_that_they_lack(visit: Any) -> None:
    weights = {
        2: np.random.default_rng(0).dirichlet(np.ones(6), size=(1, 2, 4)).astype(np.float32),
        5: np.random.default_rng(1).dirichlet(np.ones(3), size=(1, 3, 3)).astype(np.float32),
    }
    page = visit(visualize_head_explorer(weights, pick=(2, 1)))
    assert len(page.cells()) == 24
    assert shows(page, weights[2][0, 1])
    for pair in ((2, 2), (1, 4), (3, 1)):
        page.click(page.cells()[pair])
        page.until(lambda pair=pair: page.signal("head_pick_pair").get("query") == [pair[0]])
        page.settle()
        for (layer, head), item in page.heads().items():
            matrix = weights[layer][0, head]
            if pair[0] < matrix.shape[0] and pair[1] < matrix.shape[1]:
                assert abs(item["datum"]["_value"] - matrix[pair]) <= 5.01e-4
            else:
                assert item["datum"]["_value"] is None
                assert item["datum"]["_kind"] == "masked"
    page.click(page.heads()[5, 2])
    page.until(lambda: page.signal("head_pick").get("layer") == [5])
    page.settle()
    assert len(page.cells()) == 9
    assert shows(page, weights[5][0, 2])
    assert page.opened.messages == []


@pytest.mark.browser
def test_pooled_weights_are_picked_by_block(visit: Any) -> None:
    weights = attention(3, 3, 30)
    chart = visualize_head_explorer(weights, budget=4_000, pick=(1, 1))
    table = headspec.to_table(chart)
    block = int(table["last_query"][0] + 1)
    assert block > 1
    page = visit(chart)

    def top(layer: int, head: int, query: int, key: int) -> float:
        return float(weights[layer][0, head, query : query + block, key : key + block].max())

    cells = page.cells()
    assert len(cells) == (table["head"].eq(0) & table["layer"].eq(0)).sum()
    assert all(abs(item["datum"]["weight"] - top(1, 1, *pair)) <= 1.1e-3 for pair, item in cells.items())
    query, key = sorted(cells)[len(cells) // 2]
    page.click(cells[query, key])
    page.until(lambda: page.signal("head_pick_by_pair"))
    page.settle()
    for (layer, head), item in page.heads().items():
        assert abs(item["datum"]["_value"] - top(layer, head, query, key)) <= 1.1e-3
    assert any(f"queries {query}–{query + block - 1}" in title for title in page.titles())


@pytest.mark.browser
@pytest.mark.parametrize("scatter", ["auto", None])
def test_a_long_title_of_a_pair_pushes_nothing_out_of_the_view(visit: Any, scatter: Any) -> None:
    tokens = [f"token-{place}" for place in range(40)]
    page = visit(visualize_head_explorer(attention(1, 2, 40), tokens=tokens, gradient=[[1.0, 2.0]], scatter=scatter))

    def overhang() -> float:
        box = "document.querySelector('{}').getBoundingClientRect()"
        labels = "[...document.querySelectorAll('svg .role-legend-label text')]"
        ends = f"Math.max(...{labels}.map(item => item.getBoundingClientRect().right))"
        return float(page.opened.js(f"{ends} - {box.format('svg')}.right"))

    assert overhang() < 0
    page.click(page.cells()[39, 30])
    page.until(lambda: page.signal("head_pick_by_pair"))
    page.settle()
    assert any(title.startswith("Weight from query 39") for title in page.titles())
    assert overhang() < 0


# --- served ----------------------------------------------------------------------------------------------------------------


def test_the_files_hold_the_weights_that_the_spec_does_not() -> None:
    weights = attention(3, 4, 6)
    chart, files = head_explorer_files(weights, pick=(0, 1))
    assert set(files) == {
        "head_explorer.js",
        *(f"L{layer}H{head}.js" for layer in range(3) for head in range(4)),
        *(f"Q{row}.js" for row in range(6)),
    }
    (served,) = [param["value"] for param in chart.to_dict()["params"] if param["name"] == "head_pick_served"]
    answer = re.fullmatch(r'headspecAnswer\("(\w+)/L2H3",(.*)\);\n', files["L2H3.js"])
    assert answer is not None
    value = json.loads(answer.group(2))
    assert (served["layer"], served["head"]) == (0, 1)
    assert (value["layer"], value["head"]) == (2, 3)
    assert np.allclose(np.array(value["q"]) / 1000, weights[2][0, 3][np.tril_indices(6)], atol=5.01e-4)
    rows = json.loads(re.sub(r"^[^,]*,|\);\n$", "", files["Q4.js"]))
    assert np.allclose(np.array(rows[7]) / 1000, weights[1][0, 3, 4, :5], atol=5.01e-4)
    assert all(answer.group(1) in text for text in files.values())
    inside = visualize_head_explorer(weights, pick=(0, 1))
    assert rect_groups(svg_of(chart)) == rect_groups(svg_of(inside))
    opened = head_explorer_files(weights, pick=(0, 1), pair=(4, 2))[0]
    assert rect_groups(svg_of(opened)) == rect_groups(
        svg_of(visualize_head_explorer(weights, pick=(0, 1), pair=(4, 2)))
    )


@pytest.mark.browser
def test_a_page_from_disk_loads_each_head_when_it_is_picked(open_page: Any, tmp_path: Path) -> None:
    weights = attention(3, 4, 6)
    chart, files = head_explorer_files(weights, pick=(0, 1))
    (tmp_path / "weights").mkdir()
    for name, text in files.items():
        (tmp_path / "weights" / name).write_text(text, encoding="utf-8")
    (tmp_path / "weights" / "L1H1.js").unlink()
    (tmp_path / "weights" / "start.js").write_text(
        "(function go() { if (window.headspec) { headspecServe(headspec.view, 'weights/'); window.serving = true; }"
        " else { setTimeout(go, 20); } })();",
        encoding="utf-8",
    )
    page_text = headspec.to_html(chart, fallback=False).replace("script-src ", "script-src 'self' ", 1)
    body, end = page_text.rsplit("</body>", 1)
    scripts = "".join(f'<script src="weights/{name}.js"></script>' for name in ("head_explorer", "start"))
    (tmp_path / "page.html").write_text(f"{body}{scripts}</body>{end}", encoding="utf-8")
    opened = open_page(tmp_path / "page.html", size=(1400, 1100), allow=tmp_path.as_uri()).wait()
    page = Page(opened)
    opened.until("window.serving === true")
    assert shows(page, weights[0][0, 1])
    page.click(page.heads()[2, 3])
    page.until(lambda: page.signal("head_pick_served")["layer"] == 2)
    page.settle()
    assert len(page.cells()) == 21
    assert shows(page, weights[2][0, 3])
    page.click(page.cells()[4, 2])
    page.until(lambda: page.signal("head_pick_served_pair")["query"] == 4)
    page.settle()
    for (layer, head), item in page.heads().items():
        assert abs(item["datum"]["_value"] - weights[layer][0, head, 4, 2]) <= 5.01e-4
    assert opened.messages == []
    page.click(page.heads()[1, 1])  # its file is missing: the matrix stays, and its title says whose it is
    page.until(lambda: bool(opened.messages))
    assert "Attention of L2 H3" in page.titles()
    assert shows(page, weights[2][0, 3])


def test_without_its_package_the_widget_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    with pytest.raises(MissingPackageError, match="anywidget is needed for the explorer as a widget"):
        head_explorer_widget(attention(1, 2, 4))


def test_the_widget_answers_from_the_kernel() -> None:
    pytest.importorskip("anywidget")
    weights = attention(2, 3, 5)
    widget = head_explorer_widget(weights, pick=(0, 0))
    assert set(widget._params) == {"head_pick_served", "head_pick_served_pair"}

    def front_end(name: str, **values: int) -> None:
        """Send what the page sends when something is picked."""
        picked = {key: [value] for key, value in values.items()} | {"vlPoint": {"or": [values]}}
        widget._vl_selections = {**widget._vl_selections, name: {"value": picked, "store": [{}]}}

    front_end("head_pick", layer=1, head=2)
    served = widget.params.head_pick_served
    assert (served["layer"], served["head"]) == (1, 2)
    assert np.allclose(np.array(served["q"]) / 1000, weights[1][0, 2][np.tril_indices(5)], atol=5.01e-4)
    front_end("head_pick_pair", query=3, key=1)
    pair = widget.params.head_pick_served_pair
    assert (pair["query"], pair["key"]) == (3, 1)
    expected = [layer[0, head, 3, 1] for layer in weights for head in range(3)]
    assert np.allclose(np.array(pair["q"]) / 1000, expected, atol=5.01e-4)


def test_the_compiled_spec_keeps_the_pick_shared_and_the_domains_explicit() -> None:
    vega = vl_convert.vegalite_to_vega(everything().to_dict())
    colours = [scale for scale in vega["scales"] if scale["name"].endswith("color")]
    for scale in colours:
        assert isinstance(scale["domain"], list)
    assert sum(signal["name"] == "head_pick" for signal in vega["signals"]) == 1
