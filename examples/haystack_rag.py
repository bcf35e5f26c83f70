"""A question-answering pipeline in Haystack: retrieve by a hybrid search, put what was found into a prompt, answer.

    pip install 'hybrid-search[haystack,models]'

The generator here needs no key and no network: it quotes the first passage that it is given, and names its source.
One's own goes in its place, such as ``OpenAIChatGenerator(model="gpt-5-mini")`` behind a ``ChatPromptBuilder``.
"""

from haystack import Document, Pipeline, component
from haystack.components.builders import PromptBuilder

from hybrid_search.frameworks.haystack import HybridDocumentStore, HybridRetriever

HANDBOOK = {
    "leave": "Employees have thirty days of paid leave a year. Days that are left over can be taken until the "
    "end of March; after that they lapse, unless you were ill.",
    "travel": "Trains are booked in second class. A flight may be booked where the train takes more than six hours.",
    "remote": "Work from another country is possible for up to twenty days a year. Tell your lead and the payroll team "
    "three weeks before, because social insurance depends on the country.",
    "laptop": "A laptop is replaced after four years. Report a lost or stolen device to the security desk at once.",
}

PROMPT = """Answer from these passages alone.

{% for document in documents %}{{ document.content }} [{{ document.meta.chapter }}]

{% endfor %}Question: {{ question }}"""


@component
class Quoting:
    """Answers with the first passage of the prompt."""

    @component.output_types(replies=list[str])
    def run(self, prompt: str) -> dict[str, list[str]]:
        return {"replies": [prompt.split("\n\n")[1]]}


# Without embeddings the package's own models encode; embedding_dim=... takes those of Haystack's embedders.
store = HybridDocumentStore("haystack-rag")
store.write_documents(
    [Document(id=chapter, content=text, meta={"chapter": chapter, "year": 2025}) for chapter, text in HANDBOOK.items()]
)

recent = {"field": "meta.year", "operator": ">=", "value": 2024}
pipeline = Pipeline()
pipeline.add_component("retriever", HybridRetriever(store, top_k=2, filters=recent))
pipeline.add_component("prompt", PromptBuilder(PROMPT, required_variables=["documents", "question"]))
pipeline.add_component("generator", Quoting())
pipeline.connect("retriever.documents", "prompt.documents")
pipeline.connect("prompt.prompt", "generator.prompt")

for question in ("What happens to holidays that I do not use?", "My computer was stolen, whom do I tell?"):
    asked = {"retriever": {"query": question}, "prompt": {"question": question}}
    answer = pipeline.run(asked, include_outputs_from={"retriever"})
    print(f"{question}\n  {answer['generator']['replies'][0]}")
    for found in answer["retriever"]["provenance"]:
        print(f"  found {found['id']}: { {leg: reason['rank'] for leg, reason in found['legs'].items()} }")
store.close()
