"""mteb: its own mock tasks pass, its figures are those of ``evaluate``, and its fusions are ours."""

from __future__ import annotations

import runpy
import socket
from pathlib import Path

import numpy as np
import pytest
from scifact import Part, WordEncoder, WordReranker, part_of_scifact

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError, ModelError, QueryError
from hybrid_search.evaluate import run_experiment
from hybrid_search.ingest import index_documents
from hybrid_search.read import documents
from hybrid_search.search import SearchClient
from hybrid_search.search.fusion import Fusion, fuse
from hybrid_search.settings import DenseSettings, SearchSettings, Settings

mteb = pytest.importorskip("mteb")
pytestmark = [
    # Both come from inside mteb, on data of its own mock tasks.
    pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:Conversations are a list of strings:UserWarning"),
]

from datasets import Dataset  # noqa: E402  # what mteb's tasks hold
from mteb.abstasks.retrieval import AbsTaskRetrieval  # noqa: E402
from mteb.mocks import MockInstructionRetrieval, MockRerankingTask, MockRetrievalDialogTask  # noqa: E402
from mteb.mocks.mock_run import get_compatible_mock_tasks, mock_run  # noqa: E402
from mteb.models import CrossEncoderProtocol, EncoderProtocol, SearchProtocol  # noqa: E402
from mteb.models.hybrid_wrappers import HybridSearch  # noqa: E402
from mteb.results import TaskResult  # noqa: E402
from mteb.types import PromptType  # noqa: E402

from hybrid_search.frameworks.mteb import HybridEncoder, HybridIndex, HybridReranker  # noqa: E402

EXAMPLE = Path(__file__).parents[2] / "examples" / "mteb_scifact.py"


class LocalScifact(AbsTaskRetrieval):
    """A part of SciFact, from files."""

    metadata = mteb.get_task("SciFact").metadata

    def load_data(self, **_) -> None:
        """Nothing is downloaded: the data are given."""

    @classmethod
    def of(cls, part: Part) -> LocalScifact:
        task = cls()
        corpus = [{"id": row["_id"], "title": row["title"], "text": row["text"]} for row in part.rows]
        queries = [{"id": query.id, "text": query.text} for query in part.queries]
        held = {"corpus": Dataset.from_list(corpus), "queries": Dataset.from_list(queries), "top_ranked": None}
        task.dataset = {"default": {"test": {**held, "relevant_docs": part.qrels}}}
        task.data_loaded = True
        return task


def measured(model, task, **options) -> dict[str, float]:
    """The scores of mteb's evaluation; nothing is kept or fetched."""
    result = mteb.evaluate(model, task, cache=None, show_progress_bar=False, co2_tracker=False, **options)
    return result.task_results[0].scores["test"][0]


@pytest.fixture(autouse=True)
def _nothing_is_fetched(monkeypatch) -> None:
    """A connection to another machine, such as a hub's, is an error."""
    connect = socket.socket.connect

    def local(self, address):
        assert self.family == socket.AF_UNIX or address[0] in {"127.0.0.1", "::1", "localhost"}, address
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


def drop_all(connection, prefix: str) -> None:
    """Delete the indices whose names begin so, each by its name."""
    path = f"/{prefix}*/_settings"
    for name in connection.transport.send(Request.json("GET", path, filter_path="*.settings.index.uuid")).body:
        connection.transport.send(Request.json("DELETE", f"/{name}"))


@pytest.fixture
def prefix(connection, index_name):
    """What the names of a test's indices begin with; they are deleted after it, each by its name."""
    begin = index_name()
    yield begin
    drop_all(connection, begin)


@pytest.fixture(scope="module")
def part(data_folder, tmp_path_factory) -> Part:
    return part_of_scifact(data_folder, tmp_path_factory.mktemp("scifact") / "part", queries=20, documents=100)


@pytest.fixture
def index(connection, prefix):
    with HybridIndex(prefix, settings=Settings(), encoder=WordEncoder(), connection=connection) as opened:
        yield opened


