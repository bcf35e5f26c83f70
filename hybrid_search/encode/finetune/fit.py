"""One training run by a trainer of sentence-transformers: budget, checkpoints that resume, and the best look kept.

Checkpoints hold what is trained and nothing else (adapters only, where adapters are trained), so that they are small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_search.encode.finetune.memory import give_back
from hybrid_search.encode.finetune.records import Fitted
from hybrid_search.encode.finetune.watch import SPENT, Watch
from hybrid_search.encode.loading import quiet
from hybrid_search.errors import ModelError

TRAINED = "trained.safetensors"


@dataclass(frozen=True, slots=True)
class Kind:
    """A trainer of sentence-transformers and its arguments, by their names in the library."""

    trainer: str
    arguments: str


BI_ENCODER = Kind("SentenceTransformerTrainer", "SentenceTransformerTrainingArguments")
SPARSE_ENCODER = Kind("SparseEncoderTrainer", "SparseEncoderTrainingArguments")
CROSS_ENCODER = Kind("CrossEncoderTrainer", "CrossEncoderTrainingArguments")


def fit(
    kind: Kind,
    model: Any,
    columns: dict[str, Sequence[Any]],
    loss: Any,
    watch: Watch,
    *,
    sampler: Any = None,
    prompts: dict[str, str] | None = None,
) -> Fitted:
    """Train in place; the weights of the best look at the validation queries are what the model has afterwards.

    A run that was broken off goes on from its last checkpoint in ``watch.folder``.

    Raises:
        ModelError: the loss is not finite.
    """
    import sentence_transformers as library
    from datasets import Dataset

    recipe = watch.recipe
    arguments = getattr(library, kind.arguments)(**_arguments(watch, sampler, prompts))
    trainer = _trainer(getattr(library, kind.trainer), watch)(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        loss=loss,
        callbacks=[_callback(watch, model)],
    )
    _silence(trainer)
    checkpoint = last_checkpoint(watch.folder, "trainer_state.json")
    if checkpoint is None:
        watch.looked(0)
        give_back()
        best_of(model, watch.folder)
    else:
        watch.resume(checkpoint)
    with quiet():
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    put_back(model, watch.folder / TRAINED)
    if recipe.lora:
        merge(model)
    model.eval().zero_grad(set_to_none=True)
    del trainer  # and the optimizer with it: the model is measured next, beside another
    give_back()
    return watch.fitted()


def _arguments(watch: Watch, sampler: Any, prompts: dict[str, str] | None) -> dict[str, Any]:
    import torch

    recipe, on_cpu = watch.recipe, _on_cpu(watch.recipe.device)
    return {
        "output_dir": str(watch.folder),
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": recipe.batch,
        "learning_rate": recipe.largest_rate,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "linear",
        "weight_decay": 0.01,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "use_cpu": on_cpu,
        "bf16": half_precision(on_cpu=on_cpu, torch=torch),
        "save_strategy": "no",
        "logging_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "save_total_limit": 1,
        "dataloader_pin_memory": not on_cpu,
        **({} if sampler is None else {"batch_sampler": sampler}),
        **({} if not prompts else {"prompts": prompts}),
    }


def half_precision(*, on_cpu: bool, torch: Any) -> bool:
    """Whether bf16 is computed by the processor itself: emulated it is slower than 32 bits."""
    if not on_cpu:
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001


def _on_cpu(device: str | None) -> bool:
    import torch

    return device == "cpu" or (device is None and not torch.cuda.is_available())


def _trainer(base: Any, watch: Watch) -> Any:
    """The library's trainer, whose checkpoints hold what is trained, and no code."""

    class Resumable(base):  # type: ignore[misc]  # the library has no types
        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            del state_dict
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            write_trained(self.model, folder / TRAINED)
            watch.keep(folder)

        def add_model_card_callback(self, default_args_dict: Any) -> None:
            """No card of the library's: it quotes the texts, and ours does not."""

        def _load_from_checkpoint(self, checkpoint_path: str) -> None:
            put_back(self.model, Path(checkpoint_path) / TRAINED)

    return Resumable


def _callback(watch: Watch, model: Any) -> Any:
    from transformers import TrainerCallback

    class Following(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            del args
            if watch.is_due(state.global_step, state.max_steps):
                model.eval()
                if watch.looked(state.global_step):
                    best_of(model, watch.folder)
                give_back()
                model.train()
                control.should_save = True
                control.should_training_stop = watch.is_over() or control.should_training_stop
            return control

    return Following()


def _silence(trainer: Any) -> None:
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)


def last_checkpoint(folder: Path, last_file: str) -> Path | None:
    """The last whole checkpoint of a run: ``last_file`` is written last."""
    found = [one for one in folder.glob("checkpoint-*") if (one / last_file).is_file() and (one / SPENT).is_file()]
    return max(found, key=lambda one: int(one.name.rpartition("-")[2]), default=None)


def trained_tensors(model: Any) -> dict[str, Any]:
    """What has gradients, by name."""
    return {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}


def write_trained(model: Any, path: Path) -> None:
    """The tensors that are trained, as safetensors; replaced whole, so that what is there is never half of one.

    Raises:
        ModelError: they are not finite.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {name: one.detach().contiguous().cpu().clone() for name, one in trained_tensors(model).items()}
    if not all(bool(torch.isfinite(one).all()) for one in tensors.values()):
        raise ModelError("training gave weights that are not finite", remedy="Lower the rate: --rate")
    beside = path.with_suffix(".new")
    save_file(tensors, beside)
    beside.replace(path)


def best_of(model: Any, folder: Path) -> None:
    """Keep the model as it is as the best of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    write_trained(model, folder / TRAINED)


def put_back(model: Any, path: Path) -> None:
    """The tensors of a file into the model."""
    import torch
    from safetensors.torch import load_file

    kept, own = load_file(path), trained_tensors(model)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(kept[name])


def adapt(model: Any, rank: int, seed: int) -> None:
    """Freeze the model and put low-rank adapters on every linear layer of its transformer, in place."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    torch.manual_seed(seed)
    network = _network(model)
    model.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=_linear(network))
    inject_adapter_in_model(config, network)


def merge(model: Any) -> None:
    """Add the adapters to the weights that they adapt, so that what is left is a plain model."""
    from peft.tuners.lora import LoraLayer

    network = _network(model)
    for name, layer in list(network.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, layer.get_base_layer())
    model.requires_grad_(True)


def _network(model: Any) -> Any:
    """The transformer of a model of any of the three kinds."""
    inner = model[0] if hasattr(model, "__getitem__") else model
    return getattr(inner, "model", inner)


def _linear(network: Any) -> list[str]:
    import torch

    kinds = {
        name.rpartition(".")[2]
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.Linear) and "layer" in name
    }
    return sorted(kinds)


def same_chance(seed: int) -> None:
    """Seeds of everything that training draws by."""
    from transformers import set_seed

    set_seed(seed)
