"""Compile this package's own plugin, whose sources are in ``plugin/``, into a home.

Three things cannot be had by a setting of OpenSearch: a check of the name that a request asks for, a check of the site
that a browser's request comes from, and a refusal of vectors for which the node has no native library.
"""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path

from hybrid_search.engine.local import distribution
from hybrid_search.engine.local.java import Java
from hybrid_search.errors import LocalNodeError

COMPILER_CLASS = "org.eclipse.jdt.internal.compiler.batch.Main"
COMPILE_SECONDS = 300
QUOTED_CHARACTERS = 300


def sources() -> dict[str, str]:
    """The text of every source file, by name."""
    found = (place for place in files(__package__).joinpath("plugin").iterdir() if place.name.endswith(".java"))
    return {place.name: place.read_text(encoding="utf-8") for place in sorted(found, key=lambda place: place.name)}


def build_guard(home: Path, java: Java) -> None:
    """Compile the plugin against the libraries of ``home`` and put it there, beside its descriptor.

    Raises:
        LocalNodeError: it does not compile, or Java cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="hybrid-search-guard-") as folder:
        written, classes = Path(folder, "sources"), Path(folder, "classes")
        written.mkdir()
        for name, text in sources().items():
            (written / name).write_text(text, encoding="utf-8")
        _compile(home, java, sorted(written.iterdir()), classes)
        with zipfile.ZipFile(home / "plugins" / distribution.GUARD / f"{distribution.GUARD}.jar", "w") as jar:
            for compiled in sorted(classes.rglob("*.class")):
                jar.write(compiled, compiled.relative_to(classes))


def _compile(home: Path, java: Java, written: list[Path], classes: Path) -> None:
    libraries = [*sorted((home / "lib").glob("*.jar")), *sorted((home / "plugins/opensearch-knn").glob("*.jar"))]
    version = str(distribution.JAVA_VERSION)
    command = [str(java.executable), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command += ["-cp", str(next((home / "compiler").glob("*.jar"))), COMPILER_CLASS]
    # Not --release: it needs a file that only a JDK has, not a runtime.
    command += ["-source", version, "-target", version, "-proc:none", "-nowarn", "-encoding", "UTF-8"]
    command += ["-d", str(classes), "-cp", ":".join(map(str, libraries)), *map(str, written)]
    try:
        run = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace", timeout=COMPILE_SECONDS
        )
        failed, said = run.returncode != 0, run.stdout + run.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        failed, said = True, str(error)
    if failed:
        raise LocalNodeError(
            f"The node's guard cannot be compiled: {' '.join(said.split())[:QUOTED_CHARACTERS]}",
            where=str(java.executable),
            remedy="Set HYBRID_SEARCH_JAVA_HOME to another Java, such as a complete JDK 21 or newer",
        )
