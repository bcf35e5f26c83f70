"""``python -m training``: from packages to ``starter.safetensors``, in under an hour on two cores."""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.dense import DenseEncoder, load_dense
from hybrid_search.encode.folder import weights_digest
from hybrid_search.encode.starter import WEIGHTS
from hybrid_search.encode.starter_head import StarterHead, centred, copied_tokens, packed, target_words
from hybrid_search.settings import DenseSettings
from training import judged, measure, pairs, vocabulary
from training.states import encode
from training.train import Recipe, Texts, fit_word_map, train

QUERY_TOKENS, PASSAGE_TOKENS = 32, 192
# Where checkpoints are chosen: splits that no figure is reported on.
SELECTION = (("nfcorpus", "dev"), ("scifact", "train"))
LARGEST = 1_000_000  # bytes of the file that is shipped


@dataclass(frozen=True)
class Terms:
    """What the training texts say of each token, shape (vocabulary,), and the ids of the words that may be added."""

    idf: torch.Tensor
    conflated: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class Material:
    """All that training needs, computed once."""

    encoder: DenseEncoder
    tokens: list[str]
    terms: Terms
    words: torch.Tensor
    texts: Texts

    def new_head(self, seed: int) -> StarterHead:
        """An untrained head."""
        torch.manual_seed(seed)
        embeddings = backbone_of(self.encoder).word_embeddings
        terms = self.terms
        return StarterHead(embeddings, self.tokens, idf=terms.idf, conflated=terms.conflated, targets=terms.targets)


def backbone_of(encoder: DenseEncoder) -> BertBackbone:
    """The encoder's plain BERT.

    Raises:
        TypeError: it is another architecture.
    """
    if not isinstance(encoder.backbone, BertBackbone):
        raise TypeError(f"the head needs a plain BERT, not {type(encoder.backbone).__name__}")
    return encoder.backbone


def prepare(cache: Path, seed: int) -> Material:
    """Bring the texts, choose the pairs, encode them."""
    encoder = load_dense(DenseSettings())
    tokenizer = backbone_of(encoder).tokenizer
    collected = pairs.collect(cache)
    print("pairs at hand:", {name: len(rows) for name, rows in collected.items()}, flush=True)
    texts = [text for rows in collected.values() for text in vocabulary.whole_texts(rows)]
    chosen = pairs.build(collected, seed)
    print(f"pairs chosen: {len(chosen)}", flush=True)
    tokens = vocabulary.tokens_by_id(tokenizer)
    terms = terms_of(vocabulary.token_sets(texts, tokenizer), tokens, backbone_of(encoder).word_embeddings)
    return Material(
        encoder=encoder,
        tokens=tokens,
        terms=terms,
        words=word_vectors(encoder, tokens, terms),
        texts=Texts(
            encode([p.query for p in chosen], cache / f"queries-{seed}", max_tokens=QUERY_TOKENS),
            encode([p.passage for p in chosen], cache / f"passages-{seed}", max_tokens=PASSAGE_TOKENS),
        ),
    )


def terms_of(sets: list[NDArray[np.int64]], tokens: list[str], embeddings: torch.Tensor) -> Terms:
    """Stems, idf and targets, from the tokens of each text."""
    single = vocabulary.document_frequency(sets, np.arange(len(tokens)))
    conflated = vocabulary.conflation(tokens, single, centred(embeddings, copied_tokens(tokens)).numpy())
    frequency = vocabulary.document_frequency(sets, conflated)
    return Terms(
        idf=torch.from_numpy(vocabulary.inverse(frequency, len(sets))),
        conflated=torch.from_numpy(conflated),
        targets=target_words(tokens, frequency.tolist(), conflated.tolist(), vocabulary.TARGET_MINIMUM),
    )


def word_vectors(encoder: DenseEncoder, tokens: list[str], terms: Terms) -> torch.Tensor:
    """Unit vectors (targets, hidden) of the targets as texts, each the mean over the words of its stem."""
    members = vocabulary.groups(terms.conflated.numpy(), terms.targets.tolist())
    vectors = iter(encoder.encode_documents([tokens[word] for group in members for word in group]))
    means = np.stack([np.mean([next(vectors) for _ in group], axis=0) for group in members])
    return torch.nn.functional.normalize(torch.from_numpy(means), dim=1)


def selected(head: StarterHead, sets: list[judged.JudgedSet]) -> float:
    """Mean over the selection sets of nDCG@10, encoded and inference-free queries alike."""
    found = [measure.measure(head, one) for one in sets]
    for one, scores in zip(sets, found, strict=True):
        print(f"    {one.name}: {scores}", flush=True)
    return float(np.mean([(scores.ndcg + scores.inference_free_ndcg) / 2 for scores in found]))


def best_of_run(material: Material, recipe: Recipe, sets: list[judged.JudgedSet], every: int) -> StarterHead:
    """Train one head and keep the checkpoint that the selection sets like best."""
    head, kept, best, began = material.new_head(recipe.seed), {}, -1.0, time.monotonic()
    print(f"words are placed, mean cosine {fit_word_map(head, material.words, recipe):.3f}", flush=True)

    def after_step(step: int, loss: float, average: StarterHead) -> None:
        nonlocal kept, best
        if step % every or step < recipe.steps // 2:
            return
        print(f"step {step}, loss {loss:.3f}, {time.monotonic() - began:.0f} s", flush=True)
        score = selected(average, sets)
        if score > best:
            best, kept = score, {name: tensor.clone() for name, tensor in average.state_dict().items()}

    train(head, material.texts, recipe, after_step)
    head.load_state_dict(kept)
    print(f"kept the checkpoint with {best:.4f}")
    return head


def ship(head: StarterHead, path: Path, recipe: Recipe, encoder: DenseEncoder, pruning: measure.Pruning) -> int:
    """Write the head in few bits with all that a user should know; its size in bytes.

    Raises:
        ValueError: it is larger than what is shipped with the package.
    """
    metadata = {
        "encoder": encoder.fingerprint.name,
        "encoder_weights": weights_digest(encoder.folder),
        "document_terms": str(pruning.document),
        "query_terms": str(pruning.query),
        "recipe": json.dumps(asdict(recipe)),
        "training_data": "WordNet 3.0; descriptions of Debian packages; man pages and HTML documentation of "
        "permissively licensed projects; Python docstrings (see NOTICE)",
        "license": "Apache-2.0",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(packed(head), path, metadata)
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{path} has {size} bytes, more than {LARGEST}")
    return size


def main() -> None:
    """Rebuild the shipped head."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("build/training"), help="texts and states; 8 GB")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="judged sets in BEIR layout")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--every", type=int, default=50, help="steps between checkpoints")
    arguments = parser.parse_args()
    recipe, pruning = Recipe(), measure.Pruning()
    random.seed(recipe.seed)
    material = prepare(arguments.cache, recipe.seed)
    print(f"words that can be added: {len(material.terms.targets)}", flush=True)
    sets = [judged.load(arguments.data, name, split, arguments.cache) for name, split in SELECTION]
    head = best_of_run(material, recipe, sets, arguments.every)
    size = ship(head, arguments.out, recipe, material.encoder, pruning)
    print(f"{arguments.out}: {size:,} bytes")


if __name__ == "__main__":
    main()
