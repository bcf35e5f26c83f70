"""The command line: thin commands over the package, one file per group, composed in ``app``."""