def test_mtebs_mock_tasks_of_search_pass(index) -> None:
    """A query with an instruction, a conversation, and a ranking among given documents, on both engines."""
    tasks = [MockRerankingTask(), MockInstructionRetrieval(), MockRetrievalDialogTask()]
    assert isinstance(index, SearchProtocol)
    assert not isinstance(index, EncoderProtocol)
    result = mteb.evaluate(index, tasks, cache=None, show_progress_bar=False)
    assert {one.task_name for one in result.task_results} == {task.metadata.name for task in tasks}
    assert not result.exceptions


def test_all_of_mtebs_mock_tasks_pass(opensearch, new_names) -> None:
    """``mock_run``: every task that a text search can do, those of several languages too."""
    begin = new_names(opensearch)
    try:
        with HybridIndex(begin, settings=Settings(), encoder=WordEncoder(), connection=opensearch) as index:
            wanted = {task.metadata.name for task in get_compatible_mock_tasks(index)}
            status = mock_run(index)
    finally:
        drop_all(opensearch, begin)
    assert len(wanted) >= 9
    assert {name for name in wanted if isinstance(status[name], TaskResult)} == wanted


def test_mteb_measures_what_evaluate_measures(connection, prefix, index_name, part) -> None:
    """The same figures, of the fusion and of the reranked fusion, of an index that the usual way loaded."""
    encoder, reranker, settings = WordEncoder(), WordReranker(), Settings()
    usual = index_name()
    index_documents(documents(part.folder, settings.documents), usual, connection, encoder, settings)
    with SearchClient(usual, settings=settings, encoder=encoder, reranker=reranker, connection=connection) as client:
        experiment = run_experiment(client, part.queries, part.qrels, fusions=["min-max"], rerank=True)
    rows = {row.system.name: row.scores.mean for row in experiment.rows}
    for name, ours in (
        ("bm25+dense+sparse min-max", None),
        ("bm25+dense+sparse min-max, reranked", reranker),
    ):
        with HybridIndex(prefix, settings=settings, encoder=encoder, reranker=ours, connection=connection) as index:
            found = measured(index, LocalScifact.of(part))
        assert found["ndcg_at_10"] == pytest.approx(rows[name]["nDCG@10"], abs=0.0005)
        assert found["mrr_at_10"] == pytest.approx(rows[name]["RR@10"], abs=0.0005)
        assert found["recall_at_100"] == pytest.approx(rows[name]["R@100"], abs=0.0005)
        assert 0.3 < found["ndcg_at_10"] < 1


def test_an_index_that_is_there_is_measured_as_it_is(connection, index_name, part) -> None:
    """Without loading, mteb's corpus is not looked at: the index of one's own is searched."""
    encoder, settings, name = WordEncoder(), Settings(), index_name()
    half = documents(part.folder, settings.documents)
    index_documents((one for one in half if int(one.id) % 2), name, connection, encoder, settings)
    with HybridIndex(name, settings=settings, encoder=encoder, connection=connection, load=False) as index:
        assert 0 < measured(index, LocalScifact.of(part))["recall_at_100"] < 0.8


def test_a_collection_that_is_loaded_is_not_encoded_again(connection, prefix) -> None:
    """The second measurement, with another fusion, encodes the queries alone; a row that is gone is removed."""

    class Counting(WordEncoder):
        read = 0

        def encode_documents(self, texts) -> EncodedTexts:
            Counting.read += len(texts)
            return super().encode_documents(texts)

        def encode_queries(self, texts) -> EncodedTexts:
            return super().encode_documents(texts)

    rows = [{"id": f"d{n}", "text": f"word{n} and others"} for n in range(5)]
    asked = {"task_metadata": LocalScifact.metadata, "hf_split": "test", "hf_subset": "default"}
    queries = [{"id": "q", "text": "others"}]
    for fusion, held in (("min-max", 5), ("rrf", 4)):
        settings = Settings(search=SearchSettings(fusion=fusion))
        with HybridIndex(prefix, settings=settings, encoder=Counting(), connection=connection) as index:
            index.index(rows[:held], **asked)
            assert len(index.search(queries, top_k=10)["q"]) == held
    assert Counting.read == 5


