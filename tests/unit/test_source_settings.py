"""The cluster of a source that is an index: its own address, its own credentials, its own name in errors."""

from __future__ import annotations

import pytest

from hybrid_search.errors import SettingsError
from hybrid_search.read.settings_file import load_settings, to_toml
from hybrid_search.settings import EngineSettings, SourceSettings

TARGET = EngineSettings(url="https://bob:target@new:9200", api_key=None, ca_file="ca.pem", timeout=5.0)


def test_an_address_of_its_own_brings_credentials_of_its_own() -> None:
    """Those of the target go nowhere else."""
    engine = SourceSettings(url="https://old:9200", user="ann", password="old-secret").engine(TARGET)  # noqa: S106
    assert (engine.url, engine.user, engine.password, engine.ca_file) == ("https://old:9200", "ann", "old-secret", None)
    assert SourceSettings(url="https://old:9200").engine(TARGET).user is None


def test_without_an_address_it_is_the_cluster_of_the_target() -> None:
    """With its credentials, unless the source has some."""
    assert SourceSettings().engine(TARGET) == TARGET
    engine = SourceSettings(api_key="key").engine(TARGET)
    assert (engine.url, engine.api_key, engine.ca_file) == ("https://new:9200", "key", "ca.pem")


def test_errors_name_the_keys_of_the_source() -> None:
    """Not those of the engine, and never a value."""
    with pytest.raises(SettingsError, match=r"source\.password") as caught:
        SourceSettings(url="https://old:9200", password="old-secret")  # noqa: S106
    assert "secret" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"source\.bearer.*only one way") as caught:
        SourceSettings(api_key="first-secret", bearer="second-secret")
    assert "secret" not in str(caught.value)


def test_variables_and_files_give_it_and_secrets_are_not_written() -> None:
    """As of every section."""
    environ = {"HYBRID_SEARCH_SOURCE_URL": "https://u:pw-secret@old:9200"}
    settings = load_settings(None, {"source.timeout": "7"}, environ)
    assert (settings.source.url, settings.source.timeout) == ("https://u:pw-secret@old:9200", 7.0)
    assert "secret" not in repr(settings)
    text = to_toml(load_settings(None, {}, {"HYBRID_SEARCH_SOURCE_API_KEY": "key-secret", **environ} | {}))
    assert "secret" not in text
    assert 'url = "https://old:9200"' in text
