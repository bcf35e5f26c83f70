"""Adapters to other projects' frameworks: one module each, which imports its framework at its top.

A leaf: the adapters call the public clients, and nothing of the package imports them.
"""
