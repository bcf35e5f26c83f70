"""Files as people have them, one kind each, and a question with its right answer: from ``init`` to that, unedited."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

THINGS = ["brass lamp", "oak shelf", "wool blanket", "steel kettle", "glass carafe", "linen curtain", "cork board"]
PLACES = ["a quiet reading corner", "the hallway", "cold winter nights", "a busy kitchen", "the dinner table"]


@dataclass(frozen=True)
class Kind:
    """One kind of source: how it is written, what is asked of it, and what must come first.

    Attributes:
        write: makes the source in an empty folder.
        question: the words of the search.
        id: the first hit; None where its id is made.
        expected: fields of it, as the source has them.
        filters: ``--filter`` of the search.
        hits: how many hits there are, None where that is not looked at.
        said: words that ``init`` prints.
    """

    write: Callable[[Path], Path]
    question: str
    id: str | None
    expected: Mapping[str, object] = field(default_factory=dict)
    filters: Sequence[str] = ()
    hits: int | None = None
    said: Sequence[str] = ()


def rows(count: int, *extra: Callable[[int], object]) -> list[list[object]]:
    """Rows of a name, a description and more columns; the names of things come again, their numbers do not."""
    return [
        [
            f"{THINGS[n % 7].title()} {n}",
            f"A {THINGS[n % 7]} for {PLACES[n % 5]}, made to last and easy to clean.",
            *(column(n) for column in extra),
        ]
        for n in range(count)
    ]


def table(folder: Path, name: str, header: str, lines: Sequence[Sequence[object]], delimiter: str = ",") -> Path:
    """A file of CSV."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([header.split(","), *lines])
    path = folder / name
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def lines_of(folder: Path, name: str, records: Sequence[dict[str, object]]) -> Path:
    """A file of JSON lines."""
    path = folder / name
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return path


def shop(folder: Path) -> Path:
    """A messy export: an id twice, HTML, prices with signs, dates in three forms, words for yes and no."""
    prices = ["12.50", "$1,299.00", "€53,05", "on request", "7.00"]
    days = ["2024-01-13", "26/05/2025", "Jun 15, 2021", "2022-04-03T00:00:00Z", "05/07/2022"]
    body = '<div class="d"><p><b>{}</b> &mdash; {}</p><ul><li>Colour: red</li></ul><script>track({})</script></div>'
    content = [
        [
            f"SKU-{min(n, 48):03}",
            name,
            body.format(name, text, n),
            "on request" if n % 10 == 3 else prices[n % 5 if n % 5 != 3 else 0],
            days[n % 5],
            ["yes", "no", "1", "TRUE"][n % 4],
            "NaN" if n % 4 == 0 else f"{n % 5}.5",
            ["sale|kids", "new", "sale|pro"][n % 3],
        ]
        for n, (name, text) in enumerate(rows(50))
    ]
    return table(folder, "s.csv", "SKU,Product Title,description_html,Price,Created At,in_stock,rating,tags", content)


def labels(folder: Path) -> Path:
    """Post codes and telephone numbers."""
    content = [
        ["00123", "Corner bakery with rye bread", "01730", "4.50", "+4912345"],
        ["123", "Harbour bakery with fish rolls", "10730", "12", "0049123"],
        ["0x1F", "Hill bakery", "00501", "1e3", "12.0"],
        ["1e5", "Lake bakery", "99999", "7", "12"],
    ]
    return table(folder, "shops.csv", "sku,name,zip,price,phone", content)


def nested(folder: Path) -> Path:
    """Fields inside objects."""
    makers = ["Lun", "Sol", "Sol"]
    return lines_of(
        folder,
        "goods.jsonl",
        [
            {
                "id": f"g{n}",
                "name": f"lamp model {n} with a {'oak' if n % 2 == 0 else 'brass'} foot",
                "meta": {"maker": makers[n % 3], "price": 10 + n, "since": f"{2010 + n % 5}-03-01"},
            }
            for n in range(24)
        ],
    )


def large_numbers(folder: Path) -> Path:
    """Whole numbers beyond 2^53."""
    serials = [2**53 + n for n in range(4)] + [1524753829371840599, 1524753829371840600]
    records = [{"_id": f"r{s}", "text": "receipt for a bicycle pump", "serial": s} for s in serials]
    return lines_of(folder, "receipts.jsonl", records)


def scripts(folder: Path) -> Path:
    """Texts without blanks."""
    texts = ["猫が庭で魚を食べている", "山の上の小さな茶屋で休む", "駅前の本屋で古い地図を買う"]
    return lines_of(folder, "texts.jsonl", [{"_id": f"d{n}", "内容": text * 3} for n, text in enumerate(texts)])


def without_ids(folder: Path) -> Path:
    """A table of people without an id; one row is there twice."""
    content = [["Ann Lee", "34", "Paints the harbour in oil"], ["Bob Moe", "29", "Repairs old church organs"]]
    return table(folder, "people.csv", "name,age,about", [*content, content[0]])


