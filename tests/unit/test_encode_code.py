"""Models that run code of their own or of another repository, and devices that are not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import tiny_models as tiny
import torch

from hybrid_search import load_encoder, load_reranker
from hybrid_search.encode import sources
from hybrid_search.encode.code import find_code, foreign_repositories
from hybrid_search.encode.devices import devices_here, find_device
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

CODE = '''
from transformers import BertConfig, BertModel


class TwiceConfig(BertConfig):
    model_type = "twice"


class TwiceModel(BertModel):
    """A BERT whose token states are doubled."""

    config_class = TwiceConfig

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.last_hidden_state = output.last_hidden_state * 2
        return output
'''
REFERENCES = {"AutoConfig": "acme/code--twice.TwiceConfig", "AutoModel": "acme/code--twice.TwiceModel"}


@pytest.fixture
def folder(tmp_path):
    """A bi-encoder whose code lives in the repository acme/code."""
    folder = tiny.save_bi_encoder(tmp_path / "model", normalize=False)
    tiny.change_json(folder / "config.json", auto_map=REFERENCES, model_type="twice", architectures=["TwiceModel"])
    return folder


@pytest.fixture
def cache(tmp_path):
    """A Hugging Face cache that holds that repository."""
    repository = tmp_path / "hub" / "models--acme--code"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "twice.py").write_text(CODE)
    return tmp_path / "hub"


def load(role, folder, **settings):
    """By each section of the settings."""
    off = {"dense": DenseSettings(model="none"), "sparse": SparseSettings(model="none")}
    kinds = {"dense": DenseSettings, "sparse": SparseSettings, "rerank": RerankSettings}
    whole = Settings(**{**off, role: kinds[role](model=str(folder), **settings)})
    return load_reranker(whole) if role == "rerank" else load_encoder(whole)


@pytest.mark.parametrize("role", ["dense", "sparse", "rerank"])
def test_code_of_another_repository_is_named_with_the_setting_that_allows_it(folder, role):
    """Trusting the model is not trusting whoever it points to."""
    with pytest.raises(ModelError, match=r"its code lives in another repository \(acme/code\)") as refused:
        load(role, folder, trust_remote_code=True)
    assert f'{role}.code_repositories = ["acme/code"]' in refused.value.remedy


def test_without_trust_no_repository_helps(folder):
    """Naming the repository does not say that the model may run code."""
    with pytest.raises(ModelError, match="trust_remote_code"):
        load("dense", folder, code_repositories=("acme/code",))


def test_code_that_is_not_on_this_machine_is_looked_for_and_missed_by_name(folder, monkeypatch, tmp_path):
    """The hub is not reached."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ModelError, match=r"code of 'acme/code'"):
        load("dense", folder, trust_remote_code=True, code_repositories=("acme/code",))


def test_code_of_a_repository_that_is_named_is_run(folder, cache, tmp_path):
    """In a process of its own, since the library reads where its cache is when it is imported."""
    bare = tiny.save_bi_encoder(tmp_path / "bare", normalize=False)
    script = f"""
import json
from hybrid_search.encode.dense import load_dense
from hybrid_search.settings import DenseSettings
own = DenseSettings(model={str(folder)!r}, device="cpu", trust_remote_code=True, code_repositories=("acme/code",))
vectors = [load_dense(s).encode_queries(["so sunny"])[0, 0] for s in (own, DenseSettings(model={str(bare)!r}))]
print(json.dumps([float(v) for v in vectors]))
"""
    places = {"HF_HUB_CACHE": str(cache), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **places, "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    doubled, plain = json.loads(ran.stdout)
    assert doubled == pytest.approx(2 * plain, abs=1e-5)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"auto_map": {"AutoModel": "b/y--m.M", "AutoConfig": "own.Config"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["b/y--t.Slow", None]}}),
        ("modules.json", [{"type": "b/y--custom_st.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1"}]),
    ],
)
def test_foreign_code_is_found_wherever_a_model_speaks_of_it(tmp_path, file, content):
    """Its own code has no repository before it."""
    tiny.write_json(tmp_path / file, content)
    assert foreign_repositories(tmp_path) == ["b/y"]


def test_every_foreign_repository_must_be_named(tmp_path, monkeypatch):
    """The first that is not stops the load; those that are named are brought."""
    tiny.write_json(tmp_path / "config.json", {"auto_map": {"AutoModel": "a/x--m.M", "AutoConfig": "b/y--m.C"}})
    brought: list[str] = []
    monkeypatch.setattr("hybrid_search.encode.code.fetch_code", brought.append)
    with pytest.raises(ModelError, match="b/y"):
        find_code(tmp_path, ["a/x"], "dense")
    find_code(tmp_path, ["a/x", "b/y"], "dense")
    assert brought == ["a/x", "a/x", "b/y"]


def test_only_python_files_of_a_code_repository_are_fetched(tmp_path, monkeypatch):
    """Its weights are none of ours."""
    import huggingface_hub

    asked: dict[str, object] = {}

    def fetch(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    sources.fetch_code("acme/code")
    assert (asked["name"], asked["allow_patterns"]) == ("acme/code", ["*.py"])


SAVE = {
    "fast": ("dense", tiny.save_bi_encoder),
    "slow": ("dense", lambda folder: tiny.save_bi_encoder(folder, pooling="max")),
    "sparse": ("sparse", tiny.save_splade),
    "rerank": ("rerank", tiny.save_cross_encoder),
}


@pytest.fixture
def no_gpu(monkeypatch):
    """The machine as torch sees it, without accelerators."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("kind", SAVE)
@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:0", "GPU"])
@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_is_not_there_is_no_fault_of_the_models_files(tmp_path, kind, device):
    """The remedy names the devices of this machine and the setting."""
    role, save = SAVE[kind]
    with pytest.raises(SettingsError) as refused:
        load(role, save(tmp_path), device=device)
    assert str(refused.value) == (
        f"{role}.device: this machine has no GPU that torch can use. "
        f"Devices here: cpu. Leave {role}.device out to take the first"
    )


@pytest.mark.parametrize("kind", SAVE)
def test_a_device_that_has_no_such_name_is_refused_by_it(tmp_path, kind):
    """A slip of the pen is not a missing GPU."""
    role, save = SAVE[kind]
    with pytest.raises(SettingsError, match=rf"{role}\.device: there is no device 'cpuu'\. Devices here: .*cpu"):
        load(role, save(tmp_path), device="cpuu")


def test_gpu_is_whichever_accelerator_there_is(monkeypatch):
    """torch has no such name, people do."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [name for name in devices_here() if name.startswith("cuda")] == ["cuda", "cuda:1"]
    assert find_device("gpu", "dense.device") == "cuda"
    assert find_device("cuda:1", "dense.device") == "cuda:1"
    with pytest.raises(SettingsError, match=r"no device 'cuda:2'\. Devices here: cuda, cuda:1"):
        find_device("cuda:2", "dense.device")


def test_without_a_device_the_library_chooses():
    """As before."""
    assert find_device(None, "dense.device") is None


def test_the_starter_says_it_too():
    """Its bi-encoder is loaded by ``dense.device``, and by ``sparse.device`` where there is no dense leg."""
    with pytest.raises(SettingsError, match=r"dense\.device: there is no device 'cpuu'"):
        load_encoder(Settings(dense=DenseSettings(device="cpuu")))
    with pytest.raises(SettingsError, match=r"sparse\.device: there is no device 'cpuu'"):
        load_encoder(Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(device="cpuu")))
