"""A shop's search: what there is of each brand and price, pages, and why each product was found."""

from hybrid_search import Document, Ranges, SearchClient, SearchResult, Settings, Terms, index_documents
from hybrid_search.settings import DocumentSettings

PRODUCTS = [
    ("desk", "A brass desk lamp with a heavy foot. Its light is warm and can be dimmed.", "Lumo", 79),
    ("floor", "A floor lamp of oak & linen. It stands where others lean.", "Lumo", 189),
    ("clip", "A small lamp that clips to a book. For readers who share a bed.", "Sol", 15),
    ("lantern", "A lantern for balconies. It keeps burning in the rain.", "Sol", 35),
    ("night", "A night light that glows when somebody gets up. Children sleep better.", "Lumo", 12),
    ("candle", "Six candles of beeswax. They smell of honey.", "Norr", 18),
    ("kettle", "A steel kettle with a whistle. It boils a litre in three minutes.", "Norr", 49),
    ("chair", "An oak chair with a woven seat. It is glued, not screwed.", "Norr", 220),
]
SETTINGS = Settings(documents=DocumentSettings(keyword=("brand",), number=("price",)))
FACETS = [Terms("brand"), Ranges("price", [20, 100])]

documents = [Document(id_, text, {"brand": brand, "price": price}) for id_, text, brand, price in PRODUCTS]
index_documents(documents, "product-search", settings=SETTINGS)


def told(result: SearchResult, name: str) -> str:
    """The values of a facet with their counts."""
    return ", ".join(f"{value.value} {value.count}" for value in result.facets[name].values if value.count)


with SearchClient("product-search", settings=SETTINGS) as client:
    question = "something to read by in bed"
    result = client.search(question, k=3, facets=FACETS, highlight=True)
    # The cursor holds the list as it is now: no product comes twice or is passed over, whatever is sold meanwhile.
    following = client.search(question, k=3, cursor=result.cursor, highlight=True)
    for hit in [*result, *following]:
        reasons = " … ".join(f"{piece.kind}: {piece.html}" for piece in hit.highlights)
        print(f"{hit.rank}. {hit.id:<8} {reasons}")
    print(f"brands: {told(result, 'brand')}; prices: {told(result, 'price')}")

    # A brand is chosen: the list is narrowed, and the other brands can still be chosen.
    chosen = result.facets["brand"].values[0]
    narrowed = client.search(question, k=3, facets=FACETS, filter=chosen.filter)
    print(f"with brand={chosen.value}: {told(narrowed, 'brand')}; prices: {told(narrowed, 'price')}")
