"""A commented settings file, made of what a look at the data showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import tomli_w

from hybrid_search.model_languages import foreign, suggested, warning
from hybrid_search.printed import visible
from hybrid_search.read.languages import Reading, listed
from hybrid_search.read.names import longitude_beside
from hybrid_search.read.survey import Role, Survey
from hybrid_search.settings import NO_MODEL, Settings
from hybrid_search.settings.documents import FIRST, NUMBER, REFUSE

_DEFAULTS = Settings()

_INTRODUCTION = """\
# Settings of one index, for hybrid-search index, search and evaluate (--settings FILE).
#
# Written from a look at {seen:,} records of {source}.
# A line that begins with "#" shows a default: take the "# " off to change it.
# Environment variables and flags override this file: HYBRID_SEARCH_SEARCH_K=20, --set search.k=20.
"""

_DOCUMENTS = """
[documents]
# Which field is what. A dot reaches into an object: "metadata.brand".

{identity}
# The field that heads a result.
{title}

# The text that is searched: these fields, joined by line breaks. {text_comment}
text = {text}
{html}
# Fields to filter on, in hybrid-search search --filter. All other fields are stored and come with the hits.
keyword = {keyword}
number = {number}
date = {date}
boolean = {boolean}
# Places: "48.1,11.5", {{lat, lon}}, [lon, lat], GeoJSON, WKT; "latitude,longitude" names two fields that say one.
geo = {geo}
{language}{readings}{vectors}"""

_REPEATED = {
    REFUSE: '# repeated_ids = "refuse"   # what becomes of an id that comes again: or "first", "last", "number"',
    FIRST: 'repeated_ids = "first"   # a record that comes again is left out; or "refuse", "last", "number"',
    NUMBER: 'repeated_ids = "number"   # the second of two gets the id a-2; or "refuse", "first", "last"',
}
_CARRIED = "# The documents carry vectors. Name the model that made them, and queries can be given as text.\n"
_READINGS = {
    "split": "What stands between the values of one cell; [] is for printed lists.",
    "decimal": "The decimal mark, of fields where it is no point.",
    "date_order": "What comes first in dates such as 05/07/2022: day or month.",
    "lenient": "Fields of which a value that cannot be read is stored and not filtered on; elsewhere it is an error.",
}

_REST = """
[chunking]
# Long texts are cut into passages at the ends of sentences. The default of max_tokens is the model's own limit.
# max_tokens = 256
# overlap = {chunking[overlap]}
# with_title (true or false): whether models read the title before every passage; without it as the index was made.

# BM25 also searches fields on their own: a section [text.FIELD] for each, with "weight" and "analyzer".

[encode]
# What runs the models: "auto" (the fastest here that gives the same), "torch", "onnx" or "openvino".
# backend = {encode[backend]}
# precision = {encode[precision]}   # or "bf16", "fp16" on a GPU, "int8"

[dense]
# The bi-encoder: a name, a folder, or "none" to leave this leg out.
# model = {dense[model]}
# batch_size = {dense[batch_size]}
# query_prompt = "query: "        # only where the model's own files do not say it
# document_prompt = "passage: "
{dense_of_data}
[sparse]
# "idf" needs no model; "starter" is small and trained; else the name or folder of a SPLADE model, or "none".
# model = {sparse[model]}
{sparse_of_data}
[rerank]
# "late" compares the tokens of the dense model; a cross-encoder, by name or folder, reads query and text together.
# model = {rerank[model]}
# window = {rerank[window]}        # how many hits are reranked
# weight = {rerank[weight]}       # the reranker's share of the final score, 0 to 1

[search]
# legs = {search[legs]}
# k = {search[k]}             # hits that are returned
# window = {search[window]}       # hits that each leg adds to the fusion
# fusion = {search[fusion]}   # or "rrf", "z-score", "theoretical-min", "server"
# weights = {{ bm25 = 1.0, dense = 1.0, sparse = 1.0 }}   # of the starter .6, unless ranks are fused
# rules = []           # other weights for some queries: "words <= 2: bm25=0.6 dense=0.4"; tune finds them
# boosts = []          # raise what is fresh, or sold: "fresh:published,30d", "log1p:sold,10000"

