// What programs written in Go ask with go-ldap: Grafana, Authelia, Vault, Gitea and many more. Prints one JSON object, or
// ends with a message. Arguments: the URI; clear, ldaps or start_tls; the file of the authority to trust.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

const base = "DC=ldap,DC=goauthentik,DC=io"

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func code(err error) int {
	if err == nil {
		return 0
	}
	if answer, ok := err.(*ldap.Error); ok {
		return int(answer.ResultCode)
	}
	return -1
}

func dial() *ldap.Conn {
	authority, err := os.ReadFile(os.Args[3])
	check(err, "authority")
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	trust := &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1"}
	connection, err := ldap.DialURL(os.Args[1], ldap.DialWithTLSConfig(trust))
	check(err, "dial")
	if os.Args[2] == "start_tls" {
		check(connection.StartTLS(trust), "StartTLS")
	}
	return connection
}

func service() *ldap.Conn {
	connection := dial()
	check(connection.Bind("cn=ldapservice,ou=users,"+base, "demo-ldapservice"), "bind")
	return connection
}

func request(where string, filter string, attributes ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(where, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil)
}

func names(entries []*ldap.Entry) []string {
	found := []string{}
	for _, entry := range entries {
		found = append(found, entry.GetAttributeValue("cn"))
	}
	sort.Strings(found)
	return found
}

// Grafana: several logins in one search, then a bind as the one who logs in, whose groups it compares with its settings.
func grafana() map[string]any {
	connection := service()
	defer connection.Close()
	one := func(login string) string {
		return fmt.Sprintf("(&(objectClass=user)(cn=%s))", ldap.EscapeFilter(login))
	}
	find := func(logins ...string) []*ldap.Entry {
		parts := ""
		for _, login := range logins {
			parts += one(login)
		}
		found, err := connection.Search(request("ou=users,"+base, "(|"+parts+")", "cn", "sn", "mail", "name", "memberOf"))
		check(err, "logins")
		return found.Entries
	}
	login := func(name string, password string) any {
		entries := find(name)
		if len(entries) != 1 {
			return "unknown"
		}
		user := dial()
		defer user.Close()
		return code(user.Bind(entries[0].DN, password))
	}
	alice := find("alice")[0]
	admin := false
	for _, group := range alice.GetAttributeValues("memberOf") {
		admin = admin || strings.EqualFold(group, "CN=backend,OU=groups,"+base)
	}
	groups, err := connection.Search(request("ou=groups,"+base, "(&(objectClass=groupOfNames)(member="+ldap.EscapeFilter(alice.DN)+"))", "cn"))
	check(err, "groups")
	return map[string]any{
		"several": names(find("alice", "bob", "nobody", "pat o'brien")),
		"mail":    alice.GetAttributeValue("mail"),
		"admin":   admin,
		"groups":  names(groups.Entries),
		"right":   login("alice", "demo-alice"),
		"comma":   login(`sales, "emea" + partners`, `demo-sales, "emea" + partners`),
		"wrong":   login("alice", "wrong"),
		"refused": login("mallory", "demo-mallory"),
		"star":    login("*", "demo-alice"),
	}
}

// Authelia: the root DSE first, a login by name or address, groups in a second search, and the change of a password, which
// only authentik can do.
func authelia() map[string]any {
	connection := dial()
	defer connection.Close()
	root, err := connection.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false,
		"(objectClass=*)", []string{"supportedLDAPVersion", "supportedExtension", "supportedControl", "supportedFeatures"}, nil))
	check(err, "root DSE")
	check(connection.Bind("cn=ldapservice,ou=users,"+base, "demo-ldapservice"), "bind")
	find := func(login string) []*ldap.Entry {
		filter := fmt.Sprintf("(&(|(cn=%[1]s)(mail=%[1]s))(objectClass=person))", ldap.EscapeFilter(login))
		search := request("ou=users,"+base, filter, "cn", "mail", "displayName", "memberOf")
		search.SizeLimit = 1
		found, err := connection.Search(search)
		check(err, "login")
		return found.Entries
	}
	who, err := connection.WhoAmI(nil)
	check(err, "who am I")
	member, err := connection.Compare("cn=backend,ou=groups,"+base, "member", "cn=alice,ou=users,"+base)
	check(err, "compare")
	_, change := connection.PasswordModify(ldap.NewPasswordModifyRequest("cn=alice,ou=users,"+base, "", "new password"))
	unauthenticated := dial()
	defer unauthenticated.Close()
	return map[string]any{
		"versions":        root.Entries[0].GetAttributeValues("supportedLDAPVersion"),
		"by mail":         find("bob@example.com")[0].GetAttributeValue("displayName"),
		"nobody":          len(find("nobody")),
		"injected":        len(find("alice)(cn=*")),
		"who":             who.AuthzID,
		"member":          member,
		"change":          code(change),
		"unauthenticated": code(unauthenticated.UnauthenticatedBind("cn=alice,ou=users," + base)),
	}
}

// Gitea and others: everybody, in pages; a list broken off; limits and errors.
func sync() map[string]any {
	connection := service()
	defer connection.Close()
	everybody, err := connection.SearchWithPaging(request("ou=users,"+base, "(objectClass=user)", "cn", "mail", "sshPublicKey"), 33)
	check(err, "pages")
	keys := 0
	for _, entry := range everybody.Entries {
		keys += len(entry.GetAttributeValues("sshPublicKey"))
	}
	limited := request(base, "(objectClass=user)", "cn")
	limited.SizeLimit = 5
	few, limit := connection.Search(limited)
	_, missing := connection.Search(request("ou=nowhere,"+base, "(objectClass=*)"))
	_, malformed := connection.Search(request("nonsense", "(objectClass=*)"))
	after, err := connection.Search(request(base, "(cn=alice)", "1.1"))
	check(err, "after errors")
	return map[string]any{
		"everybody": len(everybody.Entries),
		"keys":      keys,
		"limit":     []int{code(limit), len(few.Entries)},
		"missing":   code(missing),
		"malformed": code(malformed),
		"after":     len(after.Entries),
	}
}

func main() {
	report := map[string]any{"grafana": grafana(), "authelia": authelia(), "sync": sync()}
	check(json.NewEncoder(os.Stdout).Encode(report), "report")
}
