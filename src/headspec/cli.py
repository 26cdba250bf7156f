"""The command line: a gallery, one chart, old plotting code moved over."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import headspec
from headspec.catalog import CHARTS, Entry
from headspec.errors import HeadspecError, need
from headspec.text import clean


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 where something was left undone, 2 for an error in one line."""
    parser = _parser()
    args = parser.parse_args(argv)
    warnings.showwarning = _warn
    try:
        return int(args.run(args))
    except HeadspecError as error:
        print(f"headspec: {error}", file=sys.stderr)
    except (TypeError, ValueError) as error:  # an option that the chart does not know or cannot read
        print(f"headspec: {clean(error)}", file=sys.stderr)
    except BrokenPipeError:  # the reader of the output has seen enough: `| head` say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more when it ends
        return 141
    except OSError as error:
        print(f"headspec: {clean(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("headspec: stopped", file=sys.stderr)
        return 130
    return 2


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"headspec: {clean(message)}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headspec", description="Charts of attention heads, head pruning and plasticity."
    )
    parser.add_argument("--version", action="version", version=f"headspec {headspec.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="build the gallery of all charts from the recorded real run")
    demo.add_argument("folder", nargs="?", default="headspec-gallery", help="where to (default: %(default)s)")
    _add_workers(demo)
    demo.set_defaults(run=_demo)

    report = commands.add_parser("report", help="build a site of the folders of your own runs")
    report.add_argument("runs", nargs="+", metavar="RUN", help="a folder with arrays, a history, results, events")
    report.add_argument("-o", "--output", required=True, metavar="SITE", help="the folder to build the site in")
    report.add_argument("--title", default="", help="heading of the index")
    report.add_argument("--force", action="store_true", help="build into a folder that holds other files; they stay")
    report.add_argument("--templates", metavar="DIR", help="a folder with templates and styles that replace headspec's")
    _add_workers(report)
    report.set_defaults(run=_report)

    chart = commands.add_parser(
        "chart",
        help="draw one chart from a file",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_kinds(),
    )
    chart.add_argument("kind", choices=[entry.kind for entry in CHARTS], metavar="KIND", help="which chart (see below)")
    chart.add_argument("input", nargs="+", help="a file, or two where a chart takes two arrays")
    chart.add_argument("-o", "--output", required=True, help="picture.png, .svg, .pdf, .html, .json or .vg.json")
    chart.add_argument(
        "--key", action="append", help="which array of an .npz file (once per array that the chart takes)"
    )
    chart.add_argument("--tokens", help="a JSON file with the list of tokens")
    chart.add_argument("--theme", choices=["light", "dark", "paper"], default="light")
    chart.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any argument of the function; the value is read as JSON",
    )
    chart.set_defaults(run=_chart)

    migrate = commands.add_parser(
        "migrate", help="move notebooks with plotting functions of their own over to headspec"
    )
    _add_migrate(migrate)
    return parser


def _add_workers(parser: argparse.ArgumentParser) -> None:
    most = min(os.cpu_count() or 1, 8)
    parser.add_argument(
        "--workers",
        type=int,
        default=most,
        metavar="N",
        help="processes that draw pictures at once (default: %(default)s)",
    )


def _kinds() -> str:
    wide = max(len(entry.kind) for entry in CHARTS)
    lines = [f"  {entry.kind:{wide}}  {entry.name} ({entry.inputs})" for entry in CHARTS]
    return "KIND is one of\n" + "\n".join(lines)


def _add_migrate(parser: argparse.ArgumentParser) -> None:
    try:
        module = importlib.import_module("headspec.migrate.cli")
    except ImportError:  # libcst is an extra: the command is listed, and says what to install

        def missing(_: argparse.Namespace) -> int:
            raise need("libcst", extra="migrate", purpose="to rewrite notebooks")

        parser.add_argument("paths", nargs="*")
        parser.set_defaults(run=missing)
        return
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)


