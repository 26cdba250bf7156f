"""A chart as plain Vega-Lite: under a theme, described, its datasets by stable names; and as reviewable JSON."""

from __future__ import annotations

import copy
import json
import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import altair as alt

from headspec.errors import DataError, KindError
from headspec.output.datasets import Collector, Dataset, check_name, numbered, plain
from headspec.output.jsontext import compact, layout
from headspec.output.schema import accepts
from headspec.output.summary import described
from headspec.output.themes import Theme, merged, theme_dict
from headspec.text import clean, listing

if TYPE_CHECKING:
    from altair.typing import ChartType

DataForm: TypeAlias = Literal["inline", "name", "url"]

_lock = threading.RLock()  # Altair's transformer and theme are global, and are ours while one chart becomes a dict
_TRANSFORMER = "headspec_output"


@dataclass(frozen=True)
class Export:
    """A chart taken apart: the spec, which only names its datasets, and the datasets."""

    spec: dict[str, Any]
    datasets: dict[str, Dataset]

    def text(self, body: str | None = None) -> str:
        """Return the whole spec, rows included, as compact JSON; `body` is the JSON of the spec, if it is at hand."""
        body = compact(self.spec) if body is None else body
        if not self.datasets:
            return body
        sets = ",".join(f"{compact(name)}:{item.text}" for name, item in self.datasets.items())
        return f'{{"datasets":{{{sets}}},{body[1:]}'

    def themed(self, theme: Mapping[str, Any]) -> Export:
        """Return the same chart over a theme's settings; what the chart sets itself holds."""
        return Export(merged(theme, self.spec), self.datasets) if theme else self


def to_spec(
    chart: ChartType,
    *,
    data: DataForm = "inline",
    theme: Theme = None,
    names: Mapping[str, str] | None = None,
    url: str = "{name}.json",
) -> dict[str, Any]:
    """Return a chart as a plain Vega-Lite dict that any Vega-Lite tool can open.

    Parameters
    ----------
    chart
        Any Altair chart. It is not changed, and shares nothing with the result.
    data
        Where the rows are: ``"inline"``, under ``datasets``, without a limit of rows; ``"name"``, nowhere: the spec says
        ``{"name": "heads"}`` and a page feeds it (``view.data("heads", rows)``); ``"url"``, in a file beside the spec.
        `to_rows` gives the rows that belong to the last two.
    theme
        ``"light"``, ``"dark"``, ``"paper"``, another theme of Altair's registry, or a config dict. None is the theme
        that is enabled in Altair and, where nothing was chosen there, ``"light"``; ``"none"`` adds nothing.
    names
        Other names for datasets: ``{"heads": "before", "heads_2": "after"}``.
    url
        For ``data="url"``: the address of each dataset, with ``{name}`` in it.

    Returns
    -------
    dict
        It always has a ``description``. Datasets are named after what they hold: ``attention`` (columns query and key),
        ``events`` (step, event), ``history`` (step, metric), ``heads`` (layer, head), ``results`` (strategy, stage or
        pruning_level), ``cells`` (lists), else ``rows``; a second one of a kind is ``heads_2``. A frame names itself with
        ``frame.attrs["headspec"] = {"name": …}``. Data that the author named, and data by URL, stay as they are.
        NaN and infinities in the rows are null, which is what Vega-Lite takes for a missing value.

    Raises
    ------
    KindError
        If `chart` is no Altair chart, or a cell holds what JSON cannot hold.
    DataError
        If the chart itself holds NaN or an infinity (a scale's domain, say), or a name is unknown or taken.

    Examples
    --------
    >>> import altair as alt, pandas as pd
    >>> frame = pd.DataFrame({"layer": [0, 0], "head": [0, 1], "value": [0.1, 0.9]})
    >>> chart = alt.Chart(frame).mark_rect().encode(x="head:O", y="layer:O", color="value:Q")
    >>> spec = to_spec(chart, data="name")
    >>> spec["data"], "datasets" in spec
    ({'name': 'heads'}, False)
    """
    out = json.loads(_spec_text(chart, data=data, theme=theme, names=names, url=url, pretty=False))
    return dict(out)


