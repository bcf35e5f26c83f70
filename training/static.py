"""``python -m training.static``: a static encoder distilled from all-MiniLM-L6-v2, an experiment with a stop rule.

A vector for each word piece, and the mean of them for a text: no attention, a hundred times faster. It begins with what
the encoder gives for each piece alone (model2vec: Tulkens and van Dongen 2024), weighted by its rarity (SIF: Arora,
Liang, Ma 2017), and is then taught the encoder's vectors of texts: their directions, and which of the others in a batch
are near to each (soft targets, as the starter head is). It is written as a folder of sentence-transformers, which
``dense.model`` takes. What came of it is in docs/encoding.md; no weights are kept.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hybrid_search.encode.dense import DenseEncoder, load_dense
from hybrid_search.encode.tokens import Cutter
from hybrid_search.settings import DenseSettings, EncodeSettings
from training import pairs

TOKENS = 128
"""Of a text that the encoder and the student read: more of it costs the encoder time and teaches single words less."""

PART = 4096
"""Texts whose vectors are kept in one file."""


@dataclass(frozen=True)
class Recipe:
    """Every number of a run; ``seconds`` ends it where ``steps`` would take longer.

    ``smoothing``: SIF's a, in a / (a + p). ``soft``: weight of the loss over a batch's similarities, at ``scale``.
    """

    seed: int = 0
    steps: int = 6000
    batch: int = 512
    rate: float = 3e-3
    smoothing: float = 1e-3
    soft: float = 1.0
    scale: float = 20.0
    seconds: float = 900.0


@dataclass(frozen=True)
class Bags:
    """The word pieces of texts one after the other, where each text begins, and the encoder's vectors of the texts."""

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, offsets and vectors of some texts."""
        ends = np.append(self.starts[1:], len(self.ids))
        parts = [self.ids[self.starts[row] : ends[row]] for row in rows]
        offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
        return torch.from_numpy(np.concatenate(parts)), torch.from_numpy(offsets), torch.from_numpy(self.vectors[rows])


def weights_of(ids: NDArray[np.int64], size: int, smoothing: float) -> NDArray[np.float32]:
    """The SIF weight of each piece: 1 for what never comes, little for what is in every text; shape (size,)."""
    share = np.bincount(ids, minlength=size) / max(1, len(ids))
    return (smoothing / (smoothing + share)).astype(np.float32)


def distil(bags: Bags, pieces: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """The vectors of the pieces, taught by those of the texts; shape of ``pieces`` (vocabulary, hidden)."""
    table = torch.nn.Parameter(torch.from_numpy(pieces.copy()))
    optimizer = torch.optim.Adam([table], lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, recipe.steps)
    begun = time.monotonic()
    for step, rows in zip(range(recipe.steps), _orders(len(bags.starts), recipe), strict=False):
        loss = _loss(table, *bags.batch(rows), recipe)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f} after {time.monotonic() - begun:.0f} s", flush=True)
        if time.monotonic() - begun > recipe.seconds:
            break
    return table.detach().numpy()


def _loss(table: Tensor, ids: Tensor, offsets: Tensor, vectors: Tensor, recipe: Recipe) -> Tensor:
    found = functional.normalize(functional.embedding_bag(ids, table, offsets, mode="mean"), dim=1)
    near = 1 - (found * vectors).sum(1).mean()
    itself = torch.eye(len(found), dtype=torch.bool)
    ours = (recipe.scale * (found @ found.T)).masked_fill(itself, -1e9)
    theirs = (recipe.scale * (vectors @ vectors.T)).masked_fill(itself, -1e9)
    soft = functional.kl_div(ours.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean")
    return near + recipe.soft * soft


def _orders(count: int, recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    """Endless batches, a new order each epoch."""
    chance = np.random.default_rng(recipe.seed)
    while True:
        order = chance.permutation(count)
        for start in range(0, count - min(recipe.batch, count) + 1, recipe.batch):
            yield order[start : start + recipe.batch]


def texts_of(cache: Path, most: int) -> list[str]:
    """Short and long texts of all sources of ``training``, each once, at most so many of a source."""
    chance = np.random.default_rng(0)
    found: dict[str, None] = {}
    for rows in pairs.collect(cache).values():
        prose = [pair for pair in rows if pairs.is_prose(*pair)]
        for place in chance.permutation(len(prose))[:most]:
            found |= dict.fromkeys(prose[place])
    return [text for text in found if text.strip()]


def bags_of(encoder: DenseEncoder, texts: Sequence[str], cache: Path) -> Bags:
    """The texts as the encoder reads them, and its vectors, which are kept in ``cache``."""
    vectors = [_kept(encoder, texts[start : start + PART], cache / f"static-{start}.npy") for start in _parts(texts)]
    cut = Cutter(encoder.backbone.tokenizer, TOKENS, "static").ids(texts)
    inner = [row[1:-1] for row in cut]  # without [CLS] and [SEP]
    kept = [place for place, row in enumerate(inner) if row]
    ids = np.concatenate([inner[place] for place in kept]).astype(np.int64)
    starts = np.cumsum([0, *(len(inner[place]) for place in kept[:-1])])
    return Bags(ids, starts, np.concatenate(vectors)[kept])


def _parts(texts: Sequence[str]) -> range:
    return range(0, len(texts), PART)


def _kept(encoder: DenseEncoder, texts: Sequence[str], path: Path) -> NDArray[np.float32]:
    """Vectors of some texts, made once: a run that was ended goes on."""
    if not path.exists():
        np.save(path, encoder.encode_documents(texts))
        print(path.name, flush=True)
    found: NDArray[np.float32] = np.load(path)
    return found


def piece_vectors(encoder: DenseEncoder, cache: Path) -> NDArray[np.float32]:
    """What the encoder gives for each piece of its vocabulary alone, shape (vocabulary, hidden)."""
    tokens = [encoder.backbone.tokenizer.id_to_token(n) for n in range(encoder.backbone.tokenizer.get_vocab_size())]
    return _kept(encoder, [token.removeprefix("##") for token in tokens], cache / "static-pieces.npy")


def save(table: NDArray[np.float32], encoder: DenseEncoder, folder: Path) -> None:
    """A folder of sentence-transformers: the table, and vectors of length one."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    static = StaticEmbedding(encoder.backbone.tokenizer, embedding_weights=table)
    SentenceTransformer(modules=[static, Normalize()], device="cpu").save_pretrained(str(folder))