def test_a_model_has_another_revision_with_every_setting_that_changes_a_ranking(connection) -> None:
    """mteb keeps results by name and revision: those of another fusion are not taken for these."""

    def revision(reranker=None, **search) -> tuple[str, str]:
        settings = Settings(search=SearchSettings(**search))
        with HybridIndex(
            "x", settings=settings, encoder=WordEncoder(), reranker=reranker, connection=connection
        ) as one:
            return one.mteb_model_meta.name, one.mteb_model_meta.revision

    assert revision() == revision()
    assert revision()[0] == "hybrid-search/bm25+dense+sparse-min-max"
    assert revision(reranker=WordReranker())[0] == "hybrid-search/bm25+dense+sparse-min-max-shared-words"
    others = [revision(fusion="rrf"), revision(weights={"bm25": 2.0}), revision(window=50), revision(WordReranker())]
    assert len({one for _, one in others} | {revision()[1]}) == 5


def test_a_search_before_the_corpus_says_what_to_do(index) -> None:
    """Searching without a collection is the caller's mistake, and said so."""
    with pytest.raises(QueryError, match="no collection is open"):
        index.search([{"id": "q", "text": "words"}], top_k=3)


def test_an_answer_that_lacks_a_leg_is_not_measured(connection, prefix) -> None:
    """A dense leg that fails would flatter nobody: the evaluation ends with the reason."""

    class Failing(WordEncoder):
        def encode_queries(self, texts) -> EncodedTexts:
            raise ValueError(f"no queries today, and not {len(texts)}")

    with HybridIndex(prefix, settings=Settings(), encoder=Failing(), connection=connection) as index:
        index.index([{"id": "d", "text": "a word"}], task_metadata=LocalScifact.metadata, hf_split="t", hf_subset="d")
        with pytest.raises(EngineError, match="query q was not answered in full"):
            index.search([{"id": "q", "text": "word"}], top_k=3)


def test_an_encoder_passes_all_mock_tasks() -> None:
    """Retrieval, clustering, classification, pairs, similarity: whatever compares vectors."""
    encoder = HybridEncoder(WordEncoder())
    assert isinstance(encoder, EncoderProtocol)
    assert not isinstance(encoder, SearchProtocol)
    wanted = {task.metadata.name for task in get_compatible_mock_tasks(encoder)}
    status = mock_run(encoder)
    assert len(wanted) >= 25
    assert {name for name in wanted if isinstance(status[name], TaskResult)} == wanted


def test_queries_and_documents_are_encoded_as_such() -> None:
    """mteb says which a text is; without a word it is a document."""

    class Sided(WordEncoder):
        def encode_queries(self, texts) -> EncodedTexts:
            return EncodedTexts(np.ones((len(texts), 2), np.float32), None)

        def encode_documents(self, texts) -> EncodedTexts:
            return EncodedTexts(np.zeros((len(texts), 2), np.float32), None)

    encoder, batches = HybridEncoder(Sided()), [{"text": ["a", "b"]}, {"text": ["c"]}]
    assert encoder.encode(batches, prompt_type=PromptType.query).tolist() == [[1, 1]] * 3
    assert encoder.encode(batches, prompt_type=PromptType.document).tolist() == [[0, 0]] * 3
    assert encoder.encode(batches).tolist() == [[0, 0]] * 3


def test_an_encoder_without_dense_vectors_is_refused() -> None:
    """mteb compares dense vectors; how the sparse leg is measured is said."""
    sparse = WordEncoder()
    sparse.dense = None
    with pytest.raises(ModelError, match="makes no dense vectors"):
        HybridEncoder(sparse)


def test_a_reranker_passes_the_mock_tasks_of_reranking() -> None:
    """The others have nothing to rerank, and mteb refuses them for every cross-encoder."""
    reranker = HybridReranker(WordReranker())
    assert isinstance(reranker, CrossEncoderProtocol)
    status = mock_run(reranker).task_results
    passed = {name for name in status if isinstance(status[name], TaskResult)}
    assert {"MockRerankingTask", "MockInstructionReranking", "MockMultilingualRerankingTask"} <= passed
    failed = {str(status[name].exception) for name in status if status[name] is not None and name not in passed}
    assert failed == {"CrossEncoder search requires top_ranked documents for reranking."}