def to_json(
    chart: ChartType,
    *,
    data: DataForm = "inline",
    theme: Theme = None,
    names: Mapping[str, str] | None = None,
    url: str = "{name}.json",
) -> str:
    """Return a chart as Vega-Lite JSON: the same chart gives the same text in every process.

    Keys are sorted, structure is indented by two, each row of data is one compact line, so that a change of a chart or of
    a value is a change of a line.

    Parameters
    ----------
    chart, data, theme, names, url
        As for `to_spec`.

    Returns
    -------
    str
        UTF-8 text (``ensure_ascii=False``) that ends with a newline.

    Examples
    --------
    >>> import altair as alt, pandas as pd
    >>> text = to_json(alt.Chart(pd.DataFrame({"a": [1, 2]})).mark_point().encode(x="a:Q"), theme="none")
    >>> print(text[text.index('"datasets"'):text.index('"description"')].rstrip())
    "datasets": {
        "rows": [
          {"a":1},
          {"a":2}
        ]
      },
    """
    return _spec_text(chart, data=data, theme=theme, names=names, url=url, pretty=True)


def to_rows(chart: ChartType, *, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the datasets that a chart draws, by the names that `to_spec` gives them.

    Returns
    -------
    dict
        For each dataset its rows: a list of plain dicts, as a page would feed them to ``view.data(name, rows)``.
    """
    return {name: json.loads(item.text) for name, item in export(chart, theme={}, names=names).datasets.items()}


def _spec_text(
    chart: ChartType, *, data: DataForm, theme: Theme, names: Mapping[str, str] | None, url: str, pretty: bool
) -> str:
    if data not in ("inline", "name", "url"):
        raise DataError(f"data is 'inline', 'name' or 'url', not {clean(repr(data))}")
    taken = export(chart, theme=theme, names=names)
    if data != "inline":
        spec = dict(taken.spec)
        if data == "url":
            spec = by_url(spec, taken.datasets, url)
        taken = Export(spec, {})
    return layout(taken.spec, {name: item.lines or item.text for name, item in taken.datasets.items()}, pretty=pretty)


def check_chart(chart: object) -> ChartType:
    """Return the chart, or say what was given instead of one."""
    if isinstance(chart, alt.TopLevelMixin) and isinstance(chart, alt.SchemaBase):
        return chart  # type: ignore[return-value]
    hint = "; of a spec, alt.Chart.from_dict(spec) makes a chart" if isinstance(chart, Mapping) else ""
    raise KindError(f"chart is an Altair chart, not {type(chart).__name__}{hint}")


def export(chart: ChartType, *, theme: Theme = None, names: Mapping[str, str] | None = None) -> Export:
    """Take a chart apart: its spec under a theme, with a description, and its datasets by their names."""
    check_chart(chart)
    settings = theme_dict(theme)
    collector = Collector()
    with _lock:
        alt.data_transformers.register(_TRANSFORMER, collector)
        try:
            with alt.data_transformers.enable(_TRANSFORMER, consolidate_datasets=True), alt.theme.enable("none"):
                spec = chart.to_dict(validate=False)
                if not accepts(chart, spec):
                    chart.to_dict()  # slower, and says what is wrong
        finally:
            alt.data_transformers.register(_TRANSFORMER, None)
    return _taken_apart(spec, collector, settings, names or {})


def export_spec(spec: Mapping[str, Any], *, theme: Theme = None) -> Export:
    """Take apart a spec that is a dict already, as Altair hands it to a renderer."""
    return _taken_apart(copy.deepcopy(dict(spec)), Collector(), theme_dict(theme), {})


def _taken_apart(
    spec: dict[str, Any], collector: Collector, settings: Mapping[str, Any], names: Mapping[str, str]
) -> Export:
    references = _references(spec, collector)
    final = _named(references, collector, names)
    for node in _data_nodes(spec):
        if isinstance(node.get("name"), str):
            node["name"] = final.get(node["name"], node["name"])
    datasets = {final[reference]: collector.sets[reference] for reference in references}
    whole = {**spec, "description": described(spec)}
    return Export(_finite(merged(settings, whole)), datasets)


def _references(spec: dict[str, Any], collector: Collector) -> list[str]:
    """Return the references to the datasets of a spec, in the order in which it uses them; rows left inside it are taken."""
    given: dict[str, Any] = spec.pop("datasets", {})
    taken: dict[str, str] = {}
    order: dict[str, None] = {}
    for node in _data_nodes(spec):
        name = node.get("name")
        if isinstance(node.get("values"), (list, dict, str)):
            node["name"] = collector.add(node.pop("values"), own=name or "")
        elif name in given:
            if name not in taken:  # Altair names what it takes out of a chart by a hash; all else is the author's name
                taken[name] = collector.add(given[name], own="" if name.startswith("data-") else name)
            node["name"] = taken[name]
        if node.get("name") in collector.sets:
            order[node["name"]] = None
    unused = (name for name in given if name not in taken)
    order.update(dict.fromkeys(collector.add(given[name], own=name) for name in unused))
    return list(order)


def _named(references: list[str], collector: Collector, names: Mapping[str, str]) -> dict[str, str]:
    sets = [collector.sets[reference] for reference in references]
    authored = [item.name for item in sets if item.authored]
    counted = iter(numbered((item.name for item in sets if not item.authored), taken=authored))
    derived = [item.name if item.authored else next(counted) for item in sets]
    unknown = [name for name in names if name not in derived]
    if unknown:
        raise DataError(f"names: the chart has no dataset {listing(unknown)}; it has {listing(derived) or 'none'}")
    wanted = [check_name(names[name]) if name in names else name for name in derived]
    if len(set(wanted)) < len(wanted):
        raise DataError(f"names: two datasets would have one name: {listing(wanted)}")
    return dict(zip(references, wanted, strict=True))


def _data_nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every ``data`` object of a spec: of views, and of lookups."""
    if isinstance(node, dict):
        data = node.get("data")
        if isinstance(data, dict):
            yield data
        for key, item in node.items():
            if key not in ("data", "config", "usermeta") and isinstance(item, (dict, list)):
                yield from _data_nodes(item)
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, (dict, list)):
                yield from _data_nodes(item)


