"""Asks authentik for what akldap and Nextcloud start with, and writes it to files.

The outpost's token and the password of the service account are made by authentik when the blueprint is applied, minutes after its
first start. Waits for them, and for authentik itself.
"""

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

HOST = os.environ["AUTHENTIK_HOST"]
TOKEN = os.environ["AUTHENTIK_BOOTSTRAP_TOKEN"]
FOLDER = Path(os.environ.get("FOLDER", "/tokens"))
PATIENCE_S = int(os.environ.get("PATIENCE_S", "900"))
PAUSE_S = 2


def get(path):
    request = urllib.request.Request(f"{HOST}/api/v3/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def key(identifier):
    return get(f"core/tokens/{identifier}/view_key/")["key"]


def outpost_token():
    outposts = get("outposts/instances/?name__iexact=LDAP")["results"]
    return key(outposts[0]["token_identifier"])


def wait_for(name, ask):
    """Asks until there is an answer. Until then authentik refuses, or does not know the object yet."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            (FOLDER / name).write_text(ask())
            print(f"{FOLDER / name} is written", flush=True)
            return
        except (OSError, urllib.error.URLError, ValueError, LookupError) as error:
            if time.monotonic() > end:
                raise SystemExit(f"no {name} after {PATIENCE_S} s: {error!r}") from error
            print(f"waiting for {name}: {error!r}", flush=True)
            time.sleep(PAUSE_S)


wait_for("outpost", outpost_token)
wait_for("ldapservice", lambda: key("ldapservice-password"))
