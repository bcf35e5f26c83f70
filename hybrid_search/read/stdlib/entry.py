"""One documented object of the standard library."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_search.records import Document


@dataclass(frozen=True, slots=True)
class Entry:
    """A module, class, function, method or property: where it is found, how it is called, what its docstring says.

    ``path`` is the name inside the module, ``datetime.strptime``; empty for the module itself.
    """

    module: str
    path: str
    kind: str
    signature: str
    docstring: str

    @property
    def name(self) -> str:
        """The qualified name; built-in objects go without their module, as they are written."""
        if not self.path:
            return self.module
        return self.path if self.module == "builtins" else f"{self.module}.{self.path}"

    @property
    def says_something(self) -> bool:
        """Whether the docstring is more than the name again, as it is for ``ast.Eq`` and ``timedelta.days``."""
        return self.docstring.strip() not in {"", self.name.rpartition(".")[2]}

    @property
    def summary(self) -> str:
        """The last part of the name and the first sentence of the docstring: ``append: Add an element ...``."""
        paragraph = inspect.cleandoc(self.docstring).strip().partition("\n\n")[0]
        sentence = " ".join(paragraph.split()).partition(". ")[0].rstrip(".")
        return f"{self.path.rpartition('.')[2]}: {sentence}."

    def document(self, members: Sequence[Entry] = ()) -> Document:
        """The entry as a document, its name and signature on the first line of the text.

        Of a class its ``members`` follow, a line for each: what a class is for is often said by its methods alone.
        """
        heading = f"module {self.name}" if self.kind == "module" else f"{self.name}{self.signature}"
        fields = {"name": self.name, "module": self.module, "kind": self.kind, "signature": self.signature}
        text = f"{heading}\n{inspect.cleandoc(self.docstring).strip()}"
        if members:
            text = "\n".join([f"{text}\n", *(member.summary for member in members)])
        return Document(self.name, text, fields, origin=f"<stdlib>:{self.name}")
