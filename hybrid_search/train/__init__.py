"""One's own models: the legs of an index, trained on one's own corpus, and called better only where they are.

A leaf: nothing imports it but the command line. Libraries of the extra [train] are imported inside functions.
"""

from __future__ import annotations

from hybrid_search.encode.finetune.recipe import WHATS, Recipe
from hybrid_search.train.learned import Learned, read_learned
from hybrid_search.train.records import Judged, Trained
from hybrid_search.train.run import train

__all__ = ["WHATS", "Judged", "Learned", "Recipe", "Trained", "read_learned", "train"]