def german(folder: Path) -> Path:
    """Semicolons, decimal commas, days first, ja and nein."""
    things = ["Messinglampe", "Eichenregal", "Wolldecke", "Teekessel"]
    content = [
        [
            f"A-{n:03}",
            f"{things[n % 4]} {n}",
            f"Eine {things[n % 4]} für lange Abende und kalte Nächte, die man auch im Garten sehr gut gebrauchen kann.",
            f"{n % 3 + 1}.{n * 7 % 1000:03},{n % 10}0 €",
            f"{n % 28 + 1:02}.{n % 12 + 1:02}.2023",
            "ja" if n % 2 else "nein",
        ]
        for n in range(40)
    ]
    header = "Artikelnummer_ID,Bezeichnung,Beschreibung,Preis,Datum,Lieferbar"
    return table(folder, "artikel.csv", header, content, ";")


def american(folder: Path) -> Path:
    """Months first, dollars with thousands, TRUE and FALSE."""
    content = rows(
        40,
        lambda n: f"${n * 137:,}.{n % 10}5",
        lambda n: f"{n % 12 + 1}/{n % 28 + 1}/2023",
        lambda n: "TRUE" if n % 2 else "FALSE",
    )
    content = [[n + 1, *row] for n, row in enumerate(content)]
    return table(folder, "orders.csv", "Item ID,Item Name,Description,Unit Price,Order Date,Shipped", content)


def printed(folder: Path) -> Path:
    """What pandas writes of lists; colours."""
    content = rows(30, lambda n: str([["new", "sale"], ["sale"], ["old"]][n % 3]), lambda n: ["#ff8800", "#0af"][n % 2])
    return table(folder, "frame.csv", "id,name,text,labels,colour", [[f"p{n}", *row] for n, row in enumerate(content)])


def pages(folder: Path) -> Path:
    """Posts of a content system: HTML, entities in titles, milliseconds."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return lines_of(
        folder,
        "posts.jsonl",
        [
            {
                "uuid": f"6f1c-{n:04}",
                "postTitle": f"{THINGS[n % 7].title()} &amp; more, part {n}",
                "bodyHtml": f"<h2>Part {n}</h2><p>How a {THINGS[n % 7]} is&nbsp;mended.<br/>With glue.</p>",
                "createdAt": int((start + timedelta(days=n)).timestamp() * 1000),
            }
            for n in range(20)
        ],
    )


def compact_days(folder: Path) -> Path:
    """Days as eight digits."""
    days = [(date(2024, 1, 1) + timedelta(n)).strftime("%Y%m%d") for n in range(20)]
    records = [
        {"doc_id": n, "headline": f"{THINGS[n % 7]} number {n}", "published": int(day)} for n, day in enumerate(days)
    ]
    return lines_of(folder, "news.jsonl", records)


def only_labels(folder: Path) -> Path:
    """Nothing that looks like text: the labels are searched."""
    colours, makers = ["red", "blue", "green"], ["Acme", "Sol", "Lun", "Ajax"]
    content = [[f"c{n}", makers[n % 4], colours[n % 3], n] for n in range(24)]
    return table(folder, "cars.csv", "id,maker,colour,power", content)


def questions(folder: Path) -> Path:
    """Questions and answers, separated by tabs."""
    content = [
        [
            f"{n}\tHow do I clean a {thing}?",
            f"Use warm water and a soft cloth for the {thing}; never use {['acid', 'sand'][n % 2]}.",
        ]
        for n, thing in enumerate(THINGS)
    ]
    path = folder / "faq.tsv"
    path.write_text("id\tquestion\tanswer\n" + "".join("\t".join(line) + "\n" for line in content))
    return path


def notes(folder: Path) -> Path:
    """A folder of Markdown."""
    source = folder / "notes"
    source.mkdir()
    for thing in THINGS:
        path = source / f"{thing.replace(' ', '-')}.md"
        path.write_text(f"# About the {thing}\n\nIt is **heavy** and was made by hand.\n")
    return source


def columns(folder: Path) -> Path:
    """Parquet with its own types."""
    data = {
        "sku": [f"s{n}" for n in range(20)],
        "title": [f"{THINGS[n % 7]} {n}" for n in range(20)],
        "price": pa.array([Decimal(n) / 4 for n in range(20)], pa.decimal128(8, 2)),
        "added": [datetime(2024, 3, n + 1, tzinfo=UTC) for n in range(20)],
        "tags": [["new", "sale"][: n % 3] for n in range(20)],
        "in_stock": [n % 2 == 0 for n in range(20)],
    }
    path = folder / "goods.parquet"
    pq.write_table(pa.table(data), path)
    return path


def array(folder: Path) -> Path:
    """One JSON array."""
    path = folder / "jars.json"
    path.write_bytes(orjson.dumps([{"_id": "a1", "text": "first jar"}, {"_id": "a2", "text": "second jar"}]))
    return path


def bulk(folder: Path) -> Path:
    """A body of _bulk."""
    lines = [{"index": {"_index": "x", "_id": "t1"}}, {"title": "Tide table", "text": "High water at noon."}]
    lines += [{"index": {"_index": "x", "_id": "t2"}}, {"title": "Buoy list", "text": "Green buoys to starboard."}]
    return lines_of(folder, "bulk.ndjson", lines)


def encoded(encoding: str, first: str = "") -> Callable[[Path], Path]:
    """A table with semicolons in another encoding than UTF-8, or with Excel's first line."""

    def write(folder: Path) -> Path:
        path = folder / "parts.csv"
        text = f"{first}id;text;price\n1;Schränke aus Nußbaum;139.00\n2;Plain drawer;12,50\n3;Oak box;7,00\n"
        path.write_bytes(text.encode(encoding))
        return path

    return write


