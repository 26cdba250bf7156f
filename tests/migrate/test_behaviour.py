"""A notebook shows and saves after the migration what it showed and saved before.

Notebooks put together at random are run twice, before against a small model of pyplot with its current figure and of
the display at the end of a cell, and after against a model of headspec; what each cell shows and saves must agree.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

F = "visualize_entropy_heatmap"
HEAD = f"def {F}(entropy_values, title='Attention Entropy Heatmap', save_path=None, show=True, figsize=(3, 3)):\n"
BODIES = {
    "returns its figure": "    fig, ax = plt.subplots()\n    ax.imshow(entropy_values)\n{save}    return fig\n",
    "returns the current": "    plt.figure()\n    plt.imshow(entropy_values)\n{save}    return plt.gcf()\n",
    "returns nothing": "    plt.figure()\n    plt.imshow(entropy_values)\n{save}",
    "shows": "    plt.figure()\n    plt.imshow(entropy_values)\n{save}    plt.show()\n",
    "shows and returns": "    fig = plt.figure()\n    plt.imshow(entropy_values)\n{save}    plt.show()\n    return fig\n",
    "shows or saves": (
        "    plt.figure()\n    plt.imshow(entropy_values)\n    if save_path:\n        plt.savefig(save_path)\n"
        "        plt.close()\n    else:\n        plt.show()\n"
    ),
    "shows if told": (
        "    fig = plt.figure()\n    plt.imshow(entropy_values)\n{save}    if show:\n        plt.show()\n"
        "    else:\n        plt.close(fig)\n    return fig\n"
    ),
    "draws into the current": "    plt.imshow(entropy_values)\n{save}    return plt.gcf()\n",
}
SAVE = "    if save_path is not None:\n        plt.savefig(save_path)\n"


class Stage:
    """What is open, and what was shown and saved in each cell."""

    def __init__(self) -> None:
        self.open: list[Figure] = []
        self.shown: set[tuple[int, frozenset[str]]] = set()
        self.saved: set[tuple[int, str, frozenset[str]]] = set()
        self.cell = 0

    def show(self, content: list[str]) -> None:
        if content:
            self.shown.add((self.cell, frozenset(content)))

    def save(self, path: str, content: list[str]) -> None:
        self.saved.add((self.cell, path, frozenset(content)))


class Figure:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.content: list[str] = []

    def draw(self, what: Any, *_: Any, **__: Any) -> None:
        self.content.append(str(what))

    imshow = plot = draw

    def savefig(self, path: str, **_: Any) -> None:
        self.stage.save(path, self.content)

    def tight_layout(self) -> None:
        pass


class Pyplot(types.SimpleNamespace):
    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def gcf(self) -> Figure:
        return self.stage.open[-1] if self.stage.open else self.figure()

    def figure(self, **_: Any) -> Figure:
        self.stage.open.append(Figure(self.stage))
        return self.stage.open[-1]

    def subplots(self, **_: Any) -> tuple[Figure, Figure]:
        figure = self.figure()
        return figure, figure

    def imshow(self, what: Any, **_: Any) -> None:
        self.gcf().draw(what)

    plot = title = imshow

    def savefig(self, path: str, **_: Any) -> None:
        self.gcf().savefig(path)

    def show(self) -> None:
        for figure in self.stage.open:
            self.stage.show(figure.content)
        self.stage.open.clear()

    def close(self, which: Any = "current") -> None:
        if which == "all":
            self.stage.open.clear()
        elif which == "current":
            del self.stage.open[-1:]
        elif not isinstance(which, Figure):
            raise TypeError("no figure")
        elif which in self.stage.open:
            self.stage.open.remove(which)

    def tight_layout(self) -> None:
        self.gcf()


class Chart:
    def __init__(self, data: Any, stage: Stage) -> None:
        self.content = [str(data)]
        self.stage = stage

    def show(self) -> None:
        self.stage.show(self.content)


def perform(cells: list[str], stage: Stage, *, script: bool = False) -> None:
    """Run cells as a notebook does: the last expression is shown, and what is open at the end of a cell too."""

    def display(value: Any) -> None:
        if isinstance(value, (Figure, Chart)):
            stage.show(value.content)

    headspec = types.ModuleType("headspec")
    headspec.save = lambda chart, path: stage.save(path, chart.content)  # type: ignore[attr-defined]
    chart: Callable[..., Chart] = lambda entropy_values, title="x": Chart(entropy_values, stage)  # noqa: E731
    names: dict[str, Any] = {"plt": Pyplot(stage), "display": display}
    for number, text in enumerate(cells):
        stage.cell = number
        lines = [line for line in text.splitlines() if not line.startswith(("import", "from"))]
        if len(lines) < len(text.splitlines()):
            names.update({"headspec": headspec} | ({F: chart} if F in text else {}))
        tree = ast.parse("\n".join(lines))
        quiet = script or text.rstrip().endswith(";")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) and not quiet else None
        exec(compile(tree, "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            display(eval(compile(ast.Expression(last.value), "<cell>", "eval"), names))
        if not script:
            names["plt"].show()


DATA = st.integers(1, 9).map(lambda n: f"'e{n}'")
PATH = st.integers(1, 9).map(lambda n: f"'p{n}.png'")
SIMPLE = st.one_of(
    DATA.map(lambda d: f"{F}({d})"),
    DATA.map(lambda d: f"{F}({d});"),
    st.tuples(DATA, PATH).map(lambda t: f"{F}({t[0]}, save_path={t[1]})"),
    st.tuples(DATA, st.booleans()).map(lambda t: f"{F}({t[0]}, show={t[1]})"),
    DATA.map(lambda d: f"fig = {F}({d})"),
    st.tuples(DATA, PATH).map(lambda t: f"fig = {F}({t[0]}, save_path={t[1]})"),
    st.tuples(DATA, PATH).map(lambda t: f"{F}({t[0]}).savefig({t[1]})"),
    DATA.map(lambda d: f"display({F}({d}))"),
    DATA.map(lambda d: f"plt.plot({d})"),
    DATA.map(lambda d: f"w({d})"),
    DATA.map(lambda d: f"fig = w({d})"),
    PATH.map(lambda p: f"fig.savefig({p})"),
    PATH.map(lambda p: f"plt.savefig({p})"),
    *(
        st.just(text)
        for text in (
            *("plt.show()",) * 4,
            *("plt.close()", "plt.close(fig)", "plt.close('all')", "plt.figure()", "plt.figure(figsize=(3, 3))"),
            *("plt.tight_layout()", "fig.tight_layout()", "display(fig)", "fig", "print", "x = 1"),
            *("fig, ax = plt.subplots()", "ax.plot('a1')", "fig = plt.gcf()", "plt.title('')", "other('o1')"),
        )
    ),
)


def indented(lines: list[str]) -> str:
    return "".join(f"    {line}\n" for text in lines for line in text.splitlines())


def nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.lists(inner, min_size=1, max_size=3).map(indented)
    return st.one_of(
        block.map(lambda b: "for i in range(2):\n" + b.rstrip()),
        block.map(lambda b: "if x:\n" + b.rstrip()),
        st.tuples(block, block).map(lambda t: f"if x:\n{t[0]}else:\n{t[1].rstrip()}"),
        block.map(lambda b: "try:\n" + b + "finally:\n    x = 1"),
    )


STATEMENT = st.one_of(SIMPLE, SIMPLE, SIMPLE, nest(st.one_of(SIMPLE, nest(SIMPLE))))
CELL = st.lists(STATEMENT, min_size=1, max_size=5).map("\n".join)
LOCAL = st.sampled_from(
    [
        f"return {F}(d)",
        f"return {F}(d, save_path='w.png')",
        f"fig = {F}(d)\nplt.show()\nreturn fig",
        f"fig = {F}(d)\nfig.savefig('w.png')\nplt.close(fig)\nreturn fig",
        f"{F}(d)\nplt.show()",
        f"{F}(d)",
        f"fig = {F}(d)\nif d:\n    fig.savefig('w.png')",
        f"if d:\n    return {F}(d)",
        "plt.plot(d)",
    ]
)


def compare(run: Any, body: str, wrapper: str, cells: list[str], *, script: bool = False) -> str:
    start = "import matplotlib.pyplot as plt\nx = 1"
    other = "def other(d):\n    plt.figure()\n    plt.plot(d)\n"
    definition = HEAD + BODIES[body].format(save=SAVE)
    book = [start, definition, other, "def w(d):\n" + indented([wrapper]), *cells]
    if script:
        book = ["\n\n".join(book)]
    before = Stage()
    try:
        perform(book, before, script=script)
    except Exception:  # a notebook that does not run before tells nothing
        return "does not run"
    done = run(book[0].encode(), script=True) if script else run(*book)
    if not done.changed:
        return "left"
    after = Stage()
    perform(done.cells, after, script=script)
    story = "\n\n".join(book[-len(cells) :]) + "\n------\n" + "\n\n".join(done.cells[3 * (not script) :])
    assert after.shown == before.shown, story
    assert after.saved == before.saved, story
    return "moved"


@given(st.sampled_from(sorted(BODIES)), LOCAL, st.lists(CELL, min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_what_a_notebook_shows_and_saves_stays(migrate, body, wrapper, cells) -> None:
    outcome = compare(migrate, body, wrapper, cells)
    event(outcome)
    assume(outcome != "does not run")


@given(st.sampled_from(sorted(BODIES)), LOCAL, st.lists(CELL, min_size=1, max_size=2))
@settings(max_examples=40, deadline=None)
def test_what_a_script_shows_and_saves_stays(migrate_data, body, wrapper, cells) -> None:
    outcome = compare(migrate_data, body, wrapper, cells, script=True)
    event(outcome)
    assume(outcome != "does not run")
