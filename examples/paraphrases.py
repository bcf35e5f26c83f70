"""Paraphrase mining: which of these questions have been asked twice, in other words?

The documents are compared by the vectors that are stored of them: nothing is encoded again, and no query is needed. A
pair has a cosine; groups are what pairs hold together. Look at some pairs before you choose a threshold: it depends on
the model and on the texts.
"""

from hybrid_search import Document, SearchClient, index_documents

QUESTIONS = {
    "q1": "How can I change the password of my account?",
    "q2": "Where do I see my invoices from last year?",
    "q3": "What do I do to change my account's password?",
    "q4": "Can I move my subscription to another e-mail address?",
    "q5": "How do I export all my data as CSV?",
    "q6": "Where can I find last year's invoices?",
    "q7": "How long does a refund take to arrive?",
    "q8": "I would like to change my account password, how?",
}

index_documents((Document(key, question) for key, question in QUESTIONS.items()), "paraphrases")

with SearchClient("paraphrases") as client:
    best = next(client.similar_pairs(threshold=0.8))
    print(f"most alike, {best.cosine:.2f}:\n  {QUESTIONS[best.first]}\n  {QUESTIONS[best.second]}")
    for group in client.duplicates(threshold=0.8):
        print("asked more than once:")
        for key in group.ids:
            print(f"  {key}  {QUESTIONS[key]}")
    print("like q7:", client.more_like("q7", k=1).hits[0].text)
