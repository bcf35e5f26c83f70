"""Encodings: what is detected, what is said of it, and that no byte is lost."""

import io
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.read import records
from hybrid_search.read.encodings import as_utf8, encoding_of

TEXTS = [
    ("cp1252", "id,titel\n1,Schöne Grüße aus Köln\n2,Müller läuft über die Straße\n"),
    ("cp1252", "id;nom\n1;Café crème à l'été\n2;élève français\n"),
    ("cp1252", "id,t\n1,blåbär på ön\n"),
    ("cp1252", "id,t\n1,Não há informação\n"),
    ("cp1252", "id,text\n1,Café\n"),
    ("cp1250", "id,nazwa\n1,Zażółć gęślą jaźń\n2,łódka na jeziorze świętym\n"),
    ("cp1251", "id,имя\n1,Привет мир, как дела\n2,Настольная лампа\n"),
    ("koi8_r", "id,имя\n1,Привет мир, как дела\n2,Настольная лампа\n"),
    ("cp1253", "id,t\n1,Καλημέρα κόσμε πώς είσαι\n"),
    ("shift_jis", "id,名前\n1,机の上の猫が魚を食べている\n2,東京の天気は晴れです\n"),
    ("gb18030", "id,名称\n1,猫在桌子上吃鱼\n2,今天北京天气很好\n"),
    ("euc_kr", "id,t\n1,고양이가 생선을 먹는다\n"),
    ("utf-16", "id,text\n1,Café\n"),
    ("utf-16-le", "id,text\n1,plain\n"),
    ("utf-16-be", "id,text\n1,plain\n"),
    ("utf-32", "id,text\n1,Café\n"),
]


def stream(data):
    return io.BufferedReader(io.BytesIO(data))


@pytest.mark.parametrize(("encoding", "text"), TEXTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(TEXTS)])
def test_texts_of_exports_are_read_in_their_encoding(encoding, text):
    """A header or a few rows suffice; what it was taken for is said."""
    notes = []
    source = stream(text.encode(encoding))
    assert encoding_of(source) == encoding
    assert as_utf8(source, "f", notes.append).read().decode("utf-8-sig") == text
    assert len(notes) == 1
    assert notes[0].startswith("f: is read as ")


@pytest.mark.parametrize("text", ["plain", "Käse", "😀", "猫"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["bare", "marked"])
def test_utf8_is_left_as_it_is(text, mark):
    """The very stream, which can still seek, and no note."""
    source = stream(mark + text.encode())
    assert as_utf8(source, "f", pytest.fail) is source
    assert source.read() == mark + text.encode()


def test_utf8_with_a_broken_byte_is_no_other_encoding():
    """One byte among umlauts that are right is a fault of its line, which the reader names."""
    assert encoding_of(stream("äöü\näöü\n".encode() + b"caf\xe9\n")) is None


def test_bytes_that_are_no_letters_are_no_text():
    """A byte that stands alone, and a file with control characters."""
    assert encoding_of(stream(b"id,text\n3,\xff\n")) is None
    assert encoding_of(stream(b"caf\xe9\x00\x01\x02")) is None


def test_the_sample_reaches_beyond_the_beginning(tmp_path):
    """The first umlaut of 2 MB comes after a million bytes of ASCII."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,text\n" + b"1,plain\n" * 150_000 + "2,Grüße aus Köln\n".encode("cp1252") * 60_000)
    notes = []
    (last,) = deque(records(path, on_note=notes.append), maxlen=1)
    assert last.values == {"id": "2", "text": "Grüße aus Köln"}
    assert notes == [
        f"{path}: is read as Windows-1252 (Latin-1); if that is wrong: iconv -f ENCODING -t UTF-8",
    ]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ufeff\0"), max_size=50), st.integers(1, 9))
def test_a_marked_text_is_read_back_whatever_the_blocks(text, size):
    """UTF-16 survives reading in pieces of any size, surrogate pairs among them; zeros behind its mark are UTF-32."""
    recoded = as_utf8(stream(text.encode("utf-16")), "f", lambda _note: None)
    assert b"".join(iter(lambda: recoded.read(size), b"")).decode() == text


def test_a_header_in_latin1_names_its_column(tmp_path):
    """Which passed once, and failed later with another cause."""
    path = tmp_path / "a.csv"
    path.write_bytes("id;größe;text\n1;8;über\n".encode("latin-1"))
    assert [record.values for record in records(path)] == [{"id": "1", "größe": "8", "text": "über"}]
