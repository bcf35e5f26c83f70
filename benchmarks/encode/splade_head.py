"""A SPLADE model here and through sentence-transformers: processor time and memory of encoding documents, interleaved.

    python benchmarks/encode/splade_head.py CORPUS.jsonl.gz [documents] [rounds]

The model has MiniLM's shape and BERT's vocabulary, its weights are random, and the bias of its head is set so that some
150 entries of a document's vector are not zero, as of trained ones. Documents are cut at 256 tokens. Each cell is a
process of its own; memory is how far its peak rises while it encodes.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ENTRIES = 150
WAYS = ("sentence-transformers, defaults", "sentence-transformers, sorted by 8", "here")
CHILD = """
import json, resource, sys, time
from pathlib import Path
folder, texts, way = sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), sys.argv[3]
if way == "here":
    from hybrid_search.encode.sparse import load_sparse
    from hybrid_search.settings import SparseSettings
    encode = load_sparse(SparseSettings(model=folder, device="cpu")).encode_documents
else:
    from sentence_transformers import SparseEncoder
    model, batch = SparseEncoder(folder, device="cpu"), 8 if "sorted" in way else 32
    encode = lambda texts: model.encode_document(texts, batch_size=batch, show_progress_bar=False)
encode(texts[:2])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
encode(texts)
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "rise": peak() - before}))
"""


MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
BERT_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}


def save_model(folder: Path, shape: Mapping[str, int] = MINILM) -> None:
    """A SPLADE model of random weights, in the layout of sentence-transformers."""
    import torch
    from sentence_transformers import SparseEncoder
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    from hybrid_search.encode.sources import find_model
    from hybrid_search.settings import DENSE_MODEL

    torch.manual_seed(0)
    network = BertForMaskedLM(BertConfig(vocab_size=30_522, **shape))
    network.save_pretrained(folder)
    AutoTokenizer.from_pretrained(find_model(DENSE_MODEL), model_max_length=256).save_pretrained(folder)
    model = SparseEncoder(str(folder), device="cpu")
    weights = model.encode_document(["the weather is lovely today " * 40], convert_to_sparse_tensor=False)
    model[0].auto_model.cls.predictions.bias.data -= float(torch.expm1(weights).topk(ENTRIES).values.min())
    model.max_seq_length = 256
    model.save(str(folder))


def save_cross(folder: Path) -> None:
    """A cross-encoder of MiniLM's shape and random weights."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from hybrid_search.encode.sources import find_model
    from hybrid_search.settings import DENSE_MODEL

    torch.manual_seed(0)
    config = BertConfig(vocab_size=30_522, num_labels=1, **MINILM)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(find_model(DENSE_MODEL), model_max_length=256).save_pretrained(folder)


def main(corpus: str, documents: int = 64, rounds: int = 3) -> None:
    """Print one line for each way."""
    with tempfile.TemporaryDirectory() as name:
        folder, texts = Path(name) / "model", Path(name) / "texts.json"
        save_model(folder)
        with gzip.open(corpus, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line, _ in zip(lines, range(documents), strict=False)]
        texts.write_text(json.dumps([f"{row.get('title', '')}\n{row['text']}" for row in rows]), "utf-8")
        taken: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                ran = subprocess.run(
                    [sys.executable, "-c", CHILD, str(folder), str(texts), way],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                taken[way].append(json.loads(ran.stdout))
    load = os.getloadavg()[0]
    print(f"{len(rows)} documents of {Path(corpus).parent.name}, load {load:.1f}, {time.strftime('%F %R')}")
    for way, runs in taken.items():
        cpu, wall, rise = (statistics.median(run[key] for run in runs) for key in ("cpu", "wall", "rise"))
        every = " ".join(f"{run['cpu']:.2f}" for run in runs)
        print(f"{way:36} processor {cpu:6.2f} s ({every})  wall {wall:6.2f} s  peak + {rise:5.0f} MiB")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
