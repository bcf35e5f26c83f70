"""A folder of photos, searched by words, by a picture, and by both.

The pictures are drawn here, and the model is trained here, in seconds, on drawings like them: it knows twelve things
and nothing else. It is a CLIP in all but its size, saved and loaded as real ones are. For photos of the world set
dense.model to one that has seen it, for example sentence-transformers/clip-ViT-B-32.

    pip install 'hybrid-search[images,local]'
    python examples/photos.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from hybrid_search import Query, SearchClient, load_encoder
from hybrid_search.engine import connect
from hybrid_search.ingest.source import index_source
from hybrid_search.read.settings_file import load_settings

INDEX = "photos"
COLOURS = {"red": (215, 40, 40), "green": (40, 160, 60), "blue": (40, 70, 215), "yellow": (235, 205, 40)}
SHAPES = ("circle", "square", "triangle")
SIDE = 32
"""Pixels of the model's images, and of its texts' tokens."""
STEPS, BATCH = 250, 48
CAPTIONS = {"red circle": "The sun over the harbour.", "green triangle": "A fir tree in the snow."}
"""Only two of the pictures are described; the others must be found by what they show."""


def drawn(colour: str, shape: str, side: int, chance: np.random.Generator) -> Image.Image:
    """A shape of a colour somewhere on a light ground."""
    ground = int(chance.integers(225, 256))
    image = Image.new("RGB", (side, side), (ground, ground, ground))
    size = chance.uniform(0.45, 0.8) * side
    left, top = (chance.uniform(0, side - size) for _ in range(2))
    box, fill = (left, top, left + size, top + size), tuple(c + int(chance.integers(-15, 16)) for c in COLOURS[colour])
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        draw.ellipse(box, fill=fill)
    elif shape == "square":
        draw.rectangle(box, fill=fill)
    else:
        draw.polygon([(left + size / 2, top), (left, top + size), (left + size, top + size)], fill=fill)
    return image


def draw_photos(folder: Path) -> None:
    """Twelve pictures, named by number, with a caption beside two of them."""
    chance = np.random.default_rng(1)
    for number, (colour, shape) in enumerate((c, s) for c in COLOURS for s in SHAPES):
        drawn(colour, shape, 240, chance).save(folder / f"photo-{number:02}.png")
        if caption := CAPTIONS.get(f"{colour} {shape}"):
            (folder / f"photo-{number:02}.txt").write_text(caption, encoding="utf-8")


def untrained(folder: Path) -> tuple[Any, Any]:
    """A small CLIP of random weights, and what prepares its images and texts."""
    import transformers

    words = [*COLOURS, *SHAPES, "a"]
    letters = sorted({letter for word in words for letter in word} | set("abcdefghijklmnopqrstuvwxyz0123456789"))
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    begin, end = len(tokens) - 2, len(tokens) - 1
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"vocab_size": len(tokens), "bos_token_id": begin, "eos_token_id": end, "pad_token_id": end}
    config = transformers.CLIPConfig(
        text_config={**tower, **ids, "max_position_embeddings": SIDE},
        vision_config={**tower, "image_size": SIDE, "patch_size": 8},
        projection_dim=32,
    )
    processor = transformers.CLIPProcessor(
        image_processor=transformers.CLIPImageProcessorPil(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        ),
        tokenizer=transformers.CLIPTokenizer(
            vocab={token: number for number, token in enumerate(tokens)}, merges=[], model_max_length=SIDE
        ),
    )
    processor.save_pretrained(folder)
    return transformers.CLIPModel(config), processor


def train(folder: Path) -> float:
    """Train the model on drawings and save it; the share of new drawings whose words it finds among all twelve."""
    import torch

    torch.manual_seed(0)
    chance, things = np.random.default_rng(0), [(c, s) for c in COLOURS for s in SHAPES]
    model, processor = untrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def features(pairs: list[tuple[str, str]]) -> Any:
        images = [drawn(colour, shape, SIDE, chance) for colour, shape in pairs]
        texts = [f"{colour} {shape}" for colour, shape in pairs]
        return processor(images=images, text=texts, return_tensors="pt", padding=True)

    for _ in range(STEPS):
        pairs = [things[n] for n in chance.integers(0, len(things), BATCH)]
        logits = model(**features(pairs)).logits_per_image
        alike = torch.tensor([[float(one == other) for other in pairs] for one in pairs])
        loss = -(torch.log_softmax(logits, 1) * alike / alike.sum(1, keepdim=True)).sum(1).mean()
        loss -= (torch.log_softmax(logits.T, 1) * alike / alike.sum(1, keepdim=True)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = model(**features(things * 8)).logits_per_image[:, : len(things)].argmax(1)
    model.save_pretrained(folder)
    return float((found == torch.arange(len(things)).repeat(8)).float().mean())


def show(title: str, result: Any) -> None:
    """Print what was found, by which legs."""
    print(f"\n{title}")
    for hit in result:
        print(f"  {hit.rank}  {hit.id:<14} {', '.join(hit.legs):<20} {hit.text!r}")


def main() -> None:
    """Draw, train, index, search."""
    with tempfile.TemporaryDirectory() as folder:
        photos, model = Path(folder, "photos"), Path(folder, "model")
        photos.mkdir()
        draw_photos(photos)
        print(f"trained on drawings: {train(model):.0%} of new ones are told from the other eleven")
        settings = load_settings(
            overrides={"dense.model": str(model), "sparse.model": "idf", "images.thumbnails": "96"}
        )
        encoder = load_encoder(settings)
        with connect(settings.engine) as connection:
            index_source(photos, INDEX, connection, encoder, settings)
            with SearchClient(INDEX, settings=settings, encoder=encoder, connection=connection) as client:
                show("harbour (a caption):", client.search("harbour", k=2))
                show("blue square (what is shown):", client.search("blue square", k=2, legs=["dense"]))
                show("a photo like photo-00:", client.search(Query(image=photos / "photo-00.png"), k=3))
                both = Query("snow", image=photos / "photo-11.png")
                show("snow, and a photo like photo-11:", client.search(both, k=3))
                print(f"\nthumbnail of photo-00: {len(client.thumbnails(['photo-00.png'])['photo-00.png'])} bytes")


main()
