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


def moved(before: object, after: object, **options: object) -> list[list[float]]:
    return [heads.tolist() for heads in attention_moved(before, after, **options).values()]


def test_the_share_that_moved_is_the_total_variation():
    assert moved(layers(UNIFORM), layers(UNIFORM)) == [[0.0] * 3] * 2
    assert moved(layers(looking_at(0)), layers(looking_at(3))) == [[1.0] * 3] * 2
    # from a quarter on each key to one key: three quarters move
    assert moved(layers(UNIFORM), layers(looking_at(2))) == [[0.75] * 3] * 2
    gone = looking_at(2)
    gone[1, 0, 2:] = np.nan  # queries that are left out
    gone[1, 1] = np.nan
    gone[1, 2, 0, 0] = np.inf
    found = moved(layers(UNIFORM), layers(gone))
    assert found[1][0] == found[1][2] == 0.75
    assert np.isnan(found[1][1])


def test_layers_keep_their_ids_and_their_own_number_of_heads():
    before = {3: UNIFORM[:1], 7: UNIFORM[1:, :2]}
    found = attention_moved(before, {3: looking_at(1)[:1], 7: UNIFORM[1:, :2]})
    assert {layer: heads.tolist() for layer, heads in found.items()} == {3: [0.75] * 3, 7: [0.0] * 2}
    with pytest.raises(DataError, match="before has the layers 3 and 7 and after 0 and 1"):
        attention_moved(before, layers(UNIFORM))


def test_padding_does_not_move():
    after = UNIFORM.copy()
    after[:, :, 2:] = looking_at(0)[:, :, 2:]  # only the queries that are padding look elsewhere
    assert moved(layers(UNIFORM), layers(after)) == [[0.375] * 3] * 2
    assert moved(layers(UNIFORM), layers(after), attention_mask=[1, 1, 0, 0]) == [[0.0] * 3] * 2
    chart = changed_weights(layers(UNIFORM), layers(after), 0, 0, title="T", attention_mask=[1, 1, 0, 0])
    assert "From 0 (query 0, key 0) to 0 (query 0, key 0)" in headspec.summary(chart)


def test_the_batch_says_which_sequence_moved():
    both = np.stack([UNIFORM, looking_at(1)], axis=1)  # [layer, batch, head, query, key]
    assert moved(tuple(both), layers(UNIFORM), batch=(0, 0)) == [[0.0] * 3] * 2
    assert moved(tuple(both), layers(UNIFORM), batch=(1, 0)) == [[0.75] * 3] * 2


def test_attention_of_another_size_has_no_difference():
    with pytest.raises(DataError, match="expected the same text and heads"):
        attention_moved(layers(UNIFORM), layers(np.full((2, 3, 5, 5), 0.2)))
    with pytest.raises(DataError, match="attentions is empty"):
        attention_side_by_side({}, title="T")


def test_a_weight_that_is_infinite_takes_no_part_in_the_shared_colours():
    broken = UNIFORM.copy()
    broken[0, 0, 1, 1] = np.inf
    chart = attention_side_by_side({"one": layers(UNIFORM), "two": layers(broken)}, title="T")
    assert "up to 0.25" in headspec.summary(chart)


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


def test_events_mark_the_heads_of_runs_that_hold_attention_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "attention.npz", attention=UNIFORM[:, None])
        (tmp_path / name / "events.csv").write_text("step,layer,head,event\n5,1,2,pruned\n", encoding="utf-8")
    card = next(iter(comparisons([read_run(tmp_path / name) for name in ("a", "b")]))).make()
    assert headspec.summary(card.chart).count("1 head pruned (L1 H2)") == 2


def test_maps_side_by_side_have_one_legend():
    spec = headspec.to_json(side_by_side({name: [[1.0, 2.0]] for name in "abcd"}, title="T"))
    assert spec.count('"gradientLength"') == 1


def test_the_page_of_what_moved_draws_the_layers_and_the_tokens_that_are_real(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        weights = rng.dirichlet(np.ones(4), size=(2, 2, 3, 4))  # [layer, batch, head, query, key]
        np.savez(tmp_path / name / "attention.npz", attention=weights, attention_mask=[[1, 1, 1, 1], [1, 1, 1, 0]])
    runs = [read_run(tmp_path / name) for name in ("a", "b")]
    assert runs[0].attention[0].mask is not None
    monkeypatch.chdir(tmp_path)
    cards = [item.make() for item in comparisons(runs)]
    assert [card.kind for card in cards] == ["side-by-side", "measure-map", "attention-matrix"]
    for card in cards:
        names: dict[str, object] = {}
        exec(card.code, names)
        assert headspec.to_json(names["chart"]) == headspec.to_json(card.chart)
        assert "['attention_mask']" in card.code
