from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headspec import load_results_from_file
from headspec.errors import DataError, HeadspecError, KindError, MissingPackageError

ROWS = [
    {"strategy": "entropy", "stage": "baseline", "seed": 0, "perplexity": 20.5, "recovery_percentage": None},
    {"strategy": "random", "stage": "fine_tuned", "seed": 1, "perplexity": 1e60, "recovery_percentage": -350.25},
]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check(frame: pd.DataFrame) -> None:
    assert frame["strategy"].tolist() == ["entropy", "random"]
    assert frame["perplexity"].tolist() == [20.5, 1e60]
    assert frame["seed"].tolist() == [0, 1]
    assert pd.isna(frame["recovery_percentage"][0])
    assert frame["recovery_percentage"][1] == -350.25


CSV = "strategy,stage,seed,perplexity,recovery_percentage\nentropy,baseline,0,20.5,\nrandom,fine_tuned,1,1e60,-350.25\n"
FORMS: dict[str, Any] = {
    "a.csv": CSV,
    "bom.csv": b"\xef\xbb\xbf" + CSV.encode(),
    "windows.csv": CSV.replace("\n", "\r\n"),
    "excel.txt": CSV.replace(",", "\t").encode("utf-16"),
    "a.tsv": CSV.replace(",", "\t"),
    "european.csv": CSV.replace(".", "§").replace(",", ";").replace("§", ","),
    "semicolons.csv": CSV.replace(",", ";"),
    "no_suffix": CSV,
    "quoted.csv": CSV.replace("entropy", '"entropy"').replace("fine_tuned", '"fine_tuned"'),
    "rows.json": json.dumps(ROWS),
    "columns.json": json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}),
    "wrapped.json": json.dumps({"version": 1, "results": ROWS}),
    "wrapped_columns.json": json.dumps({"results": {key: [row[key] for row in ROWS] for key in ROWS[0]}}),
    "pandas.json": pd.DataFrame(ROWS).to_json(),
    "split.json": pd.DataFrame(ROWS).to_json(orient="split"),
    "table.json": pd.DataFrame(ROWS).to_json(orient="table"),
    "lines.jsonl": "\n".join(json.dumps(row) for row in ROWS) + "\n\n",
    "lines.ndjson": "\r\n".join(json.dumps(row) for row in ROWS),
    "lines_by_content": "\n".join(json.dumps(row) for row in ROWS),
    "lines_misnamed.json": "\n".join(json.dumps(row) for row in ROWS),
    "rows_misnamed.jsonl": json.dumps(ROWS, indent=1),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    check(load_results_from_file(write(tmp_path, name, FORMS[name])))
    check(load_results_from_file(str(tmp_path / name)))


def test_parquet_by_suffix_and_by_content(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.pq", "data"):
        pd.DataFrame(ROWS).to_parquet(tmp_path / name)
        check(load_results_from_file(tmp_path / name))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return original(name, *rest, **more)

    path = write(tmp_path, "a.parquet", b"PAR1....PAR1")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        MissingPackageError, match=r"pyarrow is needed to read Parquet files: pip install 'headspec\[parquet\]'"
    ):
        load_results_from_file(path)


def test_numbers_that_json_itself_lacks(tmp_path: Path) -> None:
    text = '[{"perplexity": NaN}, {"perplexity": Infinity}, {"perplexity": -Infinity}, {"perplexity": null}, {}]'
    values = load_results_from_file(write(tmp_path, "a.json", text))["perplexity"].tolist()
    assert math.isnan(values[0])
    assert values[1:3] == [math.inf, -math.inf]
    assert values[3:] == [None, None]


def test_missing_cells_are_not_nan(tmp_path: Path) -> None:
    frame = load_results_from_file(write(tmp_path, "a.csv", "a,b,c\n1,NaN,NaN\n,inf,\nnull,1,2\nNA,2,\n"))
    assert frame["a"].isna().tolist() == [False, True, True, True]
    assert str(frame["a"].dtype) == "Float64"
    assert frame["b"].dtype == "float64"
    assert frame["c"].tolist()[1] is None
    assert math.isnan(frame["c"].tolist()[0])


