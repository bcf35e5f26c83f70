"""Similar questions (symmetric search, short texts): has this been asked before?

Both sides are questions, so query and document are encoded alike; the dense leg carries the meaning, BM25 the names.
"""

from hybrid_search import Document, SearchClient, index_documents

ASKED = {
    "q1": "How can I change the password of my account?",
    "q2": "Where do I see my invoices from last year?",
    "q3": "Why was my card declined at checkout?",
    "q4": "Can I move my subscription to another e-mail address?",
    "q5": "How do I export all my data as CSV?",
    "q6": "Is there a discount for schools and universities?",
    "q7": "How long does a refund take to arrive?",
}

index_documents((Document(key, question) for key, question in ASKED.items()), "similar-questions")

with SearchClient("similar-questions") as client:
    for question in ("I forgot my login secret, what now?", "When will I get my money back?"):
        best = client.search(question, k=1).hits[0]
        print(f"{question}\n  asked before: {best.text} ({best.id}, {best.score:.2f})")
