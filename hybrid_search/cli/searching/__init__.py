"""The options of ``hybrid-search search``, a group and a panel of its help each."""
