"""A class for each reason that the server gives, below that of its gRPC code.

The reasons are those of `ErrorReason` in `proto/ragstone/v1/error_reason.proto`: `COLLECTION_NOT_FOUND` is `CollectionNotFound`. A reason that
is the name of a code (`DEADLINE_EXCEEDED`) has that code's class. `tests/test_errors.py` compares the two lists.
"""

from ragstone._errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)


class InvalidField(InvalidArgument):
    """A field is not acceptable, whatever is stored."""


class LimitExceeded(InvalidArgument):
    """Beyond a named limit."""


class CollectionNotFound(NotFound):
    """No collection has this name."""


class CollectionExists(AlreadyExists):
    """A collection has this name."""


class UnknownPayloadField(InvalidArgument):
    """A filter or a strict write names a payload field that the collection does not have."""


class PayloadFieldType(InvalidArgument):
    """A value or a filter is of another type than the payload field."""


class ReservedName(InvalidArgument):
    """An id or a payload field's name is kept for Ragstone."""


class DocumentNotFound(NotFound):
    """No document has this id."""


class NotText(InvalidArgument):
    """The document is not text of a kind that is understood."""


class TokenLimit(InvalidArgument):
    """A text has more tokens than the model reads."""


class TemplateInvalid(InvalidArgument):
    """A prompt template does not parse or render."""


class ModelNotFound(NotFound):
    """A model is nowhere to be had."""


class ModelInvalid(FailedPrecondition):
    """A model's files are incomplete, damaged or of an unknown kind."""


class ModelMismatch(FailedPrecondition):
    """The collection was made with another model."""


class CollectionWithoutModel(FailedPrecondition):
    """The collection has no embedding model."""


class ModelLoading(Unavailable):
    """The model is being loaded."""


class ModelNotAllowed(PermissionDenied):
    """Models other than the default one and those in the server's cache are the operator's to allow."""


class RemoteModelFailed(Unavailable):
    """A remote model failed."""


class TooManyRequests(ResourceExhausted):
    """Too many requests at once."""


class RequestTooLarge(ResourceExhausted):
    """The request's message is beyond the server's limit."""


class ResponseTooLarge(ResourceExhausted):
    """The answer would be beyond the server's limit; ask for less."""


class ShuttingDown(Unavailable):
    """The server is shutting down."""


class Opening(Unavailable):
    """The server has not opened its database yet."""


class StoreCorrupt(DataLoss):
    """Bytes on disk are not what was written."""


class StoreIo(Internal):
    """The operating system refused an operation."""


class StorePoisoned(FailedPrecondition):
    """The store accepts no writes since an earlier failure; its server must be restarted."""


class StoreLocked(FailedPrecondition):
    """Another process has the database open."""


class Fault(Internal):
    """A fault of Ragstone itself."""


class UnknownMethod(Unimplemented):
    """The server has no such service or method."""


class MalformedMessage(InvalidArgument):
    """The request's bytes are not a message of its type, or are nested too deeply."""


class PreconditionFailed(Aborted):
    """A precondition of a write does not hold."""


class UnknownCompression(Unimplemented):
    """The request is compressed in a way that the server does not know; the header `grpc-accept-encoding` lists those
    that it does."""


class GenerateModelNotFound(NotFound):
    """No model of this name may be asked for an answer."""


class GenerateRefused(FailedPrecondition):
    """The model that was asked for an answer does not accept the request."""


class GenerateFailed(Unavailable):
    """The model that was asked for an answer is not to be had, or its answer broke off."""


class ModelRateLimited(ResourceExhausted):
    """The service of a remote model, for vectors or for answers, has no room now (HTTP 429), and was tried as often as
    the deadline and Ragstone's own patience allow."""


class AliasExists(AlreadyExists):
    """The name is an alias of a collection."""


class AliasNotFound(NotFound):
    """No collection has this alias."""


class CollectionAliased(FailedPrecondition):
    """An alias names the collection."""


class CollectionReplaced(Aborted):
    """Another collection took the place of this one meanwhile, and nothing was written."""


class OperationExists(AlreadyExists):
    """Such an operation is under way."""


class OperationNotFound(NotFound):
    """No operation has this id."""


class OperationRunning(FailedPrecondition):
    """The operation has not ended."""


class OperationInterrupted(Aborted):
    """The operation was cut off, or was asked to end."""


class SnapshotStoreNotAllowed(PermissionDenied):
    """The server was not started with this store for snapshots."""


class SnapshotNotFound(NotFound):
    """The store has no such snapshot."""


class SnapshotStoreFailed(Unavailable):
    """The store of snapshots refused, or could not be reached."""


class SnapshotDamaged(DataLoss):
    """A snapshot is damaged, or a part of the archived log is missing."""


class SnapshotExists(AlreadyExists):
    """The store has a snapshot of this name."""


class SnapshotDiverged(FailedPrecondition):
    """The store has the log of another history of this database, whose directory was copied or put back by other means
    than a restore. Give each a store of its own."""


class ExchangeNotAllowed(PermissionDenied):
    """The server was not started with a folder for exports and imports."""


class FileExists(AlreadyExists):
    """The file of an export is there."""


class FileNotFound(NotFound):
    """There is no such file."""


class TemplateNotFound(NotFound):
    """No template of this name and version is registered."""


class NotCaughtUp(Unavailable):
    """The server has not come to the write of a token yet."""


class ForeignWriteToken(FailedPrecondition):
    """The write token is of another database, or of this one before it was restored."""


class RateLimited(ResourceExhausted):
    """More calls a second than the caller is granted."""


class QuotaExceeded(ResourceExhausted):
    """More calls a day than the caller is granted."""


class KeyNotFound(NotFound):
    """There is no such API key."""


class KeySetNotRead(Unavailable):
    """The keys of the identity provider, by which tokens are checked, cannot be read now."""


class ServerLimitExceeded(LimitExceeded, ResourceExhausted):
    """Beyond a named limit of the whole server, such as that of its collections."""

    default_code = "RESOURCE_EXHAUSTED"


class StoreFull(StoreIo, ResourceExhausted):
    """The operating system refused an operation, as the disk is full."""

    default_code = "RESOURCE_EXHAUSTED"


_EXHAUSTED = {"LIMIT_EXCEEDED": ServerLimitExceeded, "STORE_IO": StoreFull}
"""Of reasons that come with two codes, the classes for RESOURCE_EXHAUSTED: each is caught by its code as well as by its reason."""
