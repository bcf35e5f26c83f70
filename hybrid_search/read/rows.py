"""What a program holds, as records: frames of pandas and polars, Arrow tables, data sets, dictionaries, documents.

Nothing is imported to find out what is given. A frame is read some hundred rows at a time, so it is never held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np

from hybrid_search.errors import RecordError, SettingsError, SourceError
from hybrid_search.read.columns import plain, rows_of_batch
from hybrid_search.read.compose import Composer
from hybrid_search.read.raw import OnBad, RawRecord, refuse
from hybrid_search.read.repeated import Repetitions, settled
from hybrid_search.records import Document
from hybrid_search.settings import DocumentSettings
from hybrid_search.settings.documents import LAST, REFUSE

ROWS = 512
"""Rows that are taken out of a frame at once."""

Row = dict[str, Any]
_MISSING = frozenset({"NAType", "NaTType"})
"""What pandas calls a value that is not there, beside None and NaN."""


def documents_of(
    given: Any, settings: DocumentSettings, *, on_bad: OnBad = refuse, repetitions: Repetitions | None = None
) -> Iterator[Document]:
    """The documents of what a program holds, row by row; a :class:`Document` is taken as it is.

    Args:
        given: a frame of pandas or polars, a table, batch, reader or data set of pyarrow, anything else with
            ``__arrow_c_stream__``, a data set of Hugging Face, or an iterable of mappings and documents.
        settings: which field of a row is what (:class:`hybrid_search.read.compose.Composer`).
        on_bad: told of each bad row with its JSON; without it the first ends the reading.
        repetitions: counts the documents that ``documents.repeated_ids`` left out or numbered.

    Raises:
        SettingsError: ``documents.repeated_ids`` is ``last``, and what is given can be iterated only once.
        SourceError: what is given holds no rows, or two columns of one name.
        RecordError: a bad row, with its number from 1; or none of the rows can become a document.
    """
    rule = settings.repeated_ids
    if rule == LAST and isinstance(given, Iterator):
        remedy = "Give a list, or set first or number"
        raise SettingsError('is "last", and this is iterated once', where="documents.repeated_ids", remedy=remedy)
    found = partial(_composed, given, settings)
    if rule == REFUSE:
        return found(on_bad)
    return settled(found(on_bad), rule, lambda: found(lambda _error, _data: None), repetitions or Repetitions())


def _composed(given: Any, settings: DocumentSettings, on_bad: OnBad) -> Iterator[Document]:
    composer, place = Composer(settings, unique_ids=False), type(given).__name__
    good, bad = 0, list[RecordError]()
    for number, row in enumerate(rows_of(given, settings.dense), start=1):
        if isinstance(row, Document):
            good += 1
            yield row
            continue
        record = RawRecord(row, f"{place}:{number}")
        try:
            document = composer.document(record)
        except RecordError as error:
            on_bad(error, record.as_bytes())
            bad[:] = bad[:1] or [error]
            continue
        good += 1
        yield document
    if bad and not good:
        [first] = bad
        what = f"none of the {number:,} rows can be loaded: {first.what}"
        raise type(first)(what, where=first.where, remedy=first.remedy)


def rows_of(given: Any, dense: str | None = None) -> Iterator[Row | Document]:
    """The rows of what a program holds as plain values, those that are missing left out; documents as they are.

    ``dense`` is the column of dense vectors, which stay arrays.

    Raises:
        SourceError: it has no rows, or two columns of one name.
        RecordError: a row is neither a mapping nor a document.
    """
    for is_kind, read in _READERS:
        if is_kind(given):
            return read(given, dense)
    raise SourceError(f"a {type(given).__name__} holds no rows", remedy="Give a frame, a table, or a list of dicts")


def _is(module: str, *names: str) -> Callable[[Any], bool]:
    """Whether something is of a class of a library, or of one made of it."""

    def is_one(given: Any) -> bool:
        kinds = ((kind.__module__.partition(".")[0], kind.__name__) for kind in type(given).__mro__)
        return any(kind in kinds_known for kind in kinds)

    kinds_known = {(module, name) for name in names}
    return is_one


def _of_pandas(frame: Any, dense: str | None) -> Iterator[Row]:
    """Rows with the index where it has a name: then it says something."""
    named = [name for name in frame.index.names if name is not None]
    if named and not set(named) & set(frame.columns):
        frame = frame.reset_index(level=named)
    names = [str(name) for name in frame.columns]
    _check_names(names, frame)
    for begin in range(0, len(frame), ROWS):
        part = frame.iloc[begin : begin + ROWS]
        columns = [part.iloc[:, number].tolist() for number in range(len(names))]
        yield from (_row(zip(names, values, strict=True), dense) for values in zip(*columns, strict=True))


def _of_lazy(frame: Any, dense: str | None) -> Iterator[Row]:
    return _of_stream(frame.collect(), dense)


def _of_stream(given: Any, dense: str | None) -> Iterator[Row]:
    """Rows of whatever gives Arrow its columns, which are not copied."""
    import pyarrow as pa

    try:
        reader = pa.RecordBatchReader.from_stream(given)
        yield from _of_batches(reader, given, dense)
    except pa.ArrowException as error:
        what = f"cannot be read as columns ({str(error).splitlines()[0]})"
        raise SourceError(what, where=type(given).__name__, remedy="Give a frame") from error


def _of_batch(batch: Any, dense: str | None) -> Iterator[Row]:
    return _of_batches([batch], batch, dense)


def _of_dataset(given: Any, dense: str | None) -> Iterator[Row]:
    """Rows of a data set of pyarrow: files that are read as they are asked for."""
    return _of_batches(given.to_batches(batch_size=ROWS), given, dense)


def _of_batches(batches: Iterable[Any], given: Any, dense: str | None) -> Iterator[Row]:
    for batch in batches:
        _check_names(batch.schema.names, given)
        for begin in range(0, batch.num_rows, ROWS):
            for row in rows_of_batch(batch.slice(begin, ROWS), dense):
                yield _row(row.items(), dense)


def _of_hub(given: Any, dense: str | None) -> Iterator[Row]:
    """Rows of a data set of Hugging Face as Python's values, whatever format it was set to."""
    return (_row(row.items(), dense) for row in given.with_format(None))


