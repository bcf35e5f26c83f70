"""The model server: the encoders and the reranker of the settings over HTTP, for many clients at a time.

    request -> access (who, how much) -> routes -> batcher (texts of many callers, one forward pass) -> model

The paths are those of Hugging Face's Text Embeddings Inference and OpenAI's ``/v1/embeddings``, so that clients that
know either need nothing new. A leaf, as the workbench is; needs the extras ``[serve]`` and ``[models]``.
"""
