#!/usr/bin/python3
"""python-ldap, which is OpenLDAP's library: pages, schema, compare, who am I. Prints one JSON object, or ends with a message."""

import argparse
import json
import sys

import ldap
import ldap.filter
import ldap.schema
from ldap.controls import SimplePagedResultsControl

BASE = "DC=ldap,DC=goauthentik,DC=io"


def check(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")


def bind(options, username, password=None):
    connection = connect(options)
    connection.simple_bind_s(f"cn={username},ou=users,{BASE}", password or f"demo-{username}")
    return connection


def connect(options):
    connection = ldap.initialize(options.uri)
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    connection.set_option(ldap.OPT_X_TLS_CACERTFILE, options.authority)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    if options.transport == "start_tls":
        connection.start_tls_s()
    return connection


def paged(connection, size, critical):
    """The names of all users, and the number of pages they came in."""
    control = SimplePagedResultsControl(critical, size=size, cookie="")
    names, pages = [], 0
    while True:
        pages += 1
        request = connection.search_ext(BASE, ldap.SCOPE_SUBTREE, "(objectClass=user)", ["cn"], serverctrls=[control])
        _, entries, _, controls = connection.result3(request)
        names += [attributes["cn"][0].decode() for _, attributes in entries]
        answers = [answer for answer in controls if answer.controlType == SimplePagedResultsControl.controlType]
        check(len(answers) == 1, f"{len(answers)} paging controls in an answer")
        if not answers[0].cookie:
            return names, pages
        control.cookie = answers[0].cookie


def pages(connection):
    plain = connection.search_s(BASE, ldap.SCOPE_SUBTREE, "(objectClass=user)", ["cn"])
    plain = sorted(attributes["cn"][0].decode() for _, attributes in plain)
    counts = {}
    for size in [1, 7, 50, len(plain), 1000]:
        for critical in [True, False]:
            names, counts[size] = paged(connection, size, critical)
            check(sorted(names) == plain, f"pages of {size} hold other users")
            wanted = -(-len(plain) // size)
            check(counts[size] == wanted, f"{counts[size]} pages of {size} instead of {wanted}")
    return counts


def logins(options):
    """Alice with her password, with another's, and somebody whom policies refuse."""
    alice = f"cn=alice,ou=users,{BASE}"
    who = bind(options, "alice").whoami_s()
    check(who.lower() == f"dn:{alice}".lower(), f"alice is {who}")
    for username, password, error in [("alice", "wrong", ldap.INVALID_CREDENTIALS), ("mallory", None, ldap.INSUFFICIENT_ACCESS)]:
        try:
            bind(options, username, password)
        except error:
            continue
        sys.exit(f"FAILED: {username} is let in")


def subschema(options):
    if options.transport == "start_tls":
        # The one for URLs binds in clear.
        return ldap.schema.SubSchema(connect(options).read_subschemasubentry_s("cn=subschema"))
    # Its own connection, whose authority is that of the process.
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, options.authority)
    ldap.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    name, parsed = ldap.schema.urlfetch(f"{options.uri}/cn=subschema")
    check(name == "cn=subschema" and parsed is not None, f"the subschema is {name}")
    return parsed


def schema(options):
    parsed = subschema(options)
    sub = connect(options).search_subschemasubentry_s("")
    check(sub == "cn=subschema", f"subschemaSubentry is {sub}")
    counts = {}
    for kind in [ldap.schema.AttributeType, ldap.schema.ObjectClass, ldap.schema.LDAPSyntax, ldap.schema.MatchingRule]:
        counts[kind.__name__] = len(parsed.listall(kind))
        check(counts[kind.__name__] > 3, f"{counts[kind.__name__]} of {kind.__name__}")
    for attribute in ["cn", "memberOf", "uidNumber", "ak-active", "pwdChangedTime", "entryUUID", "sAMAccountName"]:
        found = parsed.get_obj(ldap.schema.AttributeType, attribute)
        check(found is not None, f"{attribute} is not declared")
        syntax = parsed.get_obj(ldap.schema.LDAPSyntax, found.syntax)
        check(syntax is not None, f"the syntax {found.syntax} of {attribute} is not declared")
        rule = parsed.get_obj(ldap.schema.MatchingRule, found.equality)
        check(rule is not None, f"the rule {found.equality} of {attribute} is not declared")
    for name in parsed.listall(ldap.schema.ObjectClass):
        found = parsed.get_obj(ldap.schema.ObjectClass, name)
        for attribute in [*found.must, *found.may]:
            declared = parsed.get_obj(ldap.schema.AttributeType, attribute)
            check(declared is not None, f"{attribute} of {found.names} is not declared")
        for superior in found.sup:
            declared = parsed.get_obj(ldap.schema.ObjectClass, superior)
            check(declared is not None or superior == "top", f"{superior} above {found.names} is not declared")
    return counts


def entries_are_declared(connection, options):
    """Each class and each attribute of the generated users is in the schema."""
    parsed = subschema(options)
    found = connection.search_s(BASE, ldap.SCOPE_SUBTREE, "(cn=user000001)")
    check(len(found) == 2, f"{len(found)} entries of user000001")
    for name, attributes in found:
        classes = [value.decode() for value in attributes["objectClass"]]
        for object_class in classes:
            declared = parsed.get_obj(ldap.schema.ObjectClass, object_class)
            check(declared is not None, f"{object_class} of {name} is not declared")
        must, may = parsed.attribute_types(classes)
        allowed = {spelling.lower() for kind in [must, may] for attribute in kind.values() for spelling in attribute.names}
        unknown = [
            attribute
            for attribute in attributes
            if attribute.lower() not in allowed
            and parsed.get_obj(ldap.schema.AttributeType, attribute).usage == 0
        ]
        check(not unknown, f"{name} has {unknown}, which its classes do not allow")
        missing = [kind.names for kind in must.values() if not {n.lower() for n in kind.names} & {a.lower() for a in attributes}]
        check(not missing, f"{name} lacks {missing}, which its classes demand")
    return len(found)


def compares(connection):
    alice = f"cn=alice,ou=users,{BASE}"
    check(connection.compare_s(alice, "mail", b"ALICE@example.com"), "alice's mail does not compare")
    check(not connection.compare_s(alice, "mail", b"bob@example.com"), "bob's mail compares")
    try:
        connection.compare_s(f"cn=nobody,ou=users,{BASE}", "mail", b"x")
    except ldap.NO_SUCH_OBJECT as error:
        matched = error.args[0].get("matched", "")
        check(matched.lower() == f"ou=users,{BASE}".lower(), f"matched DN {matched}")
    else:
        sys.exit("FAILED: nobody is there")
    who = connection.whoami_s()
    check(who == f"dn:cn=ldapservice,ou=users,{BASE.lower()}", f"who am I: {who}")
    return who


def awkward_values(connection):
    found = connection.search_s(BASE, ldap.SCOPE_SUBTREE, ldap.filter.filter_format("(&(objectClass=group)(cn=%s))", ["Sales, EMEA"]))
    check(len(found) == 1, f"{len(found)} groups Sales, EMEA")
    name, attributes = found[0]
    check(ldap.dn.str2dn(name)[0][0][1] == "Sales, EMEA", f"the DN is {name}")
    for member in attributes["member"]:
        entries = connection.search_s(member.decode(), ldap.SCOPE_BASE, attrlist=["memberOf"])
        check(len(entries) == 1, f"{member} is not there")
        check(name.encode() in entries[0][1]["memberOf"], f"{member} does not know of {name}")
    return len(attributes["member"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("transport", choices=["clear", "ldaps", "start_tls"])
    parser.add_argument("authority", help="file of the authority to trust")
    options = parser.parse_args()
    connection = bind(options, "ldapservice")
    logins(options)
    report = {
        "pages": pages(connection),
        "schema": schema(options),
        "declared": entries_are_declared(connection, options),
        "who": compares(connection),
        "awkward": awkward_values(connection),
    }
    print(json.dumps(report), flush=True)


main()
