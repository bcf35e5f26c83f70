"""From nothing to an explained answer: index a few documents, ask in other words than theirs."""

from hybrid_search import Document, SearchClient, index_documents

RECIPES = [
    Document("sencha", "Green tea: steep sencha for one minute at 75 degrees; boiling water turns it bitter."),
    Document("espresso", "Grind fine, tamp evenly and stop the shot after 28 seconds, when the stream turns blond."),
    Document("cold-brew", "Leave coarse grounds in cold water for sixteen hours, then strain; it keeps for a week."),
    Document("chai", "Simmer black tea with milk, ginger, cardamom and a cinnamon stick for ten minutes."),
    Document("matcha", "Sift two grams of powder, add hot water and whisk in a zigzag until it foams."),
]

index_documents(RECIPES, "quickstart")

with SearchClient("quickstart") as client:
    for hit in client.search("why does my green tea taste harsh?", k=3):
        legs = ", ".join(f"{leg} #{found.rank}" for leg, found in hit.legs.items())
        print(f"{hit.rank}. {hit.id:<10} {hit.score:.3f}  found by {legs}")
        print(f"   {hit.text}")
