"""Questions over paragraphs (asymmetric search): a short question, long passages, and a reranker on top.

Three legs bring candidates; late interaction reads the best of them again, token by token, and its score is
combined with theirs, so that a reranker that is wrong about one passage does not undo what all legs agree on.
"""

from hybrid_search import Document, SearchClient, Settings, index_documents
from hybrid_search.settings import RerankSettings

HANDBOOK = {
    "leave": "Employees have thirty days of paid leave a year. Days that are left over can be taken until the "
    "end of March; after that they lapse, unless you were ill.",
    "travel": "Trains are booked in second class. A flight may be booked where the train takes more than six hours. "
    "Receipts are handed in within four weeks of the journey.",
    "remote": "Work from another country is possible for up to twenty days a year. Tell your lead and the payroll team "
    "three weeks before, because social insurance depends on the country.",
    "laptop": "A laptop is replaced after four years. Report a lost or stolen device to the security desk at once, at "
    "any hour, so that it can be locked.",
    "parents": "Parents may work reduced hours until a child's eighth birthday. The request is made in writing two "
    "months ahead.",
}

index_documents((Document(key, text) for key, text in HANDBOOK.items()), "question-answering")

with SearchClient("question-answering", settings=Settings(rerank=RerankSettings(model="late"))) as client:
    for question in ("What happens to holidays that I do not use?", "My computer was stolen, whom do I tell?"):
        best = client.search(question, k=1).hits[0]
        print(f"{question}\n  {best.text}\n  ({best.id}: before reranking #{best.rerank.rank_before})")
