"""The calls of the wire API: path, deadline where the user sets none, and whether a call may be made twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Repeat(Enum):
    """Whether a call comes to the same when it is made twice."""

    SAFE = 1
    """It does: reads, fetching a model, and writes with a request id, which the server does once, or of what is passed over if it is there."""
    IF_NOT_BEGUN = 2
    """It does not: only a call that was not begun is repeated."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is known of a call before it is made."""

    path: str
    timeout: float
    repeat: Repeat

    @property
    def name(self) -> str:
        """Names it in errors."""
        return self.path.rpartition("/")[2]


def _method(service: str, name: str, timeout: float, repeat: Repeat = Repeat.SAFE) -> Method:
    return Method(f"/ragstone.v1.{service}/{name}", timeout, repeat)


_ONCE = Repeat.IF_NOT_BEGUN

CREATE_COLLECTION = _method("CollectionsService", "CreateCollection", 60)
GET_COLLECTION = _method("CollectionsService", "GetCollection", 30)
UPDATE_COLLECTION = _method("CollectionsService", "UpdateCollection", 60)
UPDATE_COLLECTION_IF = _method("CollectionsService", "UpdateCollection", 60, _ONCE)
LIST_COLLECTIONS = _method("CollectionsService", "ListCollections", 30)
DELETE_COLLECTION = _method("CollectionsService", "DeleteCollection", 60)
SET_ALIAS = _method("CollectionsService", "SetAlias", 60, _ONCE)
DELETE_ALIAS = _method("CollectionsService", "DeleteAlias", 60, _ONCE)
LIST_ALIASES = _method("CollectionsService", "ListAliases", 30)
REEMBED_COLLECTION = _method("CollectionsService", "ReembedCollection", 120, _ONCE)

GET_OPERATION = _method("OperationsService", "GetOperation", 30)
LIST_OPERATIONS = _method("OperationsService", "ListOperations", 30)
WATCH_OPERATION = _method("OperationsService", "WatchOperation", 30)
CANCEL_OPERATION = _method("OperationsService", "CancelOperation", 60)
DELETE_OPERATION = _method("OperationsService", "DeleteOperation", 60, _ONCE)

GET_STATS = _method("AdminService", "GetStats", 30)
TAKE_SNAPSHOT = _method("AdminService", "TakeSnapshot", 60, _ONCE)
LIST_SNAPSHOTS = _method("AdminService", "ListSnapshots", 120)
VERIFY_SNAPSHOT = _method("AdminService", "VerifySnapshot", 120, _ONCE)
RESTORE_COLLECTION = _method("AdminService", "RestoreCollection", 120, _ONCE)
EXPORT_COLLECTION = _method("AdminService", "ExportCollection", 60, _ONCE)
IMPORT_COLLECTION = _method("AdminService", "ImportCollection", 60, _ONCE)
CREATE_KEY = _method("AdminService", "CreateKey", 60, _ONCE)
LIST_KEYS = _method("AdminService", "ListKeys", 30)
REVOKE_KEY = _method("AdminService", "RevokeKey", 60, _ONCE)
ROTATE_KEY = _method("AdminService", "RotateKey", 60, _ONCE)

UPSERT_POINTS = _method("PointsService", "UpsertPoints", 60)
INGEST_POINTS = _method("PointsService", "IngestPoints", 0)
UPDATE_POINTS = _method("PointsService", "UpdatePoints", 60)
WRITE_POINTS = _method("PointsService", "WritePoints", 60)
GET_POINTS = _method("PointsService", "GetPoints", 30)
DELETE_POINTS = _method("PointsService", "DeletePoints", 60)
DELETE_POINTS_WHERE = _method("PointsService", "DeletePoints", 60, _ONCE)
SCROLL_POINTS = _method("PointsService", "ScrollPoints", 30)
COUNT_POINTS = _method("PointsService", "CountPoints", 30)
FACET_POINTS = _method("PointsService", "FacetPoints", 30)

QUERY = _method("SearchService", "Query", 30)
BATCH_QUERY = _method("SearchService", "BatchQuery", 120)
EXPLAIN = _method("SearchService", "Explain", 30)
SEARCH_RANGE = _method("SearchService", "SearchRange", 60)

INGEST_DOCUMENT = _method("DocumentsService", "IngestDocument", 600)
INGEST_DOCUMENTS = _method("DocumentsService", "IngestDocuments", 0)
INGEST_RECORDS = _method("DocumentsService", "IngestRecords", 600, _ONCE)
GET_DOCUMENT = _method("DocumentsService", "GetDocument", 30)
LIST_DOCUMENTS = _method("DocumentsService", "ListDocuments", 30)
DELETE_DOCUMENT = _method("DocumentsService", "DeleteDocument", 60)
LIST_CHUNKS = _method("DocumentsService", "ListChunks", 30)

RETRIEVE = _method("RagService", "Retrieve", 30)
ENRICH = _method("RagService", "Enrich", 30)
GENERATE = _method("RagService", "Generate", 1_800, _ONCE)

REGISTER_TEMPLATE = _method("TemplatesService", "RegisterTemplate", 60)
GET_TEMPLATE = _method("TemplatesService", "GetTemplate", 30)
LIST_TEMPLATES = _method("TemplatesService", "ListTemplates", 30)
DELETE_TEMPLATE = _method("TemplatesService", "DeleteTemplate", 60, _ONCE)
PREVIEW_TEMPLATE = _method("TemplatesService", "PreviewTemplate", 30)

EMBED = _method("InferenceService", "Embed", 120)
RERANK = _method("InferenceService", "Rerank", 120)
COUNT_TOKENS = _method("InferenceService", "CountTokens", 120)
LIST_MODELS = _method("InferenceService", "ListModels", 30)
PULL_MODEL = _method("InferenceService", "PullModel", 1_800)
