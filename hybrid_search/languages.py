"""Languages: what a field says of them, as ISO 639-1 codes and BCP 47 tags, and the analyzers of both engines for them.

No detection: that is :mod:`hybrid_search.read.languages`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

ANALYZERS: Mapping[str, str] = {
    "ar": "arabic",
    "bg": "bulgarian",
    "bn": "bengali",
    "ca": "catalan",
    "ckb": "sorani",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "gl": "galician",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "ja": "cjk",
    "ko": "cjk",
    "lt": "lithuanian",
    "lv": "latvian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "pt-br": "brazilian",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "th": "thai",
    "tr": "turkish",
    "zh": "cjk",
}
"""The analyzers that every version of both engines has, by language."""

_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo
es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg
ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn
no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta
te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu ckb
"""
"""ISO 639-1, and Sorani, which has no code there."""

_KNOWN = frozenset(_CODES.split())

_WORDS: Mapping[str, str] = {
    word: code
    for code, words in {
        "ar": "ara arabic",
        "bg": "bul bulgarian български",
        "bn": "ben bengali",
        "ca": "cat catalan català",
        "ckb": "sorani",
        "cs": "ces cze czech čeština",
        "da": "dan danish dansk",
        "de": "deu ger german deutsch allemand alemán",
        "el": "ell gre greek ελληνικά",
        "en": "eng english englisch anglais inglés",
        "es": "spa spanish español espanol castellano spanisch espagnol",
        "et": "est estonian eesti",
        "eu": "eus baq basque euskara",
        "fa": "fas per persian farsi",
        "fi": "fin finnish suomi",
        "fr": "fra fre french français francais französisch francés",
        "ga": "gle irish gaeilge",
        "gl": "glg galician galego",
        "hi": "hin hindi",
        "hu": "hun hungarian magyar",
        "hy": "hye arm armenian",
        "id": "ind indonesian",
        "it": "ita italian italiano italienisch italien",
        "ja": "jpn japanese 日本語",
        "ko": "kor korean 한국어",
        "lt": "lit lithuanian lietuvių",
        "lv": "lav latvian latviešu",
        "nl": "nld dut dutch nederlands",
        "no": "nor nob nno norwegian norsk",
        "pl": "pol polish polski",
        "pt": "por portuguese português portugues",
        "pt-br": "brazilian",
        "ro": "ron rum romanian română",
        "ru": "rus russian русский",
        "sr": "srp serbian",
        "sv": "swe swedish svenska",
        "th": "tha thai ไทย",
        "tr": "tur turkish türkçe",
        "uk": "ukr ukrainian українська",
        "vi": "vie vietnamese",
        "zh": "zho chi cmn chinese 中文",
    }.items()
    for word in words.split()
}
"""Codes of ISO 639-2 and -3, names of the analyzers, and what a language calls itself."""

_TAG = re.compile(r"([a-z]{2,3})((?:-[a-z0-9]{2,8})*)")


def tag_of(value: Any) -> str | None:
    """A BCP 47 tag in lower case (``de``, ``pt-br``) of what people and programs write; None for no language.

    ``DE``, ``de_AT.UTF-8``, ``deu``, ``German`` and ``Deutsch`` all are; of a list the first counts.
    """
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if not isinstance(value, str):
        return None
    word = value.strip().casefold()
    if word in _WORDS:
        return _WORDS[word]
    found = _TAG.fullmatch(re.split(r"[.@]", word, maxsplit=1)[0].replace("_", "-"))
    code = None if found is None else found[1] if found[1] in _KNOWN else _WORDS.get(found[1])
    return None if found is None or code is None else code + found[2]


def matching(value: Any, known: Iterable[str]) -> str | None:
    """The language of ``known`` that a value names: itself, else the nearest above it (``de`` for ``de-AT``)."""
    tag, names = tag_of(value), set(known)
    while tag is not None and tag not in names:
        tag = tag.rpartition("-")[0] or None
    return tag


def analyzer_of(value: Any) -> str | None:
    """The analyzer of both engines for the language that a value names; None where there is none."""
    code = matching(value, ANALYZERS)
    return None if code is None else ANALYZERS[code]
