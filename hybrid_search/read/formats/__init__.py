"""One module for each format that a source may have; :mod:`hybrid_search.read.formats.registry` lists them."""