def _of_mapping(given: Mapping[Any, Any], _dense: str | None) -> Iterator[Row]:
    names = ", ".join(repr(name) for name in list(given)[:5])
    what = f"a {type(given).__name__} of {names} is one record, or columns, or splits"
    raise SourceError(what, remedy="Give a list of dicts, a frame made of it, or one of the splits")


def _of_text(given: object, _dense: str | None) -> Iterator[Row]:
    remedy = "Read it: hybrid_search.read.documents(path, settings.documents); or load it: hybrid-search index"
    raise SourceError(f"{given!r:.60} is no list of documents", remedy=remedy)


def _of_items(given: Iterable[Any], dense: str | None) -> Iterator[Row | Document]:
    for number, item in enumerate(given, start=1):
        if isinstance(item, Document):
            yield item
        elif isinstance(item, Mapping):
            yield _row(item.items(), dense)
        else:
            where = f"{type(given).__name__}:{number}"
            what = f"a {type(item).__name__} is neither a Document nor a dict: {item!r:.60}"
            raise RecordError(what, where=where, remedy="Give Documents, or dicts with the names of the fields")


_READERS: list[tuple[Callable[[Any], bool], Callable[[Any, str | None], Iterator[Any]]]] = [
    (_is("pandas", "DataFrame"), _of_pandas),
    (_is("polars", "LazyFrame"), _of_lazy),
    (_is("pyarrow", "RecordBatch"), _of_batch),
    (_is("pyarrow", "Dataset", "Scanner"), _of_dataset),
    (_is("datasets", "Dataset", "IterableDataset"), _of_hub),
    (lambda given: hasattr(given, "__arrow_c_stream__"), _of_stream),
    (lambda given: isinstance(given, Mapping), _of_mapping),
    (lambda given: isinstance(given, str | bytes | PurePath), _of_text),
    (lambda given: isinstance(given, Iterable), _of_items),
]
"""What may be given, and who reads it; the first that fits."""


def _check_names(names: list[str], given: Any) -> None:
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        what = f"the columns name {min(repeated)!r} twice"
        raise SourceError(what, where=type(given).__name__, remedy="Give every column its own name")


def _row(pairs: Iterable[tuple[Any, Any]], dense: str | None) -> Row:
    cells = ((str(name), value if name == dense and _is_vector(value) else cell(value)) for name, value in pairs)
    return {name: value for name, value in cells if value is not None}


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def cell(value: Any) -> Any:
    """A value as JSON can hold it, as :func:`hybrid_search.read.columns.plain`; also numpy's, and missing ones."""
    if isinstance(value, str | bool | int) or value is None:
        return value if type(value) in {str, bool, int, type(None)} else _plainer(value)
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, Mapping):
        return {str(key): cell(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cell(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((cell(item) for item in value), key=repr)
    return _plainer(value)


def _plainer(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.ndarray | np.generic):
        return cell(value.tolist())
    if isinstance(value, Enum):
        return cell(value.value)
    return str(value) if isinstance(value, UUID | PurePath) else plain(value)