[engine]
# Without a url the local node is used: hybrid-search up. Passwords and keys belong in the environment:
# HYBRID_SEARCH_ENGINE_PASSWORD, HYBRID_SEARCH_ENGINE_API_KEY, HYBRID_SEARCH_ENGINE_BEARER.
# url = "https://search.example.com:9200"
# user = "elastic"
{analyzer}
# shards = {engine[shards]}
# replicas = 1         # copies on other nodes; without it as many as the engine makes, on the local node none
"""


def settings_text(survey: Survey, *, multilingual: bool = False) -> str:
    """TOML with comments; :func:`hybrid_search.read.settings_file.load_settings` reads it.

    ``multilingual`` writes models of many languages where it would else suggest them, in comments.
    """
    defaults = {
        section: {key: _toml(value) for key, value in table.items() if value is not None}
        for section, table in msgspec.to_builtins(_DEFAULTS).items()
    }
    introduction = _INTRODUCTION.format(seen=survey.seen, source=_one_line(survey.source))
    of_data = {
        "dense_of_data": _dense(survey, chosen=multilingual),
        "sparse_of_data": _sparse(survey, chosen=multilingual),
    }
    analyzer = _analyzer(survey.reading)
    return introduction + _documents(survey) + _REST.format(analyzer=analyzer, **of_data, **defaults)


def _analyzer(reading: Reading) -> str:
    """The lines of ``[engine]`` that say how BM25 reads the texts."""
    usual = _DEFAULTS.engine.analyzer
    if reading.analyzers:
        others = f"analyzer = {_toml(reading.analyzer or usual)}   # of texts in any other language, for BM25\n"
        return f"{others}analyzers = {_toml(reading.analyzers)}"
    comment = "   # the language of the text, for BM25"
    return f"{'# ' if reading.analyzer in {None, usual} else ''}analyzer = {_toml(reading.analyzer or usual)}{comment}"


def model_warning(survey: Survey) -> str | None:
    """What to say of the default models where they do not read the languages of the data; None where they do."""
    carried = {view.role for view in survey.fields}
    models = {"dense.model": (Role.DENSE, _DEFAULTS.dense.model), "sparse.model": (Role.SPARSE, _DEFAULTS.sparse.model)}
    return warning(survey.languages, {key: model for key, (role, model) in models.items() if role not in carried})


def _documents(survey: Survey) -> str:
    texts = survey.texts
    html = [view.name for view in survey.fields if view.html and view.name in texts]
    roles = (Role.KEYWORD, Role.NUMBER, Role.DATE, Role.BOOLEAN)
    names = [view.name for view in survey.fields if view.role == Role.NUMBER]
    pairs = [f"{name},{other}" for name in names if (other := longitude_beside(name, names)) is not None]
    return _DOCUMENTS.format(
        identity=_identity(survey),
        title='# title = "title"' if _is_usual(survey) else f"title = {_toml(survey.title)}",
        text_comment="" if texts else "No field looked like text: name one.",
        text=_toml(texts or _DEFAULTS.documents.text),
        html=f"\n# Those of them that hold HTML, which is turned into text.\nhtml = {_toml(html)}\n" if html else "",
        readings=_readings(survey),
        vectors=_vectors(survey),
        geo=_toml([*survey.names(Role.GEO), *pairs]),
        language=_language(survey.reading),
        **{role.value: _toml(_filtered_on(survey, role)) for role in roles},
    ).replace(" \n", "\n")


def _filtered_on(survey: Survey, role: Role) -> list[str]:
    """The fields of a role, and with the keywords the language of a document."""
    names, language = survey.names(role), survey.reading.field
    return [*names, language] if role == Role.KEYWORD and language is not None and language not in names else names


def _language(reading: Reading) -> str:
    """The settings that say in which language a document is."""
    if reading.field is None:
        return ""
    what = "The field that keeps a document's language" if reading.detects else "The field that names its language"
    comment = f"\n# {what}; engine.analyzers says how each is read.\nlanguage = {_toml(reading.field)}\n"
    detects = "detect_language = true\n" if reading.detects else "# detect_language = true   # where it says nothing\n"
    return comment + detects


def _is_usual(survey: Survey) -> bool:
    """Whether results are headed as they should be without a setting."""
    return survey.title is None or (survey.title == "title" and survey.texts[0] == "title" and len(survey.texts) > 1)


def _identity(survey: Survey) -> str:
    repeated = _REPEATED[survey.repeated_ids]
    views = [view for view in survey.fields if view.role == Role.ID]
    if not views:
        comment = "# No field was different in every record: the id is made of what the record holds."
        return f'{comment}\nid_from = "content"   # or "field", and id = "the field"\n{repeated}\n'
    is_unique = survey.repeated_ids == REFUSE
    seen = "Different in every record that was looked at." if is_unique else f"{views[0].reason.capitalize()}."
    return f"# {_one_line(seen)}\nid = {_toml(views[0].name)}\n{repeated}\n"


def _readings(survey: Survey) -> str:
    """The settings that say how fields are read that are not plain."""
    roles = {Role.KEYWORD, Role.NUMBER, Role.DATE, Role.BOOLEAN}
    views = [view for view in survey.fields if view.role in roles]
    values: dict[str, Any] = {
        "split": {view.name: view.separator for view in views if view.separator is not None},
        "decimal": {view.name: view.decimal for view in views if view.decimal != "."},
        "date_order": {view.name: view.date_order for view in views if view.date_order is not None},
        "lenient": [view.name for view in views if view.lenient],
    }
    lines = [f"# {_READINGS[key]}\n{key} = {_toml(value)}\n" for key, value in values.items() if value]
    return "".join(f"\n{line}" for line in lines)


def _vectors(survey: Survey) -> str:
    lines = [f"{role.value} = {_toml(names[0])}" for role in (Role.DENSE, Role.SPARSE) if (names := survey.names(role))]
    comment = "\n# Vectors that the documents carry; they are indexed as they are.\n"
    return comment + "\n".join(lines) + "\n" if lines else ""


def _dense(survey: Survey, *, chosen: bool) -> str:
    """The bi-encoder's settings where the documents carry its vectors, or are not in English."""
    views = [view for view in survey.fields if view.role == Role.DENSE]
    if views:
        return f'{_CARRIED}model = "precomputed"\ndimension = {views[0].reason.split()[0]}\n'
    if not chosen and model_warning(survey) is None:
        return ""
    advice, spoken = suggested(survey.languages), foreign(survey.languages)
    comments = [f"The texts are {listed(spoken)}, and the default reads English alone."] if spoken else []
    comments.append(f"A model of many languages, together with {'what' if chosen else 'the lines that'} [sparse] says:")
    comments.append(advice.facts)
    return "".join(f"# {comment}\n" for comment in comments) + _lines(advice.dense, chosen=chosen)


def _sparse(survey: Survey, *, chosen: bool) -> str:
    """The sparse model's settings where the documents carry its vectors, or the default would not go with [dense]."""
    if survey.names(Role.SPARSE):
        return f'{_CARRIED}model = "precomputed"\n'
    if survey.names(Role.DENSE):
        lexical = {"model": NO_MODEL if foreign(survey.languages) else "idf"}
        return f"# The default goes with the default of [dense] alone.\n{_lines(lexical, chosen=True)}"
    if not chosen and model_warning(survey) is None:
        return ""
    lines = _lines(suggested(survey.languages).sparse, chosen=chosen)
    return f"# Beside that bi-encoder; the default goes with the default of [dense] alone.\n{lines}"


def _lines(values: Mapping[str, str], *, chosen: bool) -> str:
    return "".join(f"{'' if chosen else '# '}{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: Any) -> str:
    """One value as TOML writes it, lists and tables on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"x": value}).partition("= ")[2].strip()


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))  # TOML takes no control character, not even in a comment
