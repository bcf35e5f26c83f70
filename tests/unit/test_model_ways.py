"""``models check``: every way to run a model beside torch in float32, and what of it is kept for searches."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import tiny_models as tiny
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.encode import load_encoder
from hybrid_search.encode.agreement import NEAR, keep, near_enough, shown
from hybrid_search.encode.measured import Measured, measure_model
from hybrid_search.encode.ways import WayMeasured
from hybrid_search.records import PRECISION, Fingerprint
from hybrid_search.settings import DenseSettings, EncodeSettings, Settings, SparseSettings

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

SAVED = {"sparse": tiny.save_splade, "rerank": tiny.save_cross_encoder}


@pytest.fixture(scope="module", autouse=True)
def _cache_of_the_module(tmp_path_factory):
    """A cache of its own, which all tests of the file share: graphs are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bi-encoder whose weights are small enough for 8 bits."""
    place = tmp_path_factory.mktemp("models") / "dense"
    return str(tiny.save_bi_encoder(place, initializer_range=0.1, num_hidden_layers=1))


def fingerprint(folder: str, precision: str):
    settings = Settings(
        dense=DenseSettings(model=folder),
        sparse=SparseSettings(model="none"),
        encode=EncodeSettings(backend="onnx", precision=precision),
    )
    return load_encoder(settings).dense


def test_nothing_is_known_before_a_check(folder) -> None:
    """Not even that a precision is that of the other: somebody has to look."""
    assert shown(fingerprint(folder, "int8")) is None
    assert not near_enough(fingerprint(folder, "fp32"), fingerprint(folder, "int8"))


@pytest.mark.parametrize("role", ["sparse", "rerank"])
def test_other_kinds_are_measured_like_bi_encoders(tmp_path, role, monkeypatch) -> None:
    """float32 is torch's also by a graph; a CPU has no fp16."""
    monkeypatch.setattr("hybrid_search.encode.ways.installed", lambda: ["onnx"])
    monkeypatch.setattr("hybrid_search.encode.ways.COMPUTES", {"torch": ("fp32", "fp16"), "onnx": ("fp32",)})
    place = str(SAVED[role](tmp_path / role, initializer_range=0.1, num_hidden_layers=1))
    told: list[str] = []
    ways = measure_model(place, seconds=0.01, on_way=told.append).ways
    assert told == ["torch fp32", "torch fp16", "onnx fp32"]
    check_ways(ways, ("torch", "onnx"))


def check_ways(measured, backends=("torch", "onnx", "openvino")) -> None:
    """A row for each way, torch first, and float32 as near as it must be."""
    ways = {(way.backend, way.precision): way for way in measured}
    assert next(iter(ways)) == ("torch", "fp32")
    assert ("torch", "fp16") not in ways
    for way, found in ways.items():
        assert (found.refused is None) == (found.agreement is not None and found.query_ms is not None), way
    assert all(min(ways[backend, "fp32"].agreement.values()) > 0.9999 for backend in backends)


def test_what_int8_gives_is_kept_and_nothing_else_is_taken_for_it(folder) -> None:
    """The least of the backends; not of a model with other weights, and not of more than the precision."""
    whole, eight = fingerprint(folder, "fp32"), fingerprint(folder, "int8")
    ways = measure_model(folder, seconds=0.01).ways
    check_ways(ways)
    assert shown(eight) == min(way.agreement["dense"] for way in ways if way.precision == "int8" and way.agreement)
    near = NEAR["dense"]
    keep(eight, near)
    assert near_enough(whole, eight)
    assert near_enough(eight, whole)
    assert not near_enough(replace(whole, weights="other"), eight)
    assert not near_enough(whole, replace(eight, query_prompt="query: "))
    keep(eight, near - 0.001)
    assert not near_enough(whole, eight)


def test_each_leg_is_judged_by_its_own_vectors() -> None:
    """Weights of terms turn further than dense vectors do, and lose no more by it: .86 is near for them alone."""
    from hybrid_search.encode.ways import encoders

    whole = {leg: Fingerprint(leg, "m", f"weights of {leg}") for leg in ("dense", "sparse")}
    eight = {leg: replace(one, extra={PRECISION: "int8"}) for leg, one in whole.items()}
    encoders(lambda _: None).keep(SimpleNamespace(**eight), {"dense": 0.86, "sparse": 0.86})
    assert {leg: near_enough(whole[leg], eight[leg]) for leg in whole} == {"dense": False, "sparse": True}


def test_what_was_shown_of_other_releases_does_not_count(folder, monkeypatch) -> None:
    """Another runtime may give other numbers."""
    eight = fingerprint(folder, "int8")
    keep(eight, 1.0)
    assert shown(eight) == 1.0
    monkeypatch.setattr("hybrid_search.encode.agreement.RUNTIMES", ("torch",))
    assert shown(eight) is None


def test_the_ways_are_printed(folder, monkeypatch) -> None:
    """A row for each with its cosine, or why there is none."""
    fp32 = WayMeasured("torch", "fp32", {"dense": 1.0}, 10.0, 1.5)
    ways = (fp32, WayMeasured("onnx", "int8", refused="gives other results"))
    found = Measured(10.0, 1.5, 1.0, None, ways)
    monkeypatch.setattr("hybrid_search.encode.measured.measure_model", lambda *_, **__: found)
    done = CliRunner().invoke(app, ["models", "check", folder], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines() if "fp32" in line or "int8" in line]
    assert "1.000000" in rows[-2]
    assert "gives other results" in " ".join(rows[-1])
