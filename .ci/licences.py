"""The licences of what hybrid-search[all] brings: licences.py. Exit status 1 for one that is not known to be free.

Read from the metadata of what is installed: the licence expression, else the classifiers, else the field.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

FREE = re.compile(
    r"apache|\bbsd\b|\bmit\b|mit-cmu|\bisc\b|\bpsf|python software foundation|\bmpl|mozilla|unlicense|0bsd|zlib|hpnd"
    r"|boost|cc0|public domain|historical permission",
    re.IGNORECASE,
)
COPYLEFT = re.compile(r"\b(a|l)?gpl|affero|gnu ", re.IGNORECASE)
LOOKED_AT = {
    "nvidia": "NVIDIA's own: the CUDA libraries of PyTorch's wheels for Linux, not passed on here",
    "cuda": "the same",
}
"""By the beginning of a name: what is neither, and why it is taken."""


def main() -> int:
    """Print what is not plainly free, and how many are."""
    names = sorted(closure("hybrid-search[all]"))
    unknown = []
    for name in names:
        text = licence(distribution(name))
        if FREE.search(text) and not COPYLEFT.search(text):
            continue
        reason = next((why for begin, why in LOOKED_AT.items() if name.startswith(begin)), None)
        print(f"{name}: {text[:80] or 'says no licence'}{f' ({reason})' if reason else ''}")
        unknown += [] if reason else [name]
    print(f"{len(names)} licences, {len(unknown)} to be looked at")
    return 1 if unknown else 0


def closure(requirement: str) -> set[str]:
    """The names of all that a requirement brings, as far as it is installed here."""
    found: set[str] = set()
    waiting = [Requirement(requirement)]
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        try:
            here = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        name = re.sub(r"[-_.]+", "-", here.metadata["Name"]).lower()
        found.add(name)
        waiting += needed(here, wanted.extras)
    return found - {"hybrid-search"}


def needed(here: Distribution, extras: set[str]) -> Iterator[Requirement]:
    """The requirements of a distribution with some of its extras, here."""
    for text in here.requires or ():
        required = Requirement(text)
        environments = [{"extra": extra} for extra in (*extras, "")]
        if required.marker is None or any(required.marker.evaluate(one) for one in environments):
            yield required


def licence(here: Distribution) -> str:
    """What a distribution says of its licence, on one line."""
    fields = here.metadata
    classifiers = [text for text in fields.get_all("Classifier") or () if text.startswith("License ::")]
    given = fields.get("License-Expression") or "; ".join(text.rpartition(":: ")[2] for text in classifiers)
    return " ".join((given or fields.get("License") or "").split())


if __name__ == "__main__":
    sys.exit(main())
