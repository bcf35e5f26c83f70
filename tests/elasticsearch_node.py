"""Builds and starts the Elasticsearch node of ``tests/engines/elasticsearch-node`` for the time of a test run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parent / "engines" / "elasticsearch-node"
OLDEST_JAVA = 21
HEAP = "1g"


class CannotRunError(Exception):
    """What this machine lacks, in one line."""


@contextmanager
def elasticsearch_node() -> Iterator[str]:
    """The URL of a fresh node, whose data is thrown away; the node ends with the block, or with this process.

    Raises:
        CannotRunError: no JDK 21 or newer, no Maven, or the build or the start failed.
    """
    home = java_home()
    build(home)
    with tempfile.TemporaryDirectory(prefix="esnode-") as folder, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        reserved.close()
        command = [str(PROJECT / "run.sh"), "--data", folder, "--port", str(port), "--with-stdin"]
        log = Path(folder) / "console.log"
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "JAVA_HOME": str(home), "HEAP": HEAP},
                start_new_session=True,
            ) as process,
        ):
            assert process.stdout is not None
            if not process.stdout.readline().startswith(b"started"):
                raise CannotRunError(f"the Elasticsearch node did not start: {log.read_text()[-300:]!r}")
            yield f"http://127.0.0.1:{port}"
            process.terminate()


def build(home: Path) -> None:
    """Runs Maven where a source is newer than what was built from it."""
    built = PROJECT / "target" / "esnode.jar"
    sources = [PROJECT / "pom.xml", *(path for path in (PROJECT / "src").rglob("*") if path.is_file())]
    if built.exists() and built.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise CannotRunError("no Maven (mvn) to build the Elasticsearch test node")
    run = subprocess.run(
        [maven, "-q", "-B", "package"],
        cwd=PROJECT,
        env={**os.environ, "JAVA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise CannotRunError(f"Maven could not build the Elasticsearch test node: {run.stdout[-300:]!r}")


def java_home() -> Path:
    """The first JDK (with a compiler) of at least version 21: JAVA_HOME, the one on the PATH, the usual folders."""
    on_path = shutil.which("javac")
    homes = [
        *([Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []),
        *([Path(on_path).resolve().parents[1]] if on_path else []),
        *sorted(Path("/usr/lib/jvm").glob("*"), reverse=True),
    ]
    for home in homes:
        if (home / "bin" / "javac").exists() and _version(home) >= OLDEST_JAVA:
            return home
    raise CannotRunError(f"no JDK {OLDEST_JAVA} or newer to build the Elasticsearch test node")


def _version(home: Path) -> int:
    said = subprocess.run([home / "bin" / "javac", "-version"], capture_output=True, text=True, check=False)
    words = (said.stdout or said.stderr).split()
    number = words[1].partition(".")[0] if len(words) > 1 else ""
    return int(number) if number.isdigit() else 0
