"""The documentation of the standard library as documents."""

import subprocess
import sys
import zipfile
from collections import Counter
from importlib.machinery import PathFinder

import pytest

from hybrid_search.demo import HOPED
from hybrid_search.read import stdlib
from hybrid_search.read.stdlib import source
from hybrid_search.read.stdlib.parse import parse
from hybrid_search.read.stdlib.runtime import _without_self

KINDS = {"module", "class", "function", "method", "property"}


@pytest.fixture(scope="module")
def library():
    return list(stdlib.documents())


@pytest.fixture(scope="module")
def by_id(library):
    return {document.id: document for document in library}


def test_what_the_demo_hopes_for_is_documented(by_id):
    """An answer that no document gives could not be found."""
    assert set(HOPED.values()) <= set(by_id)


def test_there_are_thousands_of_documents_each_once_and_in_order(library):
    """At least 3,000, sorted by id, without repetition."""
    ids = [document.id for document in library]
    assert len(ids) >= 3000
    assert ids == sorted(set(ids))


def test_every_document_says_something_about_something_public(library):
    """Each has a text, all five kinds are there, and nothing private or of the tests is."""
    assert {document.fields["kind"] for document in library} == KINDS
    for document in library:
        assert set(document.fields) == {"name", "module", "kind", "signature"}
        assert document.fields["name"] == document.id
        assert not any(part.startswith("_") for part in document.id.split("."))
        assert not {"test", "tests", "idlelib"} & set(document.fields["module"].split("."))
        heading, _, body = document.text.partition("\n")
        assert document.id in heading
        assert body.strip()


PUBLIC_NAMES = [
    "asyncio.run",  # a package that collects names by star imports
    "builtins",
    "collections.abc.Mapping",  # defined in a private module
    "collections.deque",  # C
    "concurrent.futures.ThreadPoolExecutor",  # imported when it is asked for; documented by its __init__
    "concurrent.futures.Executor.submit",
    "datetime.datetime.strptime",  # Python, or C with a Python twin, by version
    "dict.fromkeys",  # a class method of a built-in
    "functools.lru_cache",
    "heapq.heappush",
    "io.StringIO",
    "itertools.chain.from_iterable",
    "json.JSONDecoder",  # defined in json.decoder
    "json.loads",
    "math.sqrt",
    "multiprocessing.Pool",  # a computed __all__
    "open",
    "os.listdir",  # of posix or nt
    "os.path.join",
    "pathlib.Path",
    "random.choice",  # a bound method of a hidden instance
    "re.compile",
    "socket.socket",
    "sqlite3.Connection.execute",
    "str.split",
    "subprocess.run",
    "time.sleep",
    "urllib.request.urlopen",
    "xml.etree.ElementTree.parse",
]


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_objects_go_by_their_public_names(by_id, name):
    """Whatever module defines an object, its id is the name that people import it by."""
    assert name in by_id


def test_an_object_that_several_modules_offer_is_there_once(by_id):
    """The name where a thing is defined gives way to the shorter one where it is offered."""
    for hidden in (
        "json.decoder.JSONDecoder",
        "asyncio.runners.run",
        "posixpath.join",
        "io.open",
        "builtins.str.split",
    ):
        assert hidden not in by_id


def test_a_document_reads_like_documentation(by_id):
    """Name, signature without self, then the docstring."""
    document = by_id["datetime.datetime.strptime"]
    assert document.text.startswith("datetime.datetime.strptime(")
    assert "parsed from a string" in document.text
    assert document.fields["kind"] == "method"
    assert document.fields["module"] == "datetime"
    assert by_id["json"].text.startswith("module json\nJSON (JavaScript Object Notation)")
    assert by_id["str.split"].fields["signature"] == "(sep=None, maxsplit=-1)"
    assert by_id["dict.get"].fields["signature"] == "(key, default=None, /)"


def test_a_class_says_what_its_members_do(by_id):
    """A line for each: the docstring of a deque alone does not say that anything can be added to it."""
    own, _, members = by_id["collections.deque"].text.partition("\n\nappend: ")
    assert own == (
        "collections.deque\ndeque([iterable[, maxlen]]) --> deque object\n\n"
        "A list-like sequence optimized for data accesses near its endpoints."
    )
    assert members.startswith("Add an element to the right side of the deque.\nappendleft: Add an element to the left")
    assert "\nmaxlen: maximum size of a deque or None if unbounded.\n" in members
    assert by_id["collections.deque.append"].text.count("\n") == 1


