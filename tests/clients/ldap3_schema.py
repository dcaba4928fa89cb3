#!/usr/bin/python3
"""ldap3 with the schema loaded, which it checks names against. Prints one JSON object."""

import argparse
import json

from ldap3 import ALL, Connection, ObjectDef, Reader, Server

BASE = "DC=ldap,DC=goauthentik,DC=io"
FILTERS = [
    "(nextcloud_quota=1 GB)",
    "(2fa=true)",
    "(-x=*front)",
    "(with-space=b)",
    "(mobile=+491)",
    "(&(objectClass=goauthentik.io/ldap/user)(cn=alice))",
    "(&(objectClass=goauthentik-io-ldap-user)(cn=alice))",
    "(objectClass=ldapPublicKey)",
    "(objectClass=my.class/x)",
]
CLASSES = ["inetOrgPerson", "goauthentik.io/ldap/user", "goauthentik-io-ldap-user", "goauthentik.io/ldap/group"]


def read(connection, name):
    reader = Reader(connection, ObjectDef(name, connection), BASE)
    reader.search()
    return len(reader.entries)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ldap-port", type=int, required=True)
    options = parser.parse_args()
    server = Server("127.0.0.1", port=options.ldap_port, get_info=ALL)
    user = f"cn=ldapservice,ou=users,{BASE}"
    connection = Connection(server, user, "demo-ldapservice", auto_bind=True, check_names=True, raise_exceptions=True)
    found = {}
    for text in FILTERS:
        connection.search(f"ou=users,{BASE}", text, attributes=["cn", "mobile", "nextcloud_quota"])
        found[text] = [entry["attributes"]["cn"] for entry in connection.response]
    attributes = connection.response[0]["attributes"]
    report = {"found": found, "mobile": attributes["mobile"], "cn": attributes["cn"]}
    report["readers"] = {name: read(connection, name) for name in CLASSES}
    print(json.dumps(report), flush=True)


main()
