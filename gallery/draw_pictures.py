"""Draw the pictures of the README from the examples: python gallery/draw_pictures.py"""

from __future__ import annotations

from pathlib import Path

import headspec
from headspec.site.cards import read_example

PICTURES = (
    "entropy-heatmap",
    "training-progress",
    "attention-matrix",
    "attention-heads",
    "head-timeline",
    "head-gradients",
    "experiment-summary",
)


def main() -> None:
    here = Path(__file__).parent
    for path in sorted((here / "examples").glob("*.py")):
        name = path.stem.split("_", 1)[1].replace("_", "-")
        if name in PICTURES:
            headspec.save(read_example(path).chart, here / "pictures" / f"{name}.png", theme="light", dpi=144)


if __name__ == "__main__":
    (Path(__file__).parent / "pictures").mkdir(exist_ok=True)
    main()
