"""Where the demo's index ranks the answers to 25 questions about Python, without reranking; MRR@10.

Run ``hybrid-search demo`` first, then ``python benchmarks/quality/stdlib.py``; HYBRID_SEARCH_URL names a cluster.
The answers were written down before they were searched for; any of several is right.
"""

from __future__ import annotations

from hybrid_search import SearchClient
from hybrid_search.demo import INDEX, SETTINGS

ANSWERS = {
    "how do I parse a date from a string": {"datetime.datetime.strptime"},
    "run a command and capture its output": {"subprocess.check_output", "subprocess.run"},
    "keep only the last few items that were added": {"collections.deque"},
    "remember the results of an expensive function": {"functools.cache", "functools.lru_cache"},
    "which words are close to a misspelled one": {"difflib.get_close_matches"},
    "count how often each item occurs": {"collections.Counter"},
    "temporary folder that is removed afterwards": {"tempfile.TemporaryDirectory"},
    "find all files that match a pattern": {"glob.glob"},
    "wait until several threads have all reached the same point": {"threading.Barrier"},
    "exact decimal arithmetic for money": {"decimal.Decimal", "decimal"},
    "a queue that returns the smallest item first": {"queue.PriorityQueue", "heapq", "asyncio.PriorityQueue"},
    "send an email over smtp": {"smtplib.SMTP", "smtplib.SMTP.sendmail", "smtplib.SMTP.send_message"},
    "a dictionary with a default value for missing keys": {"collections.defaultdict"},
    "walk through all folders below one": {"os.walk"},
    "split a shell command line into words": {"shlex.split"},
    "make a zip archive": {"zipfile.ZipFile", "shutil.make_archive"},
    "compare two files line by line": {"difflib.Differ", "difflib.unified_diff", "difflib.ndiff"},
    "run functions in a pool of processes": {
        "concurrent.futures.ProcessPoolExecutor",
        "multiprocessing.pool.Pool",
    },
    "random choice with weights": {"random.choices", "random.Random.choices"},
    "serialize python objects to bytes": {"pickle.dumps", "pickle"},
    "let only a few threads use a resource at once": {"threading.Semaphore", "threading.BoundedSemaphore"},
    "remember insertion order of keys": {"collections.OrderedDict"},
    "read configuration files with sections": {"configparser.ConfigParser", "configparser"},
    "measure the time of small code snippets": {"timeit", "timeit.Timer", "timeit.timeit"},
    "insert into a list and keep it sorted": {"bisect.insort", "bisect.insort_right"},
}


def main() -> None:
    """Print each question's first right rank, then the mean of the reciprocal ranks."""
    total = 0.0
    with SearchClient(INDEX, settings=SETTINGS) as client:
        for question, right in ANSWERS.items():
            rank = next((hit.rank for hit in client.search(question, 100, rerank=False) if hit.id in right), None)
            total += 1 / rank if rank is not None and rank <= 10 else 0.0
            print(f"{rank or '-':>4}  {question}")
    print(f"MRR@10 of {len(ANSWERS)} questions: {total / len(ANSWERS):.4f}")


if __name__ == "__main__":
    main()
