"""A real OpenSearch node on this machine, brought from Maven artifacts and run by one command."""
