"""Models in a process of their own, so that a document on which they die takes nothing else with it.

A library that encodes may end its process: a fault in native code, memory that is not there. The process is started
again then, and the texts or images are halved until one stands alone; that one is refused, with the way in which the
process ended, and its document becomes a dead letter. It costs about twice the binary logarithm of their number in
starts, once for each. Only a worker that takes the place of a dead one works so.
"""

from __future__ import annotations

import hashlib
import pickle  # what is written and read here comes from a process that this one has started
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection as Pipe
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.protocols import EncodedTexts, TextEncoder, image_encoder
from hybrid_search.errors import HybridSearchError, IngestError, ModelError
from hybrid_search.images import Pixels
from hybrid_search.records import Fingerprint
from hybrid_search.scale.gpus import on_its_device
from hybrid_search.scale.work import Share

MOST_DEADLY = 20
"""Texts and images on which the models may die; with more of them it is not these."""
KNOWN = ("dense", "sparse", "late", "max_tokens", "reads_images")

Make = Callable[[], TextEncoder]


class _Said(NamedTuple):
    """An error of the models: what, where, and what next."""

    what: str
    where: str | None
    remedy: str | None


@contextmanager
def encoder_of(share: Share) -> Iterator[TextEncoder]:
    """The encoder of a share: in this process, or apart where it is to be careful.

    Raises:
        HybridSearchError: the models cannot be loaded.
    """
    from hybrid_search.encode import load_encoder

    settings = on_its_device(share.settings, share.number)
    if not share.careful:
        yield load_encoder(settings)
        return
    encoder = EncoderApart(partial(load_encoder, settings))
    try:
        yield encoder
    finally:
        encoder.close()


