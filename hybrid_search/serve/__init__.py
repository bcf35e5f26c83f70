"""The workbench: one page and an HTTP API over one index.

A leaf: it uses the public clients and nothing imports it but its own command. Needs the extra ``[serve]``.

    browser or service -> access (who, from where, how much) -> routes -> AsyncSearchClient

What the page ranks anew when a slider moves is fused in the browser (``static/fusion.js``), by the same arithmetic as
:mod:`hybrid_search.search.fusion`; a test holds the two to the same ranking.
"""
