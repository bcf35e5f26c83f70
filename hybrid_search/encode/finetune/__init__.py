"""The encoders' own training, by the trainers of sentence-transformers; importing this imports no torch.

What is known of an index stays above: a student gets pairs of texts, and a callback that says how good it is.
"""