class EncoderApart:
    """An :class:`hybrid_search.encode.protocols.ImageEncoder` whose models are in another process.

    Vectors of texts on which that process dies are missing, and ``refused`` says which those are; of such images they
    are NaN. ``reads_images`` is as the models say.
    """

    dense: Fingerprint | None
    sparse: Fingerprint | None
    late: Fingerprint | None
    max_tokens: int
    reads_images: bool

    def __init__(self, make: Make) -> None:
        """Start the process; ``make`` is called in it.

        Raises:
            HybridSearchError: what ``make`` raises; the process dies before it has the models.
        """
        self._make = make
        self._lock = threading.Lock()
        self._deadly: dict[str, str] = {}
        self._start()

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """The tokenizer's."""
        with self._lock:
            found: list[list[tuple[int, int]]] = self._ask("spans", list(texts))
            return found

    @property
    def tokenizer(self) -> EncoderApart:
        """This: it is asked for tokens by the same pipe."""
        return self

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of queries, in order; no load asks for them."""
        with self._lock:
            encoded: EncodedTexts = self._ask("encode_queries", list(texts))
            return encoded

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of passages, in order; rows of NaN and empty mappings for those that are ``refused``.

        Raises:
            IngestError: the process dies of one text after the other.
        """
        with self._lock:
            good = [text for text in texts if text not in self._deadly]
            parts = list(self._halved("encode_documents", good, str))
        return self._whole(texts, parts)

    def encode_images(self, images: Sequence[Pixels], *, query: bool = False) -> NDArray[np.float32]:
        """Vectors of passages' images, shape (n, dimension), in order; a row of NaN for one on which the process dies.

        Raises:
            IngestError: the process dies of one image after the other.
            ModelError: the models read no images, or ``query`` is asked for, which no load does.
        """
        if query or not self.reads_images:
            raise ModelError("encodes no such images", where="the models' process")
        dimension = 0 if self.dense is None else self.dense.dimension or 0
        found = np.full((len(images), dimension), np.nan, np.float32)
        with self._lock:
            good = [number for number, image in enumerate(images) if _image_key(image) not in self._deadly]
            for numbers, vectors in self._halved("encode_images", good, lambda n: _image_key(images[n]), images):
                found[numbers] = vectors
        return found

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.wait()

    def _halved(
        self, what: str, items: list[Any], key: Callable[[Any], str], of: Sequence[Any] | None = None
    ) -> Iterator[tuple[list[Any], Any]]:
        """Vectors of parts of the items, without those that are deadly; with ``of`` the items are its places."""
        if not items:
            return
        try:
            encoded = self._ask(what, items if of is None else [of[place] for place in items])
        except EOFError:
            died = self._died()
        else:
            yield items, encoded
            return
        self._start()
        if len(items) == 1:
            self._note(key(items[0]), died)
            return
        middle = len(items) // 2
        yield from self._halved(what, items[:middle], key, of)
        yield from self._halved(what, [one for one in items[middle:] if key(one) not in self._deadly], key, of)

    def _note(self, key: str, died: str) -> None:
        self._deadly[key] = f"the models' process died of it ({died})"
        if len(self._deadly) > MOST_DEADLY:
            raise IngestError(
                f"the models' process died ({died}) of more than {MOST_DEADLY} texts or images",
                where="the models",
                remedy="Encode some texts by themselves: hybrid-search doctor",
            )

    def _whole(self, texts: Sequence[str], parts: Sequence[tuple[list[str], EncodedTexts]]) -> EncodedTexts:
        """One answer for all, in their order."""
        known: dict[str, tuple[EncodedTexts, int]] = {}
        for part, encoded in parts:
            known |= {text: (encoded, number) for number, text in enumerate(part)}
        dimension = 0 if self.dense is None else self.dense.dimension or 0
        nothing = EncodedTexts(np.full((1, dimension), np.nan, np.float32), [{}], [b""])
        found = [known.get(text, (nothing, 0)) for text in texts]
        return EncodedTexts(
            None if self.dense is None else np.array([one.dense[n] for one, n in found if one.dense is not None]),
            None if self.sparse is None else [one.sparse[n] for one, n in found if one.sparse is not None],
            None if self.late is None else [one.late[n] for one, n in found if one.late is not None],
            {number: self._deadly[text] for number, text in enumerate(texts) if text in self._deadly},
        )

    def _start(self) -> None:
        """Start the process, and learn what its models are."""
        self._pipe, theirs = connection.Pipe()
        command = [sys.executable, "-m", "hybrid_search.scale.apart", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._pipe.send_bytes(pickle.dumps(self._make))
        try:
            known = self._received()
        except EOFError:
            raise IngestError(
                f"the models' process died ({self._died()}) while it loaded them",
                where="the models",
                remedy="Look at its last words above; memory may be short",
            ) from None
        except ModelError:
            self.close()
            raise
        for name in KNOWN:
            setattr(self, name, known[name])

    def _ask(self, what: str, items: list[Any]) -> Any:
        """An answer of the process. Raises EOFError where it has died."""
        try:
            self._pipe.send((what, items))
        except OSError:
            raise EOFError from None
        return self._received()

    def _received(self) -> Any:
        try:
            answer = self._pipe.recv()
        except OSError:
            raise EOFError from None
        if isinstance(answer, _Said):
            raise ModelError(answer.what, where=answer.where, remedy=answer.remedy)
        return answer

    def _died(self) -> str:
        self._pipe.close()
        return f"exit {self._process.wait()}"


def _image_key(image: Pixels) -> str:
    """What no text is: a NUL is before it."""
    return f"\0{image.shape} {hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()}"


def _reads_images(encoder: TextEncoder) -> bool:
    return image_encoder(encoder) is not None


def _serve(pipe: Pipe) -> None:
    """The whole life of the process: load the models, then answer until the pipe ends."""
    make: Make = pickle.loads(pipe.recv_bytes())  # noqa: S301  # from the process that has started this one
    try:
        encoder = make()
        pipe.send({name: getattr(encoder, name, None) for name in KNOWN} | {"reads_images": _reads_images(encoder)})
    except HybridSearchError as error:
        pipe.send(_Said(error.what, error.where, error.remedy))
        return
    while True:
        try:
            what, items = pipe.recv()
        except (EOFError, OSError):
            return
        asked = encoder.tokenizer.spans if what == "spans" else getattr(encoder, what)
        try:
            pipe.send(asked(items))
        except HybridSearchError as error:
            pipe.send(_Said(error.what, error.where, error.remedy))


if __name__ == "__main__":
    import signal

    from hybrid_search.scale.apart import _serve as serve  # by its name, so that what it sends is known there

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the worker, which ends this by its pipe
    serve(Pipe(int(sys.argv[1])))