def _demo(args: argparse.Namespace) -> int:
    from headspec.site.demo import build_demo

    return int(build_demo(args.folder, workers=args.workers))


def _report(args: argparse.Namespace) -> int:
    from headspec.site.report import build_report

    built = build_report(
        args.runs,
        args.output,
        title=args.title,
        templates=args.templates,
        force=args.force,
        say=lambda line: print(line, flush=True),
        workers=args.workers,
    )
    for title, reason in built.notes:
        print(f"headspec: {title}: {reason}", file=sys.stderr)
    for title, reason in built.failed:
        print(f"headspec: {title} failed: {reason}", file=sys.stderr)
    print(f"{built.said()}\nOpen {built.index.resolve().as_uri()}")
    return 1 if built.failed else 0


def _chart(args: argparse.Namespace) -> int:
    entry = next(entry for entry in CHARTS if entry.kind == args.kind)
    options = dict(_option(text) for text in args.set)
    if args.tokens:
        options["tokens"] = json.loads(Path(args.tokens).read_text(encoding="utf-8"))
    chart = _READERS[entry.inputs](entry, args.input, args.key or [], options)
    where = headspec.save(chart, args.output, theme=args.theme)
    print(f"{where}: {headspec.summary(chart)}")
    return 0


def _option(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise headspec.DataError(f"--set {clean(text)}: expected NAME=VALUE, --set 'pruned_heads=[[0, 1]]' say")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # plain words need no quotes


def _arrays(inputs: list[str], keys: list[str], count: int) -> list[Any]:
    from headspec.sources.arrays import load_arrays, pick_array

    if len(inputs) not in (1, count):
        raise headspec.DataError(
            f"the chart takes {count} array{'s' if count > 1 else ''}; {len(inputs)} files were given"
        )
    wanted: list[str | None] = [*keys, *[None] * (count - len(keys))][:count]
    files = inputs * count if len(inputs) == 1 else inputs
    return [pick_array(load_arrays(path), key, name=path) for path, key in zip(files, wanted, strict=True)]


def _from_heads(entry: Entry, inputs: list[str], keys: list[str], options: dict[str, Any]) -> Any:
    return getattr(headspec, entry.name)(*_arrays(inputs, keys, 1), **options)


def _from_attention(entry: Entry, inputs: list[str], keys: list[str], options: dict[str, Any]) -> Any:
    (array,) = _arrays(inputs, keys, 1)
    if entry.name == "visualize_normalized_entropy":
        return headspec.visualize_normalized_entropy(attention=array, **options)
    return getattr(headspec, entry.name)(array, **options)


def _from_pair(entry: Entry, inputs: list[str], keys: list[str], options: dict[str, Any]) -> Any:
    return getattr(headspec, entry.name)(*_arrays(inputs, keys, 2), **options)


def _from_importance(entry: Entry, inputs: list[str], keys: list[str], options: dict[str, Any]) -> Any:
    from headspec.sources.arrays import load_arrays, pick_array

    arrays = load_arrays(inputs[0])
    scores = {key: pick_array(arrays, key, name=inputs[0]) for key in keys} if keys else arrays
    return getattr(headspec, entry.name)(options.pop("model_name", Path(inputs[0]).stem), scores, **options)


def _from_table(entry: Entry, inputs: list[str], keys: list[str], options: dict[str, Any]) -> Any:
    if len(inputs) != 1 or keys:
        raise headspec.DataError(f"{entry.kind} takes one table (CSV, JSON, JSON Lines or Parquet), and no --key")
    return getattr(headspec, entry.name)(headspec.load_results_from_file(inputs[0]), **options)


_READERS: dict[str, Callable[[Entry, list[str], list[str], dict[str, Any]], Any]] = {
    "heads": _from_heads,
    "attention": _from_attention,
    "heads pair": _from_pair,
    "importance": _from_importance,
    "history": _from_table,
    "results": _from_table,
    "events": _from_table,
}

if __name__ == "__main__":
    sys.exit(main())
