"""On the path of processes whose models end them where a text says so, as a fault in native code would.

Where ``SPANS_OF_A_TEST`` names a folder, each has a provider of OpenTelemetry, as ``opentelemetry-instrument`` gives it
one, which writes the names of spans into a file of the process's own.
"""

from __future__ import annotations

import os
from pathlib import Path

import hybrid_search.encode

_load = hybrid_search.encode.load_encoder


def _mortal(settings):
    encoder = _load(settings)
    encode = encoder.encode_documents

    def encoding(texts):
        if any("deadly" in text for text in texts):
            os._exit(139)
        return encode(texts)

    encoder.encode_documents = encoding
    return encoder


def _observed(folder):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Names(SpanExporter):
        def export(self, spans):
            with (folder / str(os.getpid())).open("a") as file:
                file.writelines(f"{span.name}\n" for span in spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Names(), schedule_delay_millis=3_600_000))
    trace.set_tracer_provider(provider)


hybrid_search.encode.load_encoder = _mortal
if folder := os.environ.get("SPANS_OF_A_TEST"):
    _observed(Path(folder))
