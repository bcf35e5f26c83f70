"""Similar publications: the title and abstract of one paper are the query for others.

A long query is fine: BM25 and the sparse leg weigh its words, the dense leg reads as much as the encoder takes.
"""

from hybrid_search import Document, SearchClient, index_documents

PAPERS = {
    "late": (
        "Late interaction over token embeddings",
        (
            "Queries and passages are encoded apart; every query token then "
            "looks for its most similar passage token, which keeps precision while passages are indexed offline."
        ),
    ),
    "splade": (
        "Sparse expansion with masked language models",
        (
            "A language model's vocabulary scores become the weights "
            "of an inverted index, so that passages match words which they imply but do not contain."
        ),
    ),
    "hnsw": (
        "Small-world graphs for nearest neighbours",
        (
            "A hierarchy of proximity graphs answers approximate "
            "nearest-neighbour queries in logarithmic time with a recall that can be tuned."
        ),
    ),
    "crop": (
        "Satellite images and crop yield",
        "A convolutional network predicts the yield of maize fields from multispectral images taken during the season.",
    ),
    "sepsis": (
        "Early warning of sepsis",
        (
            "Vital signs of intensive-care patients are monitored by a recurrent network "
            "that raises an alarm hours before clinicians would."
        ),
    ),
}
TITLE = "Learned lexical representations for first-stage retrieval"
ABSTRACT = "We expand documents with related vocabulary terms and search them with an ordinary inverted index."

documents = (Document(key, f"{title}. {abstract}", {"title": title}) for key, (title, abstract) in PAPERS.items())
index_documents(documents, "similar-publications")

with SearchClient("similar-publications") as client:
    for hit in client.search(f"{TITLE}. {ABSTRACT}", k=3):
        print(f"{hit.rank}. {hit.fields['title']} ({hit.score:.3f})")