KINDS: dict[str, Kind] = {
    "json-array": Kind(array, "second", "a2"),
    "bulk-body": Kind(bulk, "buoys", "t2", {"title": "Buoy list"}),
    "windows-1252": Kind(encoded("cp1252"), "Nußbaum", "1", {"price": "139.00"}, ["price>100"], 1),
    "utf-16": Kind(encoded("utf-16"), "Schränke", "1", {"price": "139.00"}, ["price=139"], 1),
    "byte-order-mark": Kind(encoded("utf-8-sig"), "drawer", "2", {"price": "12,50"}, ["price=12.5"], 1),
    "excel-sep": Kind(encoded("utf-8", "sep=;\n"), "drawer", "2", {"price": "12,50"}, ["price=12,50"], 1),
    "messy-shop": Kind(
        shop,
        "kettle kitchen",
        "SKU-038",  # of the kettles 3, 10, ... 45 only 24 and 38 pass, and 38 % 5 is the busy kitchen
        {"Product Title": "Steel Kettle 38", "in_stock": "1", "Price": "12.50", "tags": "sale|pro"},
        ["Price<100", "in_stock=yes", "tags=sale", "Created At>=2022"],
        said=[
            "different in 49 of 50, twice at line 50 and 51",
            "without its tags",
            "lists, split at |",
            "the day first",
            "5 of 50 are not: on request",
            "yes or no, in 4 words",
        ],
    ),
    "leading-zeros": Kind(labels, "bakery rye", "00123", {"zip": "01730", "phone": "+4912345"}, ["zip=01730"], 1),
    "nested-objects": Kind(nested, "lamp model 11", "g11", {}, ["meta.maker=Sol", "meta.price>20"], 13 - 4),
    "large-numbers": Kind(
        large_numbers, "pump", f"r{2**53 + 1}", {"serial": 2**53 + 1}, [f"serial={2**53 + 1}"], hits=1
    ),
    "han-and-kana": Kind(scripts, "古い地図", "d2", said=["ja 100%"]),
    "no-id": Kind(without_ids, "church organs", None, {"name": "Bob Moe"}, ["age<30"], 1, ["ids are made"]),
    "german-shop": Kind(
        german,
        "Wolldecke",
        "A-002",
        {"Preis": "3.014,20 €", "Datum": "03.03.2023", "Lieferbar": "nein"},
        ["Preis>=3.014,20 €", "Datum=03.03.2023", "Lieferbar=nein"],
        1,
        ["de 100%", "a decimal comma", "yes or no"],
    ),
    "american-orders": Kind(
        american,
        "oak shelf",
        "16",
        {"Item Name": "Oak Shelf 15", "Unit Price": "$2,055.55", "Order Date": "4/16/2023"},
        ["Unit Price>$2,000", "Unit Price<$2,100", "Order Date=4/16/2023", "Shipped=true"],
        1,
        ["the month first"],
    ),
    "printed-lists": Kind(
        printed,
        "glass carafe",
        "p4",  # 4 % 7 is the carafe, 4 % 3 the list of one, 4 % 2 the colour
        {"labels": "['sale']", "colour": "#ff8800"},
        ["labels=sale", "labels!=new", "colour=#ff8800"],
        said=["printed lists of labels"],
    ),
    "html-pages": Kind(
        pages,
        "kettle mended glue",
        "6f1c-0010",
        {"postTitle": "Steel Kettle &amp; more, part 10", "createdAt": 1704067200000 + 10 * 86_400_000},
        ["createdAt=2024-01-11"],
        1,
        ["without its tags", "dates"],
    ),
    "compact-days": Kind(
        compact_days, "linen curtain", "12", {"published": 20240113}, ["published=20240113"], 1, ["different in all"]
    ),
    "only-labels": Kind(only_labels, "acme green", "c20", {"maker": "Acme", "colour": "green"}, ["power>8"]),
    "questions": Kind(questions, "clean the kettle", "3", {"question": "How do I clean a steel kettle?"}),
    "markdown": Kind(notes, "heavy wool blanket", "wool-blanket.md", {"title": "About the wool blanket"}),
    "parquet": Kind(
        columns,
        "cork board",
        "s13",
        {"title": "cork board 13", "price": "3.25"},
        ["price>3", "added>=2024-03-14", "tags=new", "in_stock=false"],
        1,
    ),
}
