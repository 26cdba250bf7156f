from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headspec.errors import DataError, KindError
from headspec.measures.gradients import calculate_gradient_norms
from headspec.tables.heads import heads_table

Floats = npt.NDArray[np.float64]
Named = dict[str, Tensor]


class Shape:
    """Sizes that are all different, so that a wrong axis cannot fit by accident."""

    def __init__(self, heads: int = 4, groups: int = 2, size: int = 3, width: int = 10) -> None:
        self.heads, self.groups, self.size, self.width = heads, groups, size, width


def leaves(shape: Shape, seed: int = 0) -> list[dict[str, Tensor]]:
    """One query and output matrix for each head, one key and value matrix for each group: nothing is sliced here."""
    make = torch.Generator().manual_seed(seed)

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=make, dtype=torch.float64, requires_grad=True)

    heads = [{"q": drawn(shape.size, shape.width), "o": drawn(shape.width, shape.size)} for _ in range(shape.heads)]
    groups = [{"k": drawn(shape.size, shape.width), "v": drawn(shape.size, shape.width)} for _ in range(shape.groups)]
    share = shape.heads // shape.groups
    return [{**head, **groups[index // share]} for index, head in enumerate(heads)]


def loss_of(parts: list[dict[str, Tensor]]) -> Tensor:
    """Attention written head by head."""
    width = parts[0]["q"].shape[1]
    x = torch.randn(6, width, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    total = torch.zeros(6, width, dtype=torch.float64)
    for head in parts:
        scores = (x @ head["q"].T) @ (x @ head["k"].T).T / head["q"].shape[0] ** 0.5
        total = total + scores.softmax(-1) @ (x @ head["v"].T) @ head["o"].T
    return (total**3).sum()


def expected(parts: list[dict[str, Tensor]], kv: str = "shared") -> Floats:
    """The norm of each head by autograd on its own leaves."""
    loss_of(parts).backward()
    share = sum(head["k"] is parts[0]["k"] for head in parts)
    scale = {"shared": 1.0, "divided": 1 / share, "exclude": 0.0}[kv]
    squares = [
        sum(float((head[role].grad ** 2).sum()) * (1.0 if role in "qo" else scale) for role in "qkvo") for head in parts
    ]
    return np.sqrt(squares)


def stacked(parts: list[dict[str, Tensor]], role: str) -> Tensor:
    """All heads' (or groups') matrices below each other."""
    distinct = list({id(head[role]): head[role].detach() for head in parts}.values())
    return torch.cat(distinct, dim=1 if role == "o" else 0)


def separate(q: str, k: str, v: str, o: str) -> tuple[Callable[..., Named], Callable[..., list[dict[str, Tensor]]]]:
    names = {"q": q, "k": k, "v": v, "o": o}

    def pack(parts: list[dict[str, Tensor]], shape: Shape) -> Named:
        return {name: stacked(parts, role) for role, name in names.items()}

    def unpack(named: Named, shape: Shape) -> list[dict[str, Tensor]]:
        queries = named[q].view(shape.heads, shape.size, shape.width)
        keys = named[k].view(shape.groups, shape.size, shape.width).repeat_interleave(shape.heads // shape.groups, 0)
        values = named[v].view(shape.groups, shape.size, shape.width).repeat_interleave(shape.heads // shape.groups, 0)
        outputs = named[o].view(shape.width, shape.heads, shape.size)
        return [{"q": queries[h], "k": keys[h], "v": values[h], "o": outputs[:, h]} for h in range(shape.heads)]

    return pack, unpack


def fused(
    qkv: str, o: str, *, transposed: bool = False
) -> tuple[Callable[..., Named], Callable[..., list[dict[str, Tensor]]]]:
    """All queries, then all keys, then all values; transposed as in GPT-2's Conv1D."""

    def pack(parts: list[dict[str, Tensor]], shape: Shape) -> Named:
        weight = torch.cat([stacked(parts, role) for role in "qkv"])
        output = stacked(parts, "o")
        return {
            qkv: weight.T.contiguous() if transposed else weight,
            o: output.T.contiguous() if transposed else output,
        }

    def unpack(named: Named, shape: Shape) -> list[dict[str, Tensor]]:
        weight = named[qkv].T if transposed else named[qkv]
        output = named[o].T if transposed else named[o]
        sizes = [shape.heads * shape.size, shape.groups * shape.size, shape.groups * shape.size]
        q, k, v = weight.split(sizes)
        return separate("q", "k", "v", "o")[1]({"q": q, "k": k, "v": v, "o": output}, shape)

    return pack, unpack


def by_head(qkv: str, o: str) -> tuple[Callable[..., Named], Callable[..., list[dict[str, Tensor]]]]:
    """Group by group: its queries, its key, its value."""

    def pack(parts: list[dict[str, Tensor]], shape: Shape) -> Named:
        share = shape.heads // shape.groups
        rows: list[Tensor] = []
        for group in range(shape.groups):
            members = parts[group * share : (group + 1) * share]
            rows += [head["q"].detach() for head in members] + [members[0]["k"].detach(), members[0]["v"].detach()]
        return {qkv: torch.cat(rows), o: stacked(parts, "o")}

    def unpack(named: Named, shape: Shape) -> list[dict[str, Tensor]]:
        share = shape.heads // shape.groups
        weight = named[qkv].view(shape.groups, share + 2, shape.size, shape.width)
        outputs = named[o].view(shape.width, shape.heads, shape.size)
        return [
            {
                "q": weight[h // share, h % share],
                "k": weight[h // share, -2],
                "v": weight[h // share, -1],
                "o": outputs[:, h],
            }
            for h in range(shape.heads)
        ]

    return pack, unpack


def per_head() -> tuple[Callable[..., Named], Callable[..., list[dict[str, Tensor]]]]:
    names = {role: f"blocks.0.attn.W_{role.upper()}" for role in "qkvo"}

    def pack(parts: list[dict[str, Tensor]], shape: Shape) -> Named:
        return {name: torch.stack([head[role].detach().T for head in parts]) for role, name in names.items()}

    def unpack(named: Named, shape: Shape) -> list[dict[str, Tensor]]:
        return [{role: named[name][h].T for role, name in names.items()} for h in range(shape.heads)]

    return pack, unpack


PLAIN, GROUPED, ONE_KEY = Shape(groups=4), Shape(), Shape(groups=1)
LAYOUTS: dict[str, tuple[Any, Shape]] = {
    "bert": (
        separate(*(f"bert.encoder.layer.0.attention.{n}.weight" for n in ("self.query", "self.key", "self.value", "output.dense"))),
        PLAIN,
    ),
    "vit": (
        separate(*(f"layer.0.attention.{n}.weight" for n in ("attention.query", "attention.key", "attention.value", "output.dense"))),
        PLAIN,
    ),
    "albert": (separate(*(f"groups.0.layers.0.attention.{n}.weight" for n in ("query", "key", "value", "dense"))), PLAIN),
    "distilbert": (separate(*(f"layer.0.attention.{n}.weight" for n in ("q_lin", "k_lin", "v_lin", "out_lin"))), PLAIN),
    "t5": (separate(*(f"encoder.block.0.layer.0.SelfAttention.{n}.weight" for n in "qkvo")), PLAIN),
    "opt": (separate(*(f"decoder.layers.0.self_attn.{n}.weight" for n in ("q_proj", "k_proj", "v_proj", "out_proj"))), PLAIN),
    "llama": (separate(*(f"model.layers.0.self_attn.{n}_proj.weight" for n in "qkvo")), GROUPED),
    "multi-query": (separate(*(f"model.layers.0.self_attn.{n}_proj.weight" for n in "qkvo")), ONE_KEY),
    "gpt2": (fused("transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_proj.weight", transposed=True), PLAIN),
    "gpt2, pruned": (
        fused("h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight", transposed=True),
        Shape(heads=1, groups=1, size=3, width=30),
    ),
    "nanogpt": (fused("transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_proj.weight"), PLAIN),
    "gpt-bigcode": (fused("transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_proj.weight"), ONE_KEY),
    "phi3": (fused("layers.0.self_attn.qkv_proj.weight", "layers.0.self_attn.o_proj.weight"), GROUPED),
    "timm": (fused("blocks.0.attn.qkv.weight", "blocks.0.attn.proj.weight"), PLAIN),
    "torch": (fused("layers.0.self_attn.in_proj_weight", "layers.0.self_attn.out_proj.weight"), PLAIN),
    "gpt-neox": (by_head("layers.0.attention.query_key_value.weight", "layers.0.attention.dense.weight"), PLAIN),
    "falcon": (by_head("h.0.self_attention.query_key_value.weight", "h.0.self_attention.dense.weight"), GROUPED),
    "falcon, one key": (by_head("h.0.self_attention.query_key_value.weight", "h.0.self_attention.dense.weight"), ONE_KEY),
    "transformer lens": (per_head(), PLAIN),
}  # fmt: skip


def run(layout: str, shape: Shape | None = None) -> tuple[Named, list[dict[str, Tensor]], Shape]:
    """Packed parameters with gradients, and the leaves with the same values."""
    (pack, unpack), usual = LAYOUTS[layout]
    shape = shape or usual
    parts = leaves(shape)
    named = {name: value.requires_grad_() for name, value in pack(parts, shape).items()}
    loss = loss_of(unpack(named, shape))
    assert torch.allclose(loss, loss_of(parts))  # the layout says what the leaves say
    loss.backward()
    return named, parts, shape


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kv", ["shared", "divided", "exclude"])
def test_each_layout_agrees_with_autograd_on_separate_heads(layout: str, kv: Any) -> None:
    named, parts, shape = run(layout)
    norms = calculate_gradient_norms(named, num_heads=shape.heads, kv=kv)
    np.testing.assert_allclose(norms, [expected(parts, kv)], rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from(["llama", "phi3", "falcon"]),
    groups=st.integers(1, 3),
    share=st.integers(1, 3),
    size=st.integers(1, 4),
    width=st.integers(2, 7),
)
def test_any_grouping_agrees(layout: str, groups: int, share: int, size: int, width: int) -> None:
    named, parts, shape = run(layout, Shape(groups * share, groups, size, width))
    norms = calculate_gradient_norms(named.items(), num_heads=shape.heads)
    np.testing.assert_allclose(norms, [expected(parts)], rtol=1e-9)


def test_the_shares_of_all_heads_are_the_whole_gradient() -> None:
    for layout in ("llama", "falcon", "phi3", "multi-query"):
        named, _, shape = run(layout)
        norms = calculate_gradient_norms(named, num_heads=shape.heads, kv="divided")
        whole = sum(float((value.grad**2).sum()) for value in named.values() if value.grad is not None)
        assert (np.asarray(norms) ** 2).sum() == pytest.approx(whole)


def test_the_output_projection_is_cut_along_its_columns() -> None:
    gradients = {f"layers.0.attn.{name}_proj.weight": np.zeros((6, 6)) for name in "qkvo"}
    gradients["layers.0.attn.o_proj.weight"][:, 2:4] = 1.0  # the input of head 1
    np.testing.assert_allclose(calculate_gradient_norms(gradients, num_heads=3), [[0.0, np.sqrt(12), 0.0]])
    gradients["layers.0.attn.o_proj.weight"] = np.zeros((6, 6))
    gradients["layers.0.attn.v_proj.weight"][2:4] = 2.0  # the output of head 1
    np.testing.assert_allclose(calculate_gradient_norms(gradients, num_heads=3), [[0.0, np.sqrt(48), 0.0]])


def test_a_multihead_attention_module_states_its_heads() -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    (module(x, x, x)[0] ** 3).sum().backward()
    norms = calculate_gradient_norms(module)
    split = nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64, kdim=7, vdim=9)
    source = torch.randn(2, 4, 7, dtype=torch.float64), torch.randn(2, 4, 9, dtype=torch.float64)
    (split(x, *source)[0] ** 3).sum().backward()
    assert norms.shape == calculate_gradient_norms(split).shape == (1, 3)
    assert module.in_proj_weight.grad is not None
    assert module.out_proj.weight.grad is not None
    q, k, v = module.in_proj_weight.grad.chunk(3)
    rows = slice(4, 8)
    squares = sum(float((part[rows] ** 2).sum()) for part in (q, k, v))
    squares += float((module.out_proj.weight.grad[:, rows] ** 2).sum())
    assert norms[0, 1] == pytest.approx(np.sqrt(squares))
    whole = sum(
        float((p.grad**2).sum()) for name, p in split.named_parameters() if "weight" in name and p.grad is not None
    )
    assert (calculate_gradient_norms(split) ** 2).sum() == pytest.approx(whole)


def test_a_head_cut_off_in_a_real_encoder_has_no_gradient() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(12, 3, 16, batch_first=True, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    with torch.no_grad():
        for name, value in encoder.named_parameters():
            if "weight" in name and value.ndim == 2:
                value.normal_(std=0.5)
        attention: Any = encoder.layers[1].self_attn
        attention.out_proj.weight[:, 4:8] = 0.0  # nothing of head 1 comes out
    (encoder(torch.randn(2, 5, 12)) ** 3).sum().backward()
    attention.out_proj.weight.grad[:, 4:8] = 0.0
    norms = calculate_gradient_norms(encoder)
    assert norms.shape == (2, 3)
    assert norms[1, 1] == 0.0
    assert (np.delete(norms.ravel(), 4) > 0).all()


def test_biases_count_where_asked() -> None:
    ones = {f"layers.0.attn.{name}_proj.weight": np.zeros((4, 4)) for name in "qkvo"}
    ones |= {f"layers.0.attn.{name}_proj.bias": np.array([1.0, 1.0, 2.0, 0.0]) for name in "qkvo"}
    assert calculate_gradient_norms(ones, num_heads=2).tolist() == [[0.0, 0.0]]
    np.testing.assert_allclose(calculate_gradient_norms(ones, num_heads=2, biases=True), [[np.sqrt(6), np.sqrt(12)]])
    bias = np.arange(12.0)
    conv = {
        "h.0.attn.c_attn.weight": np.zeros((4, 12)),
        "h.0.attn.c_proj.weight": np.zeros((4, 4)),
        "h.0.attn.c_attn.bias": bias,
    }
    want = [np.sqrt((bias.reshape(3, 2, 2)[:, head] ** 2).sum()) for head in range(2)]
    np.testing.assert_allclose(calculate_gradient_norms(conv, num_heads=2, biases=True), [want])
    lens = {f"blocks.0.attn.W_{role}": np.zeros((2, 3, 3)) for role in "QKVO"} | {
        "blocks.0.attn.b_Q": np.array([[3.0, 4.0], [0, 0]])
    }
    assert calculate_gradient_norms(lens, biases=True, num_heads=2).tolist() == [[5.0, 0.0]]


def plain(layers: int | list[int] = 2, heads: int = 2, size: int = 3, **extra: Any) -> dict[str, Any]:
    ids = range(layers) if isinstance(layers, int) else layers
    rng = np.random.default_rng(0)
    width = heads * size
    return {f"layers.{i}.attn.{n}_proj.weight": rng.normal(size=(width, width)) for i in ids for n in "qkvo"} | extra


def test_torch_and_numpy_of_every_kind_give_the_same() -> None:
    gradients = plain()
    norms = calculate_gradient_norms(gradients, num_heads=2)
    tensors = {name: torch.from_numpy(value) for name, value in gradients.items()}
    parameters = {name: nn.Parameter(torch.zeros_like(value)) for name, value in tensors.items()}
    for name, value in parameters.items():
        value.grad = tensors[name]
    pairs = [(name, (np.zeros_like(value), value)) for name, value in gradients.items()]
    for form in (tensors, parameters, pairs, iter(parameters.items()), {n: v.tolist() for n, v in gradients.items()}):
        np.testing.assert_array_equal(calculate_gradient_norms(form, num_heads=2), norms)
    half = {name: value.bfloat16() for name, value in tensors.items()}
    np.testing.assert_allclose(calculate_gradient_norms(half, num_heads=2), norms, rtol=5e-3)


def test_small_gradients_do_not_vanish() -> None:
    tiny = {name: np.full((4, 4), 1e-30, dtype=np.float32) for name in plain(1)}
    np.testing.assert_allclose(calculate_gradient_norms(tiny, num_heads=2), 1e-30 * np.sqrt(32), rtol=1e-6)


def test_layers_keep_the_models_own_numbers() -> None:
    found = calculate_gradient_norms(plain([1, 4, 10]), num_heads=2)
    assert isinstance(found, dict)
    assert list(found) == [1, 4, 10]
    assert len(heads_table(found)) == 6
    assert calculate_gradient_norms(plain(12), num_heads=2).shape == (12, 2)  # 10 after 9, not after 1
    values = plain(12)
    for name, value in values.items():
        value *= int(name.split(".")[1]) + 1
    sizes = calculate_gradient_norms(values, num_heads=2)
    shuffled = dict(sorted(values.items()))
    np.testing.assert_array_equal(calculate_gradient_norms(shuffled, num_heads=2), sizes)
    one = calculate_gradient_norms({name.replace("layers.0.", ""): v for name, v in plain(1).items()}, num_heads=2)
    assert one.shape == (1, 2)


def test_ragged_layers() -> None:
    ragged = plain(1, heads=2) | {name.replace("layers.0", "layers.1"): v for name, v in plain(1, heads=4).items()}
    found = calculate_gradient_norms(ragged, num_heads=[2, 4])
    assert isinstance(found, dict)
    assert [len(row) for row in found.values()] == [2, 4]
    assert calculate_gradient_norms(ragged, num_heads={0: 2, 1: 4}).keys() == found.keys()
    nested = {
        name.replace("layers.0", f"stages.{a}.blocks.{b}"): v
        for a, b in ((0, 0), (0, 1), (1, 0))
        for name, v in plain(1).items()
    }
    assert calculate_gradient_norms(nested, num_heads=2).shape == (3, 2)
    with pytest.raises(DataError, match="num_heads lists 3 layers, but 2 have attention"):
        calculate_gradient_norms(ragged, num_heads=[2, 2, 4])


class Attention(nn.Module):
    """Projections under the names of Llama and the numbers in a configuration."""

    def __init__(self, **numbers: int) -> None:
        super().__init__()
        for name in "qkvo":
            self.add_module(f"{name}_proj", nn.Linear(8, 8, bias=False))
        for name, number in numbers.items():
            setattr(self, name, number)


def model_of(config: Mapping[str, Any] | None = None, **numbers: int) -> nn.Module:
    model = nn.Module()
    model.layers = nn.ModuleList([Attention(**numbers), Attention(**numbers)])
    if config is not None:
        model.config = type("Config", (), dict(config))()
    for value in model.parameters():
        value.grad = torch.ones_like(value)
    return model


@pytest.mark.parametrize(
    "model",
    [model_of({"num_attention_heads": 4}), model_of({"n_head": 4}), model_of(num_heads=4), model_of(head_dim=2)],
)
def test_a_model_states_its_heads(model: nn.Module) -> None:
    assert calculate_gradient_norms(model).shape == (2, 4)
    assert calculate_gradient_norms(model, num_heads=2).shape == (2, 2)


def test_a_model_that_does_not_is_asked() -> None:
    with pytest.raises(DataError, match=r"how many heads layer 0 has cannot be read from layers\.0; give num_heads="):
        calculate_gradient_norms(model_of())
    with pytest.raises(DataError, match="how many heads"):
        calculate_gradient_norms(plain())


def test_a_fused_matrix_whose_order_only_the_configuration_tells() -> None:
    weight = torch.zeros(12, 4)
    weight[:6] = 1.0  # the first head's query, key and value, or all queries and half of the keys
    for multi_query, want in ((False, [[np.sqrt(24), 0.0]]), (None, [[np.sqrt(16), np.sqrt(8)]])):
        model = nn.Module()
        model.attn = nn.Module()
        model.attn.c_attn, model.attn.c_proj = nn.Linear(4, 12), nn.Linear(4, 4)
        model.config = type("Config", (), {"n_head": 2, "multi_query": multi_query})()
        model.attn.c_attn.weight.grad, model.attn.c_proj.weight.grad = weight, torch.zeros(4, 4)
        np.testing.assert_allclose(calculate_gradient_norms(model), want)


def test_several_stacks_need_a_choice() -> None:
    both = {f"{side}.{name}": value for side in ("encoder", "decoder") for name, value in plain().items()}
    both |= {
        name.replace("attn", "cross_attn").replace("layers", "decoder.layers"): v * 2 for name, v in plain(1).items()
    }
    with pytest.raises(
        DataError, match=r"3 stacks of attention: encoder\.layers\.\*\.attn \(2\), decoder.*stack='encoder'"
    ):
        calculate_gradient_norms(both, num_heads=2)
    single = calculate_gradient_norms(plain(), num_heads=2)
    np.testing.assert_array_equal(calculate_gradient_norms(both, num_heads=2, stack="encoder"), single)
    np.testing.assert_array_equal(calculate_gradient_norms(both, num_heads=2, stack="decoder.layers.*.attn"), single)
    np.testing.assert_array_equal(calculate_gradient_norms(both, num_heads=2, stack="cross"), 2 * single[:1])
    with pytest.raises(DataError, match=r"stack='decoder' fits decoder\.layers"):
        calculate_gradient_norms(both, num_heads=2, stack="decoder")
    with pytest.raises(DataError, match="stack='vision' fits none"):
        calculate_gradient_norms(both, num_heads=2, stack="vision")


def test_gpt2_with_cross_attention() -> None:
    rng = np.random.default_rng(0)
    cross = {"c_attn": rng.normal(size=(6, 12)), "q_attn": rng.normal(size=(6, 6)), "c_proj": rng.normal(size=(6, 6))}
    named = {f"h.0.crossattention.{name}.weight": value for name, value in cross.items()}
    named |= {
        "h.0.attn.c_attn.weight": np.ones((6, 18)),
        "h.0.attn.c_proj.weight": np.ones((6, 6)),
        "h.0.mlp.c_proj.weight": np.ones((24, 6)),
    }
    keys, values = np.split(cross["c_attn"], 2, axis=1)
    for head, rows in enumerate((slice(0, 3), slice(3, 6))):
        squares = (
            sum((part[:, rows] ** 2).sum() for part in (cross["q_attn"], keys, values))
            + (cross["c_proj"][rows] ** 2).sum()
        )
        found = calculate_gradient_norms(named, num_heads=2, stack="crossattention")
        assert found[0, head] == pytest.approx(np.sqrt(squares))


def test_other_names_can_be_taught() -> None:
    renamed = {name.replace("_proj", "_mat"): value for name, value in plain().items()}
    with pytest.raises(
        DataError, match=r"no attention was found among 8 parameters \(layers\.\*\.attn\.q_mat\.weight.*patterns="
    ):
        calculate_gradient_norms(renamed, num_heads=2)
    patterns = {name: f"{name}_mat.weight" for name in "qkvo"}
    np.testing.assert_array_equal(
        calculate_gradient_norms(renamed, num_heads=2, patterns=patterns),
        calculate_gradient_norms(plain(), num_heads=2),
    )
    odd = {"layers.0.att.everything.weight": np.ones((12, 4)), "layers.0.att.out.weight": np.ones((4, 4))}
    for role in ("qkv", "qkv_by_head"):
        found = calculate_gradient_norms(odd, num_heads=2, patterns=[{role: "everything.weight", "o": "out.weight"}])
        np.testing.assert_allclose(found, np.sqrt([[32.0, 32.0]]))
    with pytest.raises(DataError, match="names the roles 'o' and 'q'; expected 'o' and 'q', 'k', 'v'"):
        calculate_gradient_norms(odd, patterns={"q": "a", "o": "b"})
    with pytest.raises(KindError, match="patterns holds"):
        calculate_gradient_norms(odd, patterns=["q"])  # type: ignore[list-item]


def test_frozen_weights_are_nan_and_none_at_all_is_an_error() -> None:
    model = model_of(num_heads=2)
    model.layers[1].k_proj.weight.grad = None  # type: ignore[union-attr]
    found = calculate_gradient_norms(model)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(calculate_gradient_norms(model, kv="exclude"), 8.0)
    model.layers[0].o_proj.weight.grad = None  # type: ignore[union-attr]
    with pytest.raises(
        DataError, match=r"layers\.0\.o_proj\.weight and layers\.1\.k_proj\.weight have none; were they frozen"
    ):
        calculate_gradient_norms(model)
    model.zero_grad()
    with pytest.raises(DataError, match=r"call loss\.backward\(\) first"):
        calculate_gradient_norms(model)
    frozen = {name: nn.Parameter(torch.ones(8, 8), requires_grad=False) for name in plain()}
    with pytest.raises(DataError, match=r"call loss\.backward\(\) first"):
        calculate_gradient_norms(frozen, num_heads=2)


def test_what_has_no_gradients_or_names_is_refused() -> None:
    model = model_of(num_heads=2)
    with pytest.raises(KindError, match="state_dict, which holds weights"):
        calculate_gradient_norms(model.state_dict())
    with pytest.raises(KindError, match=r"not model\.parameters\(\)"):
        calculate_gradient_norms(model.parameters())
    with pytest.raises(KindError, match="parameters is of type"):
        calculate_gradient_norms(np.ones((2, 2)))
    with pytest.raises(DataError, match="empty"):
        calculate_gradient_norms({})
    with pytest.raises(KindError, match=r"expected \(weight, gradient\)"):
        calculate_gradient_norms({"q": (1, 2, 3)})


def test_heads_that_do_not_fit_the_shapes_are_errors() -> None:
    with pytest.raises(DataError, match="takes 6 columns, which 4 heads cannot share"):
        calculate_gradient_norms(plain(), num_heads=4)
    with pytest.raises(DataError, match="num_heads=0"):
        calculate_gradient_norms(plain(), num_heads=0)
    with pytest.raises(DataError, match="kv='sum' is unknown"):
        calculate_gradient_norms(plain(), num_heads=2, kv="sum")  # type: ignore[arg-type]
    gated = plain(1) | {"layers.0.attn.q_proj.weight": np.ones((12, 6))}
    with pytest.raises(DataError, match=r"q_proj\.weight has 12 rows; expected 2 heads × 3"):
        calculate_gradient_norms(gated, num_heads=2)
    odd = plain(1) | {"layers.0.attn.k_proj.weight": np.ones((4, 6))}
    with pytest.raises(DataError, match=r"k_proj\.weight has 4 rows"):
        calculate_gradient_norms(odd, num_heads=2)
    three = plain(1, heads=4) | {f"layers.0.attn.{n}_proj.weight": np.ones((9, 12)) for n in "kv"}
    with pytest.raises(DataError, match="has 3 groups, which 4 heads cannot share"):
        calculate_gradient_norms(three, num_heads=4)
    short = {"h.0.attn.c_attn.weight": np.ones((15, 6)), "h.0.attn.c_proj.weight": np.ones((6, 6))}
    with pytest.raises(DataError, match="do not fill"):
        calculate_gradient_norms(short, num_heads=2)
