"""Similar questions (symmetric search, short texts): has this been asked before?

Both sides are questions, so query and document are encoded alike. Short questions share words like "when" and "my"
whatever they are about, so the dense leg, which carries the meaning, gets most of the weight.
"""

from hybrid_search import Document, SearchClient, Settings, index_documents
from hybrid_search.settings import SearchSettings

ASKED = {
    "q1": "How can I change the password of my account?",
    "q2": "Where do I see my invoices from last year?",
    "q3": "Why was my card declined at checkout?",
    "q4": "Can I move my subscription to another e-mail address?",
    "q5": "How do I export all my data as CSV?",
    "q6": "Is there a discount for schools and universities?",
    "q7": "How long does a refund take to arrive?",
}

SETTINGS = Settings(search=SearchSettings(weights={"bm25": 0.1, "dense": 0.8, "sparse": 0.1}))

index_documents((Document(key, question) for key, question in ASKED.items()), "similar-questions")

with SearchClient("similar-questions", settings=SETTINGS) as client:
    for question in ("I forgot my login secret, what now?", "When will I get my money back?"):
        best = client.search(question, k=1).hits[0]
        print(f"{question}\n  asked before: {best.text} ({best.id}, {best.score:.2f})")
