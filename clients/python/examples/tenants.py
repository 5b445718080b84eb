"""Many customers in one collection, each of whom sees what is theirs.

ragstone key create operator --grant admin          # prints a secret, once
ragstone serve --auth
RAGSTONE_API_KEY=SECRET python tenants.py

Two things keep tenants apart. The collection has a tenant field: reads name a tenant, or say that they mean all, so nobody forgets. And each tenant
has an API key whose grant shows them their rows alone, so that no mistake of a program, and no question, gets anything else.
"""

import argparse
import os

import ragstone
from ragstone import F, Filter

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--collection", default="tenants", help="made anew (default: %(default)s)")
parser.add_argument("--url", default="http://127.0.0.1:6733", help="the server (default: %(default)s)")
parser.add_argument("--path", metavar="DIR", help="a database of this process instead, which has tenants but no keys")
arguments = parser.parse_args()

NOTES = {
    "acme": "Acme's lease ends on 31 May.",
    "umbrella": "Umbrella's lease ends on 30 September.",
}
QUESTION = "When does the lease end?"
secret = os.environ.get("RAGSTONE_API_KEY")

with ragstone.open(arguments.path) if arguments.path else ragstone.connect(arguments.url, api_key=secret) as operator:
    operator.delete_collection(arguments.collection, missing_ok=True)
    notes = operator.create_collection(arguments.collection, tenant="tenant")
    for tenant, text in NOTES.items():
        notes.ingest_document(f"{tenant}/lease.md", text, metadata={"tenant": tenant})

    # Whoever may see all names a tenant, or says that all are meant.
    print("all:", len(notes.retrieve(QUESTION, filter=Filter.all_tenants())), "passages")
    try:
        notes.retrieve(QUESTION)
    except ragstone.InvalidArgument:
        print("all: a question without a tenant is refused")

    if arguments.path is None:
        # `$claims.tenant` stands for what the key has under that name: one grant, written once, for every tenant.
        grant = f"write on {arguments.collection} where tenant = $claims.tenant"
        keys = {tenant: operator.create_key(tenant, [grant], claims={"tenant": tenant}) for tenant in NOTES}
        for tenant, key in keys.items():
            with ragstone.connect(arguments.url, api_key=key.secret) as client:
                theirs = client.collection(arguments.collection)
                for found in theirs.retrieve(QUESTION, filter=F.tenant == tenant):
                    print(f"{tenant}: {found.chunk.text}")
                # Asking for another's rows finds nothing, and writing them is refused.
                other = next(one for one in NOTES if one != tenant)
                print(f"{tenant}: {len(theirs.retrieve(QUESTION, filter=F.tenant == other))} passages of {other}")
                try:
                    theirs.ingest_document("theirs.md", "Not so.", metadata={"tenant": other})
                except ragstone.PermissionDenied:
                    print(f"{tenant}: may not write for {other}")
            operator.revoke_key(key.key.id)
