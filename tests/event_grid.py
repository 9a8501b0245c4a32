"""What Azure Event Grid sends of Blob Storage, by its documentation: there is no emulator of it.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

import uuid
from itertools import count
from typing import Any
from urllib.parse import quote

ACCOUNT = "pictures"
_GROUP = "/subscriptions/3f1c/resourceGroups/media/providers/Microsoft.Storage/storageAccounts"
_serial = count(1)


def topic(account: str = ACCOUNT) -> str:
    """The resource name of a storage account."""
    return f"{_GROUP}/{account}"


def blob_event(
    key: str,
    *,
    kind: str = "BlobCreated",
    container: str = "photos",
    account: str = ACCOUNT,
    api: str = "PutBlob",
    encoded: bool = False,
) -> dict[str, Any]:
    """One event of Event Grid's own schema; later ones have larger sequencers. `encoded`: the key is so already."""
    return {
        "topic": topic(account),
        "subject": f"/blobServices/default/containers/{container}/blobs/{key}",
        "eventType": f"Microsoft.Storage.{kind}",
        "eventTime": "2026-11-20T10:00:00.1234567Z",
        "id": str(uuid.uuid4()),
        "data": _data(key if encoded else quote(key), container, account, api),
        "dataVersion": "",
        "metadataVersion": "1",
    }


def cloud_event(
    key: str, *, kind: str = "BlobCreated", container: str = "photos", account: str = ACCOUNT
) -> dict[str, Any]:
    """The same as a CloudEvent."""
    return {
        "specversion": "1.0",
        "source": topic(account),
        "subject": f"/blobServices/default/containers/{container}/blobs/{key}",
        "type": f"Microsoft.Storage.{kind}",
        "time": "2026-11-20T10:00:00.1234567Z",
        "id": str(uuid.uuid4()),
        "data": _data(quote(key), container, account, "PutBlob"),
    }


def validation_event(code: str = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", account: str = ACCOUNT) -> dict[str, Any]:
    """By which Event Grid asks whether a new subscription is wanted."""
    return {
        "id": str(uuid.uuid4()),
        "topic": topic(account),
        "subject": "",
        "data": {"validationCode": code, "validationUrl": "https://rp-eastus2.eventgrid.azure.net:553/validate?id=1"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-11-20T10:00:00.1234567Z",
        "metadataVersion": "1",
        "dataVersion": "2",
    }


def _data(path: str, container: str, account: str, api: str) -> dict[str, Any]:
    serial = next(_serial)
    return {
        "api": api,
        "clientRequestId": str(uuid.uuid4()),
        "requestId": str(uuid.uuid4()),
        "eTag": f"0x8DE{serial:011X}",
        "contentType": "image/jpeg",
        "contentLength": 3,
        "blobType": "BlockBlob",
        "url": f"https://{account}.blob.core.windows.net/{container}/{path}",
        "sequencer": f"{serial:048x}",
        "storageDiagnostics": {"batchId": str(uuid.uuid4())},
    }