def main() -> None:
    """Encode, distil, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder for the model")
    parser.add_argument("--cache", type=Path, default=Path("build/training"), help="packages and pairs, as in training")
    parser.add_argument("--most", type=int, default=20_000, help="pairs of each source")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seconds", type=float, default=Recipe.seconds, help="after which training ends")
    parser.add_argument("--soft", type=float, default=Recipe.soft, help="weight of the loss over similarities")
    parser.add_argument("--backend", default="auto", help="of the encoder (encode.backend)")
    parser.add_argument("--precision", default="fp32", help="of the encoder (encode.precision)")
    options = parser.parse_args()
    recipe = Recipe(steps=options.steps, soft=options.soft, seconds=options.seconds)
    torch.manual_seed(recipe.seed)
    encoder = load_dense(
        DenseSettings(max_tokens=TOKENS, device="cpu"),
        EncodeSettings(backend=options.backend, precision=options.precision),
    )
    texts = texts_of(options.cache, options.most)
    print(f"{len(texts):,} texts", flush=True)
    bags = bags_of(encoder, texts, options.cache)
    pieces = piece_vectors(encoder, options.cache)
    pieces -= pieces.mean(axis=0)
    pieces *= weights_of(bags.ids, len(pieces), recipe.smoothing)[:, None]
    save(distil(bags, pieces, recipe) if recipe.steps else pieces, encoder, options.folder)


if __name__ == "__main__":
    main()
