"""Places in every usual form, and what is none."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError, RecordError, SettingsError
from hybrid_search.fields import check, filter_values, values_at
from hybrid_search.geo import FARTHEST, checked_place, meters, place
from hybrid_search.read.coordinates import is_place
from hybrid_search.read.names import longitude_beside
from hybrid_search.read.settings_text import settings_text
from hybrid_search.read.survey import survey
from hybrid_search.records import FieldReading, IndexSchema
from hybrid_search.search.facets import MinMax, Terms, checked_facets
from hybrid_search.settings import DocumentSettings

MUNICH = (48.1, 11.5)
SCHEMA = IndexSchema(None, None, geo_fields=("shop",))


@pytest.mark.parametrize(
    "written",
    [
        "48.1,11.5",
        " 48.1 ; 11.5 ",
        "POINT (11.5 48.1)",
        "point(11.5 48.1)",
        "POINT Z (11.5 48.1 520)",
        {"lat": 48.1, "lon": 11.5},
        {"lat": "48.1", "lng": " 11.5"},
        {"latitude": 48.1, "longitude": 11.5, "accuracy": 3},
        [11.5, 48.1],
        (11.5, 48.1, 520),
        {"type": "Point", "coordinates": [11.5, 48.1]},
    ],
)
def test_usual_forms(written):
    """Text and objects have the latitude first, lists and their kin the longitude."""
    assert place(written) == MUNICH


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("91,0", "latitude from -90 to 90"),
        ([11.5, 148.1], "latitude from -90 to 90"),
        ("0,180.5", "longitude from -180 to 180"),
        ({"lat": float("nan"), "lon": 1}, "number for its latitude"),
        ({"lat": True, "lon": 1}, "number for its latitude"),
        ({"lat": 10**400, "lon": 1}, "latitude from -90 to 90"),
        ({"lat": 1, "lon": -(10**5000)}, "longitude from -180 to 180"),
        ({"lat": float("inf"), "lon": 1}, "latitude from -90 to 90"),
        ({"lat": 48.1}, "a place"),
        ("Munich", "a place"),
        ("u281z7j", "a place"),
        ("48,1,11,5", "a place"),
        ([48.1], "a place"),
        (48.1, "a place"),
        (None, "a place"),
        ({"type": "Polygon", "coordinates": [[11.5, 48.1]]}, "a place"),
    ],
)
def test_what_is_no_place(written, why):
    """Out of range, half of one, or another thing."""
    with pytest.raises(ValueError, match=why):
        place(written)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_any_place_is_read_in_every_form(latitude, longitude):
    """To the last bit."""
    expected = checked_place(latitude, longitude)
    for written in (
        f"{latitude!r},{longitude!r}",
        f"POINT({longitude!r} {latitude!r})",
        [longitude, latitude],
        orjson.loads(orjson.dumps({"type": "Point", "coordinates": [longitude, latitude]})),
    ):
        assert place(written) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.from_regex(r"[-0-9.,e ()POINT]{1,20}"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["lat", "lon", "type", "coordinates"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(JSON)
def test_any_value_is_a_place_or_a_value_error(value):
    """And nothing else; a place is in range."""
    try:
        latitude, longitude = place(value)
    except ValueError:
        return
    assert abs(latitude) <= 90
    assert abs(longitude) <= 180


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5km", 5000.0),
        (" 5 KM", 5000.0),
        ("1.5mi", 2414.016),
        ("2nmi", 3704.0),
        ("10 ft", 3.048),
        (250, 250.0),
        (math.inf, FARTHEST),
        (10**400, FARTHEST),
        ("1e9km", FARTHEST),
    ],
)
def test_distances(written, expected):
    """In meters; what is farther than anything is as far as everything."""
    assert meters(written) == pytest.approx(expected)


@pytest.mark.parametrize("written", ["5", "km", "5 parsecs", "0m", "-3km", 0, -1, math.nan, None, True, ""])
def test_what_is_no_distance(written):
    """A number as text needs its unit."""
    with pytest.raises(ValueError, match="a distance"):
        meters(written)


def test_a_list_of_two_numbers_is_one_place():
    """A list of lists is several, and so are those of objects in a list."""
    assert values_at({"shop": [11.5, 48.1]}, "shop", "geo") == [[11.5, 48.1]]
    assert values_at({"shop": [[11.5, 48.1], None, [12, 49]]}, "shop", "geo") == [[11.5, 48.1], [12, 49]]
    assert values_at({"shops": [{"at": [11.5, 48.1]}, {"at": "1,2"}]}, "shops.at", "geo") == [[11.5, 48.1], "1,2"]
    assert filter_values({"shop": [[11.5, 48.1], "1,2"]}, SCHEMA) == {
        "shop": [{"lat": 48.1, "lon": 11.5}, {"lat": 1.0, "lon": 2.0}]
    }


def test_two_fields_say_one_place():
    """Both as numbers or as text; where both are blank there is none, and half of one is an error."""
    schema = IndexSchema(None, None, geo_fields=("lat,lon",))
    assert filter_values({"lat": 48.1, "lon": "11.5"}, schema) == {"lat,lon": {"lat": 48.1, "lon": 11.5}}
    assert filter_values({"lat": "", "lon": None}, schema) == {}
    (half,) = values_at({"lat": 48.1}, "lat,lon", "geo")
    with pytest.raises(RecordError, match="a place"):
        check(half, "lat,lon", "geo")


def test_a_wrong_place_is_a_bad_record_unless_the_field_is_lenient():
    """Then it is stored and not filtered on."""
    with pytest.raises(RecordError, match=r"the geo field 'shop' must be a place with a latitude from -90 to 90"):
        check("95,11", "shop", "geo")
    lenient = IndexSchema(None, None, geo_fields=("shop",), readings={"shop": FieldReading(lenient=True)})
    assert filter_values({"shop": ["95,11", "48.1,11.5", "-"]}, lenient) == {"shop": {"lat": 48.1, "lon": 11.5}}


def test_a_field_has_one_role():
    """A place is not also a keyword."""
    with pytest.raises(SettingsError, match=r"'shop' is also in documents\.keyword"):
        DocumentSettings(keyword=("shop",), geo=("shop",))


@pytest.mark.parametrize(
    ("value", "named", "expected"),
    [
        ("48.137,11.575", False, True),
        ("48.1,11.5", False, False),
        ("48.1,11.5", True, True),
        ("12,5", False, False),
        ([11.5, 48.1], False, False),
        ([11.5, 48.1], True, True),
        ({"lat": 1, "lon": 2}, False, True),
        ("POINT(1 2)", False, True),
        ("Munich", True, False),
    ],
)
def test_what_a_sample_shows_to_be_places(value, named, expected):
    """Two numbers may be a price with a decimal comma, or a range."""
    assert is_place(value, named=named) == expected


def test_init_names_places_and_pairs_of_columns(tmp_path):
    """Fields of one value, and latitudes beside their longitudes."""
    path = tmp_path / "shops.csv"
    rows = [f"s{n},Shop number {n} sells bread,{48 + n / 100},{11 + n / 100},48.13{n},11.57{n}" for n in range(9)]
    path.write_text("\n".join(["id,text,lat,lon,shop_latitude,shop_longitude", *rows]))
    assert 'geo = ["lat,lon", "shop_latitude,shop_longitude"]' in settings_text(survey(path))
    assert longitude_beside("home lat", ["work lon", "home lon"]) == "home lon"
    assert longitude_beside("platform", ["longform"]) is None


@pytest.mark.parametrize("facet", ["shop", "shop:10,50", Terms("shop"), MinMax("shop")])
def test_places_are_not_counted(facet):
    """Before anything is sent, with what can be done instead."""
    with pytest.raises(QueryError, match="'shop' holds places, which are not counted"):
        checked_facets([facet], SCHEMA)
