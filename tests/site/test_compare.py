"""What of several runs is compared, and that the numbers of a comparison are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import headspec
from headspec.errors import DataError
from headspec.site.compare import comparisons
from headspec.site.compare_attention import attention_moved, attention_side_by_side, changed_weights
from headspec.site.maps import side_by_side
from headspec.sources.run_folder import read_run

UNIFORM = np.full((2, 3, 4, 4), 0.25)


def looking_at(key: int) -> np.ndarray:
    """All heads give all their attention to one key."""
    weights = np.zeros((2, 3, 4, 4))
    weights[..., key] = 1
    return weights


def layers(weights: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(weights[:, None])


def write(folder: Path, shape: tuple[int, int], weights: np.ndarray | None = None, tokens: str = "abcd") -> Path:
    folder.mkdir()
    np.save(folder / "entropy.npy", np.random.default_rng(len(folder.name)).random(shape))
    if weights is not None:
        np.savez(folder / "attention.npz", attention=weights, tokens=np.array(list(tokens)))
    return folder


def test_the_share_that_moved_is_the_total_variation():
    assert (attention_moved(layers(UNIFORM), layers(UNIFORM)) == 0).all()
    assert (attention_moved(layers(looking_at(0)), layers(looking_at(3))) == 1).all()
    # from a quarter on each key to one key: three quarters move
    assert attention_moved(layers(UNIFORM), layers(looking_at(2))).tolist() == [[0.75] * 3] * 2
    padded = looking_at(2)
    padded[1, 0, 2:] = np.nan  # queries that are left out
    padded[1, 1] = np.nan
    moved = attention_moved(layers(UNIFORM), layers(padded))
    assert moved[1, 0] == 0.75
    assert np.isnan(moved[1, 1])


def test_the_batch_says_which_sequence_moved():
    both = np.stack([UNIFORM, looking_at(1)], axis=1)  # [layer, batch, head, query, key]
    assert (attention_moved(tuple(both), layers(UNIFORM), batch=(0, 0)) == 0).all()
    assert (attention_moved(tuple(both), layers(UNIFORM), batch=(1, 0)) == 0.75).all()


def test_attention_of_another_size_has_no_difference():
    with pytest.raises(DataError, match="expected the same text and heads"):
        attention_moved(layers(UNIFORM), layers(np.full((2, 3, 5, 5), 0.2)))
    with pytest.raises(DataError, match="attentions is empty"):
        attention_side_by_side({}, title="T")


def test_what_changed_is_said_by_its_tokens():
    chart = changed_weights(
        layers(UNIFORM), layers(looking_at(2)), 1, 2, title="T", labels=("one", "two"), tokens=["a", "b", " c", "d"]
    )
    assert headspec.summary(chart) == (
        "Attention of L1 H2, two minus one, of 4 queries × 4 keys. "
        "From −0.25 (query 0 (a), key 0 (a)) to +0.75 (query 0 (a), key 2 (·c))."
    )


def test_only_runs_of_one_size_are_subtracted(tmp_path):
    runs = [read_run(write(tmp_path / name, shape)) for name, shape in (("a", (2, 3)), ("bb", (4, 4)), ("ccc", (2, 3)))]
    titles = [item.title for item in comparisons(runs)]
    assert titles == ["Attention entropy of 3 runs", "Attention entropy: ccc − a"]
    card = next(iter(comparisons(runs))).make()
    assert card.question == "Which heads stand out in each of the models?"


@pytest.mark.parametrize(
    ("tokens", "other", "found"),
    [("abcd", UNIFORM, 3), ("abcx", UNIFORM, 0), ("abcd", UNIFORM[:1], 1), ("abcd", np.full((2, 3, 5, 5), 0.2), 0)],
)
def test_attention_is_compared_where_text_and_heads_agree(tmp_path, tokens, other, found):
    size = other.shape[-1]
    first = read_run(write(tmp_path / "a", (2, 3), UNIFORM))
    second = read_run(write(tmp_path / "bb", (2, 3), other, tokens[:size] + "e" * (size - 4)))
    titles = [item.title for item in comparisons([first, second]) if not item.title.startswith("Attention entropy")]
    wanted = ["All heads of 2 runs: attention", "Attention that moved: bb − a, attention"]
    assert titles == [*wanted, "Weights that changed: bb − a, attention"][:found]


def test_maps_side_by_side_have_one_legend():
    spec = headspec.to_json(side_by_side({name: [[1.0, 2.0]] for name in "abcd"}, title="T"))
    assert spec.count('"gradientLength"') == 1
