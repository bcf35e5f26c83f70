"""The larger recipe, for a machine with a GPU; README.md beside this file says what it is measured against."""
