"""``python -m hybrid_search`` is the ``hybrid-search`` command."""

from hybrid_search.cli.app import main

if __name__ == "__main__":
    main()
