"""Vectors for documents that are in an index already: of another owner, or of ours and loaded without any.

One pass does both (:mod:`hybrid_search.ingest.attach.encoding`). It reads every document of a snapshot, leaves out
those whose vectors are up to date, and writes the others' by partial updates over the very version that was read.
Killed at any point it is run again: what is done is told by what is written beside the vectors.
"""

from hybrid_search.ingest.attach.detaching import DetachReport, detach
from hybrid_search.ingest.attach.encoding import PassOptions, PassReport
from hybrid_search.ingest.attach.ours import enrich
from hybrid_search.ingest.attach.owned import attach, plan_attachment
from hybrid_search.ingest.attach.plan import AttachPlan

__all__ = ["AttachPlan", "DetachReport", "PassOptions", "PassReport", "attach", "detach", "enrich", "plan_attachment"]