def test_a_reranker_scores_pairs_in_their_order() -> None:
    """Queries alternate, batches end anywhere: (a b, a) is half, (a b, a b) whole, (c, d) nothing."""
    asked = [{"text": ["a b", "a b"]}, {"text": ["c", "a b"]}]
    found = [{"text": ["a"]}, {"text": ["a b", "d", "b"]}]
    assert HybridReranker(WordReranker()).predict(asked, found).tolist() == [0.5, 1, 0, 0.5]


def test_settings_without_a_reranker_are_refused() -> None:
    """The setting to write is named."""
    with pytest.raises(ModelError, match=r"rerank\.model"):
        HybridReranker(settings=Settings(dense=DenseSettings(model="none")))


@pytest.mark.parametrize("weights", [None, {"bm25": 0.2, "dense": 0.5, "sparse": 0.3}])
@pytest.mark.parametrize(("theirs", "ours"), [("rrf", "rrf"), ("rsf", "min-max")])
def test_our_fusions_are_those_of_mteb(theirs, ours, weights) -> None:
    """mteb's HybridSearch is an independent oracle: on random runs its reciprocal ranks and min-max are ours.

    Where all scores of a leg are equal its min-max gives one half, ours one: such runs are not among these.
    """
    random, legs = np.random.default_rng(11), ("bm25", "dense", "sparse")
    shares = weights or dict.fromkeys(legs, 1 / 3 if ours == "min-max" else 1.0)
    stubs = [HybridEncoder(WordEncoder()) for _ in legs]
    oracle = HybridSearch(stubs, weights=[shares[leg] for leg in legs], fusion_strategy=theirs)
    for _ in range(50):
        runs = {
            leg: dict(zip([f"d{n}" for n in random.permutation(30)[:12]], random.random(12).tolist(), strict=True))
            for leg in legs
        }
        wanted = oracle.fuse([runs[leg] for leg in legs])
        found = fuse({leg: [*run.items()] for leg, run in runs.items()}, Fusion(ours, shares))
        assert {hit.id: hit.score for hit in found} == pytest.approx(wanted)
        assert [wanted[hit.id] for hit in found] == pytest.approx(sorted(wanted.values(), reverse=True))


def test_z_scores_rank_as_the_fusion_by_distributions_within_three_deviations() -> None:
    """mteb's dbsf is ``(s - mean + 3 sigma) / 6 sigma``, ours ``(s - min) / sigma``.

    Where all legs found the same documents both are sums of ``s / sigma`` but for constants: one ranking.
    """
    random, legs = np.random.default_rng(12), ("bm25", "dense", "sparse")
    oracle = HybridSearch([HybridEncoder(WordEncoder()) for _ in legs], fusion_strategy="dbsf")
    for _ in range(50):
        runs = {leg: {f"d{n}": float(score) for n, score in enumerate(random.random(20))} for leg in legs}
        wanted = oracle.fuse([runs[leg] for leg in legs])
        found = fuse({leg: [*run.items()] for leg, run in runs.items()}, Fusion("z-score"))
        assert [hit.id for hit in found] == sorted(wanted, key=lambda id_: -wanted[id_])


@pytest.fixture
def few(data_folder, tmp_path, monkeypatch) -> None:
    """A few documents in the place of the collection that mteb would download."""
    few = part_of_scifact(data_folder, tmp_path / "few", queries=8, documents=10)
    monkeypatch.setattr(mteb, "get_task", lambda name: {"SciFact": LocalScifact.of(few)}[name])


@pytest.mark.usefixtures("few")
def test_the_example_measures_scifact(opensearch_url, opensearch, monkeypatch, capsys) -> None:
    """The example runs as it is, with the models of the package."""
    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch_url)
    drop = Request.json("DELETE", "/mteb-scifact-default-test", ignore_unavailable="true")
    opensearch.transport.send(drop)
    try:
        runpy.run_path(str(EXAMPLE))
    finally:
        opensearch.transport.send(drop)
    name, figures = capsys.readouterr().out.splitlines()
    assert name == "hybrid-search/bm25+dense+sparse-min-max"
    assert float(figures.split()[1].rstrip(",")) > 0.8