def test_names_stay_text(tmp_path: Path) -> None:
    frame = load_results_from_file(write(tmp_path, "a.csv", "model,strategy,seed,note\n125,1e3,007,none\n"))
    assert frame.loc[0, ["model", "strategy"]].tolist() == ["125", "1e3"]
    assert frame["seed"].tolist() == [7]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "  \n\n", "is empty"),
        ("a.csv", "a,b\n", "has no rows; its columns are: a and b"),
        ("a.csv", "a,b,c\n1,2,3\n1,2\n", r"has 2 cells in line 3 where its header has 3; the file may be cut off"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", "has 3 cells in line 3 where its header has 2"),
        ("a.csv", 'a,b\n1,"2\n', "EOF inside string .* it may be cut off"),
        ("a.csv", "a,a,b\n1,2,3\n", "several columns called a"),
        ("a.csv", b"a,b\n\xff\xfe\x00\x01", "is not UTF-8 text"),
        ("a.csv", b"a,b\n\xe9,1\n", r"is not UTF-8 text \(byte 4\)"),
        ("a.csv", b"a,b\n1,\x002\n", "holds null bytes"),
        ("a.csv", b"PAR1\x15\x04PAR1", "is a Parquet file, not text"),
        ("a.csv", b"PK\x03\x04rest", "zip archive"),
        ("a.json", b"\x1f\x8b\x08", "gzip archive"),
        ("a.json", '[{"a": 1}, {"a": ', "it ends too early, the file is cut off"),
        ("a.json", '{"a": [1, 2', "it ends too early"),
        ("a.json", '[{"a": 1},, {"a": 2}]', r"is not valid JSON \(.*line 1, column 11\)"),
        ("a.json", "3", "holds a number; expected a list of rows"),
        ("a.json", "[1, 2]", "holds a number as row 0"),
        ("a.json", '[{"a": 1}, null]', "holds null as row 1"),
        ("a.json", '{"a": [1, 2], "b": [1]}', "columns of unequal lengths: a 2 and b 1"),
        ("a.json", '{"a": 1}', "'a' holds a number"),
        ("a.json", "[]", "has no rows"),
        ("a.json", '{"columns": ["a", "b"], "data": [[1, 2], [3]]}', "row 1 of 'data' has 1 cells"),
        ("a.json", "[" * 100_000, "nested too deeply|cut off"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', r"is not valid JSON \(.*line 2, .*cut off"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "holds a list in line 2"),
        ("a.parquet", b"PAR1 and no more", "is cut off: a Parquet file ends with PAR1"),
        ("a.parquet", b"something else", "is not a Parquet file"),
        ("a.parquet", b"PAR1\x00\x01\x02PAR1", "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        load_results_from_file(path)
    assert name in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    write(tmp_path, "results.csv", CSV)
    with pytest.raises(DataError, match=r"there is no file .*resutls.csv; did you mean results.csv\?"):
        load_results_from_file(tmp_path / "resutls.csv")
    with pytest.raises(DataError, match="there is no file"):
        load_results_from_file(tmp_path / "nowhere" / "results.csv")
    with pytest.raises(DataError, match="is a folder"):
        load_results_from_file(tmp_path)
    with pytest.raises(KindError, match="path is list; expected the path"):
        load_results_from_file([CSV])  # type: ignore[arg-type]
    with pytest.raises(HeadspecError):
        load_results_from_file("a\x00b.csv")


def test_quoted_line_breaks_and_separators_are_no_short_rows(tmp_path: Path) -> None:
    frame = load_results_from_file(write(tmp_path, "a.csv", 'model,perplexity\n"a, b\nc",1\nd,2\n'))
    assert frame["model"].tolist() == ["a, b\nc", "d"]


def test_a_file_written_by_pandas_is_read_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "a.csv")
    again = load_results_from_file(tmp_path / "a.csv")
    assert again.columns.tolist() == ["", *frame.columns]
    assert again["perplexity"].tolist() == frame["perplexity"].tolist()
