"""Rebuilds the starter head from text that package clients bring; see README.md beside this file."""
