"""Changes a password with python-ldap. Arguments: URI, authority, bind DN, its password, "exop" or "modify", the DN of the user whose password
it is, the old password or nothing, the new one or nothing. Prints the code, what the server says, and a generated password."""

import sys

import ldap
import ldap.modlist

uri, authority, bind_dn, bind_password, way, dn, old, new = sys.argv[1:9]
connection = ldap.initialize(uri)
connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
connection.set_option(ldap.OPT_X_TLS_CACERTFILE, authority)
connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
try:
    connection.simple_bind_s(bind_dn, bind_password)
    made = None
    if way == "exop":
        _, response = connection.passwd_s(dn, old or None, new or None, extract_newpw=not new)
        made = None if new else response.genPasswd
    else:
        changes = [(ldap.MOD_DELETE, "userPassword", [old.encode()]), (ldap.MOD_ADD, "userPassword", [new.encode()])]
        connection.modify_s(dn, changes)
    print(0, (made or b"").decode())
except ldap.LDAPError as error:
    print(error.args[0]["result"], error.args[0].get("info", ""))
