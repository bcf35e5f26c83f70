"""Models fitted to pairs of queries and passages: bi-encoders, SPLADE models, cross-encoders, the starter's head."""
