"""The bodies of requests, as Text Embeddings Inference and OpenAI write them; others are let be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hybrid_search.serve.models.served import MOST_TEXTS

MOST_CHARACTERS = 1_000_000
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Texts = Annotated[list[Text], Field(max_length=MOST_TEXTS)]
Role = Annotated[
    Literal["query", "document"] | None,
    Field(description="Whose prompt is put before the texts; a document's where it is not said."),
]


class Encode(BaseModel):
    """Texts for all legs."""

    inputs: Text | Texts
    prompt_name: Role = None

    @property
    def texts(self) -> list[str]:
        """The texts, of which there may be one."""
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs

    @property
    def is_query(self) -> bool:
        """Whether they are queries."""
        return self.prompt_name == "query"


class EmbedSparse(Encode):
    """Texts for sparse vectors."""

    truncate: bool = Field(False, description="Cut texts that are too long, rather than refuse them.")


class Embed(EmbedSparse):
    """Texts for dense vectors."""

    normalize: bool | None = Field(None, description="Make their length 1; where it is not said, as the model does.")
    dimensions: int | None = Field(None, ge=1, description="Keep only the first components.")


class Rerank(BaseModel):
    """Passages to score against a query."""

    query: Text
    texts: Texts
    raw_scores: bool = Field(False, description="The model's own scale; else between 0 and 1.")
    return_text: bool = False
    truncate: bool = True


class Tokenize(BaseModel):
    """Texts to cut into tokens."""

    inputs: Text | Texts
    add_special_tokens: bool = True

    @property
    def texts(self) -> list[str]:
        """The texts, of which there may be one."""
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


class Embeddings(BaseModel):
    """A request of OpenAI's interface."""

    input: Text | Texts
    model: str
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)
    prompt_name: Role = None

    @property
    def texts(self) -> list[str]:
        """The texts, of which there may be one."""
        return [self.input] if isinstance(self.input, str) else self.input
