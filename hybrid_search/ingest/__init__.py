"""Loading documents into an index: nothing lost, nothing twice, every stage at work at once."""

from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.ingest.report import IngestProgress, IngestReport
from hybrid_search.ingest.state.journal import Journal
from hybrid_search.ingest.state.letters import DeadLetters

__all__ = ["DeadLetters", "IngestProgress", "IngestReport", "Journal", "LoadOptions", "index_documents"]
