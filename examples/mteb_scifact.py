"""SciFact of mteb through the whole search: mteb brings texts, queries and judgements, and computes the measures.

The collection goes into an index of its own, which is kept: with other settings, only what they change is done again.
"""

import mteb

from hybrid_search.frameworks.mteb import HybridIndex

with HybridIndex("mteb") as index:
    result = mteb.evaluate(index, mteb.get_task("SciFact"), cache=None)
    print(index.mteb_model_meta.name)

scores = result.task_results[0].scores["test"][0]
print(f"nDCG@10 {scores['ndcg_at_10']:.4f}, Recall@100 {scores['recall_at_100']:.4f}")
