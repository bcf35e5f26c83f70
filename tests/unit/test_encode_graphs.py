"""What is in a graph: attention and GELU as the runtimes are quick at them."""

from __future__ import annotations

import pytest
import tiny_models as tiny

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from hybrid_search.encode.backends.export import GRAPH, export
from hybrid_search.encode.dense import load_dense
from hybrid_search.settings import DenseSettings


@pytest.mark.parametrize("pooling", ["mean", "max"], ids=["plain", "by the library"])
def test_graphs_have_attention_in_steps(tmp_path, pooling):
    """PyTorch's operator would bring ``IsNaN`` over all logits along; afterwards the model has that one again."""
    import onnx
    from transformers import PreTrainedModel

    folder = tiny.save_bi_encoder(tmp_path / "model", pooling=pooling, num_hidden_layers=1)
    exportable = load_dense(DenseSettings(model=str(folder), device="cpu")).backbone.networks[0].exportable
    export(exportable, tmp_path)
    operators = [node.op_type for node in onnx.load(tmp_path / GRAPH).graph.node]
    assert "IsNaN" not in operators
    assert operators.count("Softmax") == operators.count("Gelu") == 1
    ways = [m.config._attn_implementation for m in exportable.module.modules() if isinstance(m, PreTrainedModel)]
    assert set(ways) <= {"sdpa"}