def by_url(spec: dict[str, Any], datasets: Mapping[str, Dataset], url: str) -> dict[str, Any]:
    """Return the spec with its named datasets as addresses."""
    if "{name}" not in url and len(datasets) > 1:
        raise DataError(f"url={clean(url)!r} is one address for {len(datasets)} datasets: put {{name}} into it")
    out: dict[str, Any] = json.loads(compact(spec))
    for node in _data_nodes(out):
        if node.get("name") in datasets:
            node["url"] = url.replace("{name}", node.pop("name"))
            node["format"] = {"type": "json", **(node.get("format") or {})}
    return out


def _finite(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec, which is to hold no NaN or infinity and nothing but plain values."""
    try:
        json.dumps(spec, allow_nan=False)
    except (ValueError, TypeError):
        for path, value in _numbers(spec, ""):
            if not math.isfinite(value):
                raise DataError(
                    f"the chart's {path} is {value}, which JSON cannot hold: give a finite number there"
                ) from None
        return dict(plain(spec))
    return spec


def _numbers(node: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(node, dict):
        for key, item in node.items():
            yield from _numbers(item, f"{path}.{key}".lstrip("."))
    elif isinstance(node, (list, tuple)):
        for place, item in enumerate(node):
            yield from _numbers(item, f"{path}[{place}]")
    elif isinstance(node, float):
        yield path, node
