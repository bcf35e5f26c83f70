"""Find a Java that can run the server: 21 or newer, with the modules that OpenSearch needs, checked by running it.

Looked at in this order: ``HYBRID_SEARCH_JAVA_HOME`` (taken or refused, never passed over), ``JAVA_HOME``, ``java`` on
the PATH, the folders in which systems and version managers keep Java, and last cjdk, which downloads one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hybrid_search.engine.local.account import Account
from hybrid_search.engine.local.distribution import JAVA_VERSION
from hybrid_search.engine.local.folders import base_folder, is_root
from hybrid_search.engine.local.permissions import open_tree
from hybrid_search.errors import LocalNodeError, MissingExtraError

HOME_VARIABLE = "HYBRID_SEARCH_JAVA_HOME"
USUAL_HOMES = (
    "/usr/lib/jvm/*",
    "/usr/lib64/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/opt/*jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "~/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/.sdkman/candidates/java/*",
    "~/.jenv/versions/*",
    "~/.asdf/installs/java/*",
    "~/.local/share/mise/installs/java/*",
    "~/.jdks/*",
)
NEEDED_MODULES = frozenset({"java.compiler", "jdk.localedata", "jdk.unsupported"})
"""Trimmed runtimes may lack them: the compiler of the node's guard wants the language's model, the analysis module
every locale, netty and protobuf the Unsafe class."""

VECTOR_MODULE = "jdk.incubator.vector"
DOWNLOAD_VERSION = "25"
"""What cjdk downloads: the version with long-term support on which this package is tested."""

PROBE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that was run: its executable, its major version and whether it has the vector module."""

    executable: Path
    version: int
    has_vector: bool


def find_java(account: Account) -> Java:
    """The first Java that ``account`` can run and that is new enough; cjdk downloads one where there is none.

    Raises:
        LocalNodeError: none was found and none could be downloaded; the message names what was found.
    """
    refused: list[str] = []
    for executable in _candidates():
        found = probe(executable, account)
        if isinstance(found, Java):
            return found
        refused.append(f"{executable} {found}")
        if os.environ.get(HOME_VARIABLE):
            raise _missing(refused, f"{HOME_VARIABLE} names a Java that cannot be used")
    return _download(refused, account)


def probe(executable: Path, account: Account) -> Java | str:
    """Run a Java as ``account``; a reason where it cannot be used."""
    version = java_version(_output(executable, "-version", account))
    if version is None:
        return "does not run"
    if version < JAVA_VERSION:
        return f"is version {version}"
    listing = _output(executable, "--list-modules", account)
    modules = {line.partition("@")[0].strip() for line in listing.splitlines()}
    missing = NEEDED_MODULES - modules
    if missing:
        return f"lacks the module {min(missing)}"
    return Java(executable, version, VECTOR_MODULE in modules)


def java_version(text: str) -> int | None:
    """The major version in what ``java -version`` prints: 25 of ``"25.0.1"``, 8 of ``"1.8.0_392"``."""
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None


def _output(executable: Path, argument: str, account: Account) -> str:
    """Both streams of one short run, empty where it cannot be run."""
    try:
        run = subprocess.run(
            [str(executable), argument],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            cwd="/",
            **account.popen_options,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f"{run.stdout}{run.stderr}"


def _candidates() -> Iterator[Path]:
    """Executables to try, each once."""
    seen: set[Path] = set()
    for executable in _places():
        real = executable.resolve()
        if executable.is_file() and real not in seen:
            seen.add(real)
            yield executable


def _places() -> Iterator[Path]:
    for variable in (HOME_VARIABLE, "JAVA_HOME"):
        if os.environ.get(variable):
            yield _executable(Path(os.environ[variable]).expanduser())
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    for pattern in USUAL_HOMES:
        place = Path(pattern).expanduser()
        anchor = Path(place.anchor)
        yield from (_executable(home) for home in sorted(anchor.glob(str(place.relative_to(anchor))), reverse=True))


def _executable(home: Path) -> Path:
    return home / "bin" / "java"


def _download(refused: list[str], account: Account) -> Java:
    """Have cjdk bring a Java into the base folder, where the server's account can read it."""
    try:
        import cjdk
    except ModuleNotFoundError as error:
        raise MissingExtraError("Downloading Java", "local") from error
    try:
        home = cjdk.java_home(vendor="adoptium", version=DOWNLOAD_VERSION, cache_dir=base_folder() / "java")
    except (cjdk.CjdkError, OSError) as error:
        raise _missing(refused, f"Java could not be downloaded ({error})") from error
    if is_root():
        open_tree(base_folder() / "java")
    found = probe(_executable(home), account)
    if isinstance(found, str):
        raise _missing([*refused, f"{home} {found}"], "the Java that was downloaded cannot be used")
    return found


def _missing(refused: list[str], reason: str) -> LocalNodeError:
    found = "; ".join(refused) or "nothing"
    return LocalNodeError(
        f"OpenSearch needs Java {JAVA_VERSION} or newer and {reason}; found: {found}",
        remedy=f"Install a JDK {JAVA_VERSION}+ (on Debian: apt-get install openjdk-21-jre-headless) "
        f"or set {HOME_VARIABLE} to the folder of one",
    )
