"""What a load will take, from a sample of its source and a probe of encoder and engine; and how far that was off."""

from hybrid_search.scale.estimate.figures import Estimate, Probe, Sampled, Setting
from hybrid_search.scale.estimate.kept import Outcome, keep, kept_for, outcome, read_kept
from hybrid_search.scale.estimate.layouts import Layout, layouts
from hybrid_search.scale.estimate.probing import probe_encoder, probe_engine
from hybrid_search.scale.estimate.sampling import Sample, sample_of

__all__ = [
    "Estimate",
    "Layout",
    "Outcome",
    "Probe",
    "Sample",
    "Sampled",
    "Setting",
    "keep",
    "kept_for",
    "layouts",
    "outcome",
    "probe_encoder",
    "probe_engine",
    "read_kept",
    "sample_of",
]
