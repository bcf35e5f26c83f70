"""Filters are pushed into every leg, so that each leg's window is filled with documents that may be shown."""

from hybrid_search import Document, SearchClient, Settings, index_documents
from hybrid_search.settings import DocumentSettings

SHOES = [
    Document("peak", "A stiff boot for scree and snow, with room for crampons.", {"brand": "Alpa", "price": 240}),
    Document("trail", "A light shoe that grips on wet rock and roots.", {"brand": "Alpa", "price": 110}),
    Document("city", "A waterproof shoe for the way to work.", {"brand": "Nori", "price": 90}),
    Document("track", "A racing flat with a plate for fast intervals.", {"brand": "Nori", "price": 160}),
]
SETTINGS = Settings(documents=DocumentSettings(keyword=("brand",), number=("price",)))

index_documents(SHOES, "filters", settings=SETTINGS)

with SearchClient("filters", settings=SETTINGS) as client:
    for wanted in ("brand=Alpa", "price<150"):
        hits = client.search("something for the mountains", k=2, filter=wanted)
        print(f"{wanted:<12}", *(f"{hit.id} ({hit.fields['brand']}, {hit.fields['price']})" for hit in hits))
