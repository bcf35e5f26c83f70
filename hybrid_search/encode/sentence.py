"""Any bi-encoder that sentence-transformers loads: other architectures, Routers, Dense layers, static embeddings."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hybrid_search.encode.backbone import Output
from hybrid_search.encode.backends.choice import Switched
from hybrid_search.encode.backends.graft import graft
from hybrid_search.encode.folder import UNLIMITED, module_types, pooling_of
from hybrid_search.encode.loading import fast_tokenizer, load_model, probe, reads_images
from hybrid_search.encode.onednn import use_onednn
from hybrid_search.encode.own_tokens import OwnTokens, own_tokens, task_of
from hybrid_search.encode.protocols import Pixels
from hybrid_search.encode.tokens import Cutter
from hybrid_search.encode.vocabulary import rows_of
from hybrid_search.settings import DenseSettings, EncodeSettings


class SentenceBackbone:
    """A ``SentenceTransformer`` as a :class:`~hybrid_search.encode.backbone.Backbone`.

    Its input is made of the ids that come with the texts, where the library would make the same; else it tokenizes
    the texts itself, and calls take turns, because it changes its tokenizer's settings from call to call.
    """

    def __init__(self, folder: Path, settings: DenseSettings, encode: EncodeSettings) -> None:
        self._model = load_model("SentenceTransformer", folder, settings, "dense")
        use_onednn(self._model)
        self._turn = threading.Lock()
        self.device: torch.device = self._model.device
        own = self._model.max_seq_length
        # Tokenizers without a limit report none, infinity or a sentinel of 1e30.
        limit = int(own) if own and own < 1e9 else UNLIMITED
        self.max_tokens = min(limit, settings.max_tokens or limit)
        if own != math.inf:  # static embeddings read everything, and have no limit to set
            self._model.max_seq_length = self.max_tokens
        self.reads_images = reads_images(self._model)
        self.pooling = pooling_of(folder) if module_types(folder) or not self.reads_images else None
        self.normalized = "Normalize" in module_types(folder)
        self.tokenizer = fast_tokenizer(self._model, folder)
        self._model.truncate_dim = None  # the encoder truncates, and normalises again
        self.rows = rows_of(self._model)
        self.networks: Sequence[Switched] = ()
        self._cut = Cutter(self.tokenizer, self.max_tokens, str(folder))
        self._inputs: dict[tuple[str, bool], OwnTokens | None] = {}
        self.dimension = self(["a"], [[0]], prompt="", query=False).embeddings.shape[1]
        self.networks = graft(self._model, lambda: probe(self._model, "dense"), encode, folder)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], ids: Sequence[Sequence[int]], *, prompt: str, query: bool) -> Output:
        """One forward pass through all modules of the route for queries or for documents."""
        made = self._input(prompt, query=query)
        if made is not None:
            features = made.features(ids, self.device)
            tokens, mask = features["input_ids"], features["attention_mask"].bool()
            given = self._model(features, task=task_of(query=query))
            return Output(tokens, mask, states=given.get("token_embeddings"), embeddings=given["sentence_embedding"])
        return self._by_the_library(texts, prompt, query=query)

    def _input(self, prompt: str, *, query: bool) -> OwnTokens | None:
        """How the route's input is made of ids; found once for each prompt."""
        if (prompt, query) not in self._inputs:
            with self._turn:
                self._inputs[prompt, query] = own_tokens(self._model, self._cut, prompt=prompt, query=query)
        return self._inputs[prompt, query]

    def _by_the_library(self, texts: Sequence[str], prompt: str, *, query: bool) -> Output:
        """The same of texts that the library tokenizes."""
        encode = self._model.encode_query if query else self._model.encode_document
        with self._turn:
            # No ``output_value``: all features of each text, the token states among them.
            features: list[dict[str, Any]] = encode(
                list(texts), prompt=prompt, batch_size=len(texts), show_progress_bar=False, output_value=None
            )
        embeddings = torch.stack([row["sentence_embedding"] for row in features])
        if "token_embeddings" not in features[0]:
            nothing = torch.empty((len(texts), 0))
            return Output(ids=nothing.long(), mask=nothing.bool(), states=None, embeddings=embeddings)
        return Output(
            ids=torch.stack([row["input_ids"] for row in features]),
            mask=torch.stack([row["attention_mask"] for row in features]).bool(),
            states=torch.stack([row["token_embeddings"] for row in features]),
            embeddings=embeddings,
        )

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels], *, prompt: str, query: bool) -> torch.Tensor:
        """One pass of the images through the model's own image processor and all modules of the route."""
        from PIL import Image

        encode = self._model.encode_query if query else self._model.encode_document
        with self._turn:
            vectors: torch.Tensor = encode(
                [Image.fromarray(pixels) for pixels in images],
                prompt=prompt,
                batch_size=len(images),
                show_progress_bar=False,
                convert_to_tensor=True,
            )
        return vectors
