"""Which settings of an index a load changes for its time: no refresh, and no replicas."""

from __future__ import annotations

from enum import StrEnum


class BulkMode(StrEnum):
    """What a load may change; whatever it is, it is put down in the index first, and restored afterwards.

    ``AUTO``: no refresh, and no replicas where the index holds nothing yet: what is there already must survive the loss
    of a node. ``ON``: neither, also of an index that holds documents. ``OFF``: everything stays as it is.
    """

    AUTO = "auto"
    ON = "on"
    OFF = "off"
