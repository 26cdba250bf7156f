"""Draw the pictures of the README from the examples: python gallery/draw_pictures.py"""

from __future__ import annotations

from pathlib import Path

import headspec
from headspec.site.cards import read_example

# name → dots per inch: the large ones are shown small
PICTURES = {
    "entropy-heatmap": 144,
    "training-progress": 72,
    "attention-matrix": 72,
    "attention-heads": 72,
    "head-timeline": 72,
    "head-gradients": 144,
    "experiment-summary": 72,
}


def main() -> None:
    here = Path(__file__).parent
    for path in sorted((here / "examples").glob("*.py")):
        name = path.stem.split("_", 1)[1].replace("_", "-")
        if name in PICTURES:
            headspec.save(
                read_example(path).chart, here / "pictures" / f"{name}.png", theme="light", dpi=PICTURES[name]
            )


if __name__ == "__main__":
    (Path(__file__).parent / "pictures").mkdir(exist_ok=True)
    main()
