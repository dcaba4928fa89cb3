#!/usr/bin/python3
"""What authentik's own end-to-end test expects of an LDAP outpost, asked with ldap3.

The expected entries are made from the rows of authentik's HTTP API. Prints one JSON object, or ends with a message.
Before the last check it prints `sessions` and waits for a line: whoever runs it ends the sessions of `member` then.
"""

import argparse
import json
import ssl
import sys
import time
import urllib.request
from datetime import datetime

from ldap3 import (
    ALL,
    ALL_ATTRIBUTES,
    ALL_OPERATIONAL_ATTRIBUTES,
    AUTO_BIND_NO_TLS,
    AUTO_BIND_TLS_BEFORE_BIND,
    BASE,
    SUBTREE,
    Connection,
    Server,
    Tls,
)
from ldap3.core.exceptions import LDAPInvalidCredentialsResult, LDAPSessionTerminatedByServerError

SUFFIX = "dc=ldap,dc=goauthentik,dc=io"
USER_CLASSES = ["top", "person", "organizationalPerson", "inetOrgPerson", "user", "posixAccount", "goauthentik.io/ldap/user"]
UID_START = 2000


def check(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")


def arguments():
    parser = argparse.ArgumentParser()
    for name in ["ldap-port", "ldaps-port"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--transport", choices=["clear", "ldaps", "start_tls"], required=True)
    parser.add_argument("--ca", required=True, help="authority of the server's certificate")
    parser.add_argument("--authentik", required=True, help="URL of authentik")
    parser.add_argument("--token", required=True, help="token of the outpost")
    parser.add_argument("--searcher", required=True, help="username of an account that may search everything")
    parser.add_argument("--member", required=True, help="username of an account that may not")
    return parser.parse_args()


def rows(options, path):
    """All rows of a list of authentik's API."""
    found, page = [], 1
    while page:
        url = f"{options.authentik}/api/v3{path}?page={page}&page_size=100"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {options.token}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = json.load(response)
        found += answer["results"]
        page = answer["pagination"]["next"]
    return found


def dn(username):
    return f"cn={username},ou=users,{SUFFIX}"


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(microsecond=0)


def expected_user(row):
    return {
        "cn": row["username"],
        "sAMAccountName": row["username"],
        "uid": row["uid"],
        "name": row["name"],
        "displayName": row["name"],
        "sn": row["name"],
        "mail": row["email"],
        "objectClass": USER_CLASSES,
        "uidNumber": UID_START + row["pk"],
        "gidNumber": UID_START + row["pk"],
        "memberOf": [f"cn={group['name']},ou=groups,{SUFFIX}" for group in row["groups_obj"]],
        "homeDirectory": f"/home/{row['username']}",
        "ak-active": row["is_active"],
        "ak-superuser": row["is_superuser"],
        "pwdChangedTime": instant(row["password_change_date"]),
        "createTimestamp": instant(row["date_joined"]),
        "modifyTimestamp": instant(row["last_updated"]),
        **row["attributes"],
    }


def compare(found, expected):
    """Every attribute, its values and their Python types."""
    found = {entry["dn"]: dict(entry["attributes"]) for entry in found}
    check(sorted(found) == sorted(expected), f"entries {sorted(found)} instead of {sorted(expected)}")
    for name, attributes in expected.items():
        check(sorted(found[name]) == sorted(attributes), f"{name}: attributes {sorted(found[name])}")
        for attribute, value in attributes.items():
            got = found[name][attribute]
            if attribute == "memberOf":
                got, value = sorted(got), sorted(value)
            same = got == value and type(got) is type(value)
            check(same, f"{name}: {attribute} is {got!r}, not {value!r}")


def reach(options, tls):
    """The server over the transport under test, and how ldap3 is told to use StartTLS."""
    if options.transport == "ldaps":
        return Server(f"ldaps://localhost:{options.ldaps_port}", get_info=ALL, tls=tls), AUTO_BIND_NO_TLS
    server = Server(f"ldap://localhost:{options.ldap_port}", get_info=ALL, tls=tls)
    return server, AUTO_BIND_TLS_BEFORE_BIND if options.transport == "start_tls" else AUTO_BIND_NO_TLS


def connect(server, username, password=None, **more):
    password = f"demo-{username}" if password is None else password
    user = f"cn={username},ou=users,DC=ldap,DC=goauthentik,DC=io"
    return Connection(server, user=user, password=password, raise_exceptions=True, **more)


def binds(options, tls):
    done = []
    plain = f"ldap://localhost:{options.ldap_port}"
    for name, server, secure in [
        ("ldap", Server(plain, get_info=ALL), False),
        ("ldaps", Server(f"ldaps://localhost:{options.ldaps_port}", get_info=ALL, tls=tls), False),
        ("start_tls", Server(plain, tls=tls), True),
        ("start_tls with information", Server(plain, get_info=ALL, tls=tls), True),
    ]:
        connection = connect(server, options.searcher)
        if secure:
            check(connection.start_tls(), f"{name}: no TLS")
        check(connection.bind(), f"{name}: no bind")
        who = connection.extend.standard.who_am_i()
        check(options.searcher.lower() in who.lower(), f"{name}: bound as {who}")
        connection.unbind()
        done.append(name)
    try:
        connect(Server(plain, get_info=ALL), options.searcher, "something else").bind()
    except LDAPInvalidCredentialsResult:
        return done
    return sys.exit("FAILED: a wrong password is not LDAPInvalidCredentialsResult")


def schema(server):
    check(server.schema is not None, "no schema")
    check(server.schema.is_valid(), "the schema is not valid")
    for name in ["goauthentik.io/ldap/user", "goauthentik.io/ldap/group", "inetOrgPerson", "groupOfNames"]:
        check(server.schema.object_classes[name] is not None, f"{name} is not in the schema")
    contexts = server.info.naming_contexts
    check(contexts == [SUFFIX], f"naming contexts {contexts}")
    return {"classes": len(server.schema.object_classes), "attributes": len(server.schema.attribute_types)}


def searches(options, tls, users):
    server, auto_bind = reach(options, tls)
    connection = connect(server, options.searcher, auto_bind=auto_bind)
    base = "ou=Users,DC=ldaP,dc=goauthentik,dc=io"
    wanted = {dn(row["username"]): expected_user(row) for row in users}
    everything = [ALL_ATTRIBUTES, ALL_OPERATIONAL_ATTRIBUTES]
    connection.search(base, "(objectClass=user)", search_scope=SUBTREE, attributes=everything)
    compare(connection.response, wanted)
    connection.search(base, "(objectClass=user)", search_scope=SUBTREE, attributes=["cn"])
    compare(connection.response, {name: {"cn": attributes["cn"]} for name, attributes in wanted.items()})
    paged = connection.extend.standard.paged_search(
        base, "(objectClass=user)", SUBTREE, attributes=everything, paged_size=3, generator=False
    )
    compare(paged, wanted)
    declared = schema(server)
    connection.unbind()

    member = connect(server, options.member, auto_bind=auto_bind)
    member.search(base, "(objectClass=user)", search_scope=SUBTREE, attributes=everything)
    own = dn(options.member)
    compare(member.response, {own: wanted[own]})
    member.unbind()
    try:
        connect(server, options.member, "something else", auto_bind=auto_bind)
    except LDAPInvalidCredentialsResult:
        pass
    else:
        sys.exit("FAILED: a wrong password is let in")
    return {"users": len(wanted), "schema": declared}


def session_end(options, tls):
    """The connection ends within three seconds of its session."""
    server, auto_bind = reach(options, tls)
    connection = connect(server, options.member, auto_bind=auto_bind)
    own = dn(options.member)
    check(connection.search(own, "(objectClass=*)", search_scope=BASE), "no search before the session ends")
    print("sessions", flush=True)
    sys.stdin.readline()
    begin = time.monotonic()
    while time.monotonic() - begin < 3:
        try:
            connection.search(own, "(objectClass=*)", search_scope=BASE)
        except LDAPSessionTerminatedByServerError:
            return round(time.monotonic() - begin, 3)
        time.sleep(0.05)
    return sys.exit("FAILED: the connection outlives its session")


def main():
    options = arguments()
    tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=options.ca)
    # Binds in clear are refused where another transport is under test.
    done = binds(options, tls) if options.transport == "clear" else []
    report = {"binds": done, **searches(options, tls, rows(options, "/core/users/"))}
    report["session_end_seconds"] = session_end(options, tls)
    print(json.dumps(report), flush=True)


main()