def test_two_readings_are_equal(library):
    """Nothing depends on the order of sets or on what was imported in between."""
    assert [(document.id, document.text) for document in stdlib.documents()] == [
        (document.id, document.text) for document in library
    ]


def test_reading_opens_nothing_and_warns_of_nothing():
    """A fresh interpreter with warnings as errors prints nothing and imports no module that acts when imported."""
    code = """
import sys
from hybrid_search.demo import HOPED
from hybrid_search.read import stdlib
from hybrid_search.read.stdlib import source
count = sum(1 for _ in stdlib.documents())
acting = {"antigravity", "this", "tkinter", "turtle", "idlelib", "test", "lib2to3", "readline", "curses", "__main__.py"}
print(count, sorted(acting & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["[]"]
    assert done.stderr == ""


SOURCE = '''"""About the module."""
from .other import thing as renamed
if True:
    from . import sibling
__all__ = ["f"]
__all__ += ["C"]


def f(a, *, b: int = 1) -> str:
    """About f."""


class C:
    """About C."""

    def __init__(self, size, /, *rest):
        """About making it."""

    def method(self, x=None) -> int:
        """About the method."""

    def quiet(self): ...

    def _hidden(self):
        """Nobody's business."""

    @staticmethod
    def static(x):
        """About the static one."""

    @property
    def prop(self):
        """About the property."""

    class Inner:
        """About the inner class."""


class Silent:
    def __init__(self, a):
        """Only the maker speaks."""


try:
    import fast
except ImportError:
    def fallback():
        """About the fallback."""
'''


def test_a_source_is_parsed_into_entries():
    """Docstrings, signatures without self, kinds, imports and the list of public names."""
    module = parse(SOURCE, "m")
    assert module.docstring == "About the module."
    assert module.listed == {"f", "C"}
    assert [(item.level, item.target, dict(item.names)) for item in module.imports] == [
        (1, "other", {"renamed": "thing"}),
        (1, "", {"sibling": "sibling"}),
    ]
    entries = [entry for found in module.definitions.values() for entry in found]
    assert [(entry.path, entry.kind, entry.signature, entry.docstring) for entry in entries] == [
        ("f", "function", "(a, *, b: int=1) -> str", "About f."),
        ("C", "class", "(size, /, *rest)", "About C."),
        ("C.method", "method", "(x=None) -> int", "About the method."),
        ("C.static", "method", "(x)", "About the static one."),
        ("C.prop", "property", "", "About the property."),
        ("C.Inner", "class", "", "About the inner class."),
        ("Silent", "class", "(a)", "Only the maker speaks."),
        ("fallback", "function", "()", "About the fallback."),
    ]


def test_a_zipped_library_is_read_from_its_source_too(tmp_path, monkeypatch):
    """Some builds keep the library in an archive, whose loader gives the source as well."""
    archive = tmp_path / "library.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped.py", '"""About the zipped module."""')
    spec = PathFinder.find_spec("zipped", [str(archive)])
    monkeypatch.setattr(source, "_spec", lambda _name: spec)
    assert source.parsed.__wrapped__("zipped").docstring == "About the zipped module."


def test_a_computed_list_of_names_is_known_as_such():
    """None says that only the run time knows, an empty set that there is no list."""
    assert parse("__all__ = other.__all__ + ['a']", "m").listed is None
    assert parse("x = 1", "m").listed == frozenset()


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("(self)", "()"),
        ("(self, /)", "()"),
        ("(self, x, /)", "(x, /)"),
        ("(type, x, /, y=1)", "(x, /, y=1)"),
        ("(x)", "(x)"),
    ],
)
def test_self_is_not_part_of_how_a_method_is_called(signature, expected):
    """The first parameter of C methods goes the way of self."""
    assert _without_self(signature) == expected


def test_the_kinds_are_in_sensible_proportion(library):
    """Methods are the most, and no kind is a mere handful."""
    counts = Counter(document.fields["kind"] for document in library)
    assert counts.most_common(1)[0][0] == "method"
    assert min(counts.values()) >= 100
