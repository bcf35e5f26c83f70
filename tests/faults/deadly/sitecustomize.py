"""On the path of a process whose models end it where a text says so, as a fault in native code would."""

from __future__ import annotations

import os

import hybrid_search.encode

_load = hybrid_search.encode.load_encoder


def _mortal(settings):
    encoder = _load(settings)
    encode = encoder.encode_documents

    def encoding(texts):
        if any("deadly" in text for text in texts):
            os._exit(139)
        return encode(texts)

    encoder.encode_documents = encoding
    return encoder


hybrid_search.encode.load_encoder = _mortal
