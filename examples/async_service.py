"""A service that answers many queries at once: one client, one event loop, no thread of your own."""

import asyncio

from hybrid_search import AsyncSearchClient, Document, index_documents

CITIES = {
    "oslo": "Oslo lies at the end of a fjord and is surrounded by forest.",
    "lima": "Lima stands on a desert coast where it hardly ever rains.",
    "cairo": "Cairo grew where the Nile splits into its delta.",
    "hanoi": "Hanoi is a city of lakes and motorbikes by the Red River.",
    "perth": "Perth is nearer to Jakarta than to Sydney.",
}
QUESTIONS = ["a city without rain", "capital by a fjord", "at the mouth of the Nile", "many lakes"] * 25


async def answer_all(questions: list[str]) -> dict[str, str]:
    """The best document of every question, all asked at the same time."""
    async with AsyncSearchClient("async-service") as client:
        results = await asyncio.gather(*(client.search(question, k=1) for question in questions))
    return {question: result.hits[0].id for question, result in zip(questions, results, strict=True)}


index_documents((Document(key, text) for key, text in CITIES.items()), "async-service")
for question, city in asyncio.run(answer_all(QUESTIONS)).items():
    print(f"{question:<26} {city}")
