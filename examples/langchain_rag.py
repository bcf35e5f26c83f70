"""A question-answering chain in LangChain: retrieve by a hybrid search, put what was found into a prompt, answer.

    pip install 'hybrid-search[langchain,models]'

The model here needs no key and no network: it quotes the first passage that it is given, and names its source. One's
own goes in its place, such as ``model = init_chat_model("openai:gpt-5-mini")`` from the package ``langchain``.
"""

from langchain_core.documents import Document
from langchain_core.language_models.chat_models import SimpleChatModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough

from hybrid_search.frameworks.langchain import HybridRetriever, HybridVectorStore

HANDBOOK = {
    "leave": "Employees have thirty days of paid leave a year. Days that are left over can be taken until the "
    "end of March; after that they lapse, unless you were ill.",
    "travel": "Trains are booked in second class. A flight may be booked where the train takes more than six hours.",
    "remote": "Work from another country is possible for up to twenty days a year. Tell your lead and the payroll team "
    "three weeks before, because social insurance depends on the country.",
    "laptop": "A laptop is replaced after four years. Report a lost or stolen device to the security desk at once.",
}

PROMPT = ChatPromptTemplate.from_template("Answer from these passages alone.\n\n{passages}\n\nQuestion: {question}")


class Quoting(SimpleChatModel):
    """Answers with the first passage of the prompt."""

    @property
    def _llm_type(self) -> str:
        return "quoting"

    def _call(self, messages: list[BaseMessage], **_: object) -> str:
        return str(messages[-1].content).split("\n\n")[1]


def passages(documents: list[Document]) -> str:
    """What was found as the prompt has it: one passage after another, each with its source."""
    return "\n\n".join(f"{one.page_content} [{one.metadata['chapter']}]" for one in documents)


# Without embeddings the package's own models encode; HybridVectorStore("...", OpenAIEmbeddings()) takes LangChain's.
store = HybridVectorStore("langchain-rag")
store.add_texts(list(HANDBOOK.values()), [{"chapter": chapter, "year": 2025} for chapter in HANDBOOK], ids=[*HANDBOOK])

model = Quoting()
retriever = HybridRetriever(store=store, k=2, search_kwargs={"filter": {"year": {"$gte": 2024}}})
chain = {"passages": retriever | passages, "question": RunnablePassthrough()} | PROMPT | model | StrOutputParser()

for question in ("What happens to holidays that I do not use?", "My computer was stolen, whom do I tell?"):
    print(f"{question}\n  {chain.invoke(question)}")
    for found in retriever.invoke(question):
        legs = {leg: reason["rank"] for leg, reason in found.metadata["hybrid_search"]["legs"].items()}
        print(f"  found {found.id}: {legs}")
store.close()
