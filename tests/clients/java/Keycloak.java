import java.io.IOException;
import java.util.ArrayList;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import javax.naming.AuthenticationException;
import javax.naming.Context;
import javax.naming.NameNotFoundException;
import javax.naming.NamingEnumeration;
import javax.naming.NamingException;
import javax.naming.NoPermissionException;
import javax.naming.SizeLimitExceededException;
import javax.naming.directory.Attribute;
import javax.naming.directory.Attributes;
import javax.naming.directory.SearchControls;
import javax.naming.directory.SearchResult;
import javax.naming.ldap.Control;
import javax.naming.ldap.InitialLdapContext;
import javax.naming.ldap.LdapContext;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.PagedResultsControl;
import javax.naming.ldap.PagedResultsResponseControl;
import javax.naming.ldap.StartTlsRequest;
import javax.naming.ldap.StartTlsResponse;

/**
 * What Keycloak and Jenkins ask, with JNDI: Keycloak's full sync in critical pages, its look-ups and its sync of what changed since;
 * Jenkins' root, logins and groups. Prints a line of JSON, waits for a line, and prints what changed as another. Arguments: the URI;
 * clear, ldaps or start_tls. The authority to trust is that of Java's own options.
 */
public final class Keycloak {
    private static final String BASE = "DC=ldap,DC=goauthentik,DC=io";
    private static final String USERS = "ou=users," + BASE;
    private static final String GROUPS = "ou=groups," + BASE;
    private static final String PEOPLE = "(objectclass=inetOrgPerson)(objectclass=organizationalPerson)";
    private static String uri;
    private static boolean startTls;

    private static LdapContext connect(String dn, String password, Control... controls) throws NamingException, IOException {
        Hashtable<String, String> settings = new Hashtable<>();
        settings.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.ldap.LdapCtxFactory");
        settings.put(Context.PROVIDER_URL, uri);
        settings.put("com.sun.jndi.ldap.read.timeout", "20000");
        Hashtable<String, String> login = new Hashtable<>();
        if (dn != null) {
            login.put(Context.SECURITY_AUTHENTICATION, "simple");
            login.put(Context.SECURITY_PRINCIPAL, dn);
            login.put(Context.SECURITY_CREDENTIALS, password);
        }
        Control[] asked = controls.length == 0 ? null : controls;
        if (!startTls) {
            settings.putAll(login);
            return new InitialLdapContext(settings, asked);
        }
        // The bind must wait until TLS has begun.
        LdapContext context = new InitialLdapContext(settings, asked);
        ((StartTlsResponse) context.extendedOperation(new StartTlsRequest())).negotiate();
        for (Map.Entry<String, String> setting : login.entrySet()) {
            context.addToEnvironment(setting.getKey(), setting.getValue());
        }
        context.reconnect(asked);
        return context;
    }

    private static LdapContext service() throws NamingException, IOException {
        return connect("cn=ldapservice," + USERS, "demo-ldapservice");
    }

    private static SearchControls controls(int scope, long limit, String... attributes) {
        return new SearchControls(scope, limit, 0, attributes, false, false);
    }

    private static List<SearchResult> search(LdapContext context, String base, String filter, String... attributes) throws NamingException {
        return all(context.search(base, filter, controls(SearchControls.SUBTREE_SCOPE, 0, attributes)));
    }

    private static List<SearchResult> all(NamingEnumeration<SearchResult> found) throws NamingException {
        List<SearchResult> results = new ArrayList<>();
        while (found.hasMore()) {
            results.add(found.next());
        }
        return results;
    }

    private static String value(SearchResult result, String name) throws NamingException {
        Attribute attribute = result.getAttributes().get(name);
        return attribute == null ? null : String.valueOf(attribute.get());
    }

    private static TreeSet<String> values(List<SearchResult> results, String name) throws NamingException {
        TreeSet<String> found = new TreeSet<>();
        for (SearchResult result : results) {
            found.add(String.valueOf(value(result, name)));
        }
        return found;
    }

    private static String json(Object value) {
        if (value instanceof Iterable<?> values) {
            List<String> parts = new ArrayList<>();
            values.forEach(part -> parts.add(json(part)));
            return "[" + String.join(",", parts) + "]";
        }
        if (value instanceof String text) {
            return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
        }
        return String.valueOf(value);
    }

    /** Names and values in turn. */
    private static String object(Object... parts) {
        List<String> members = new ArrayList<>();
        for (int index = 0; index < parts.length; index += 2) {
            members.add(json(parts[index]) + ":" + (parts[index + 1] instanceof StringBuilder raw ? raw : json(parts[index + 1])));
        }
        return "{" + String.join(",", members) + "}";
    }

    /** All users in pages that the server must honour, as a sync reads them. */
    private static List<SearchResult> sync(LdapContext context, String filter, int size, int[] pages) throws Exception {
        List<SearchResult> results = new ArrayList<>();
        byte[] cookie = null;
        do {
            context.setRequestControls(new Control[] {new PagedResultsControl(size, cookie, Control.CRITICAL)});
            results.addAll(search(context, USERS, filter, "cn", "mail", "sn", "entryUUID", "createTimestamp", "modifyTimestamp", "memberOf"));
            pages[0]++;
            cookie = null;
            for (Control control : context.getResponseControls()) {
                if (control instanceof PagedResultsResponseControl page) {
                    cookie = page.getCookie();
                }
            }
        } while (cookie != null);
        context.setRequestControls(null);
        return results;
    }

    private static String login(String dn, String password) {
        try {
            connect(dn, password).close();
            return "in";
        } catch (AuthenticationException refused) {
            return "wrong";
        } catch (NoPermissionException refused) {
            return "refused";
        } catch (NamingException | IOException other) {
            return other.toString();
        }
    }

    private static String keycloak(LdapContext context) throws Exception {
        int[] pages = {0};
        List<SearchResult> users = sync(context, "(&" + PEOPLE + ")", 64, pages);
        SearchResult alice = null;
        for (SearchResult user : users) {
            if ("alice".equals(value(user, "cn"))) {
                alice = user;
            }
        }
        String uuid = value(alice, "entryUUID");
        List<SearchResult> again = search(context, USERS, "(&(objectClass=*)(entryUUID=" + uuid + "))", "cn");
        String dn = alice.getNameInNamespace();
        List<SearchResult> groups = search(context, GROUPS, "(&(member=" + dn + ")(objectclass=groupOfNames))", "cn", "entryUUID");
        List<SearchResult> all = search(context, GROUPS, "(member:1.2.840.113556.1.4.1941:=" + dn + ")", "cn");
        Attributes root = context.getAttributes("", new String[] {"supportedControl", "supportedExtension", "supportedFeatures"});
        return object(
                "users", users.size(),
                "pages", pages[0],
                "uuids", values(users, "entryUUID").size(),
                "without times", search(context, USERS, "(&" + PEOPLE + "(!(&(createTimestamp=*)(modifyTimestamp=*))))", "cn").size(),
                "again", values(again, "cn"),
                "groups", values(groups, "cn"),
                "all groups", values(all, "cn"),
                "lists", root.get("supportedControl").contains("1.2.840.113556.1.4.319") && root.get("supportedExtension").contains("1.3.6.1.4.1.4203.1.11.3"),
                "logins", new StringBuilder(object(
                        "right", login(dn, "demo-alice"),
                        "wrong", login(dn, "wrong"),
                        "inactive", login("cn=inactive," + USERS, "demo-inactive"),
                        "mallory", login("cn=mallory," + USERS, "demo-mallory"))));
    }

    /** Jenkins: the root from the root DSE without credentials, one person by name, groups by member, names that are not there. */
    private static String jenkins() throws Exception {
        LdapContext anonymous = connect(null, null);
        String context = String.valueOf(anonymous.getAttributes("", new String[] {"namingContexts", "defaultNamingContext"}).get("namingContexts").get());
        anonymous.close();
        LdapContext manager = service();
        SearchResult person = all(manager.search(context, "(&(objectClass=user)(cn={0}))", new Object[] {"pat o'brien"},
                controls(SearchControls.SUBTREE_SCOPE, 0, (String[]) null))).get(0);
        List<SearchResult> groups = all(manager.search(GROUPS, "(|(member={0})(uniqueMember={0})(memberUid={1}))",
                new Object[] {person.getNameInNamespace(), "pat o'brien"}, controls(SearchControls.SUBTREE_SCOPE, 0, "cn")));
        List<SearchResult> group = all(manager.search(GROUPS,
                "(&(cn={0})(|(objectclass=groupOfNames)(objectclass=groupOfUniqueNames)(objectclass=posixGroup)))",
                new Object[] {"Sales, EMEA"}, controls(SearchControls.SUBTREE_SCOPE, 0, "cn")));
        String comma = group.get(0).getNameInNamespace();
        String read = String.valueOf(manager.getAttributes(new LdapName(comma), new String[] {"cn"}).get("cn").get());
        boolean missing = false;
        try {
            manager.lookup("cn=nobody," + USERS);
        } catch (NameNotFoundException absent) {
            missing = true;
        }
        int entries = 0;
        boolean limited = false;
        NamingEnumeration<SearchResult> few = manager.search(USERS, "(objectClass=user)", controls(SearchControls.ONELEVEL_SCOPE, 3, "cn"));
        try {
            while (few.hasMore()) {
                few.next();
                entries++;
            }
        } catch (SizeLimitExceededException limit) {
            limited = true;
        }
        // The rest is not read: JNDI abandons such a search, and the connection must stay usable.
        NamingEnumeration<SearchResult> left = manager.search(USERS, "(objectClass=user)", controls(SearchControls.ONELEVEL_SCOPE, 0, "cn"));
        left.next();
        left.close();
        int after = search(manager, USERS, "(cn=*)", "cn").size();
        int star = all(manager.search(USERS, "(cn={0})", new Object[] {"*"}, controls(SearchControls.SUBTREE_SCOPE, 0, "cn"))).size();
        manager.close();
        return object("root", context, "groups", values(groups, "cn"), "comma", comma, "read", read, "missing", missing,
                "limited", limited, "entries", entries, "after", after, "star", star);
    }

    public static void main(String[] arguments) throws Exception {
        uri = arguments[0];
        startTls = arguments[1].equals("start_tls");
        LdapContext context = service();
        String newest = values(search(context, USERS, "(objectClass=user)", "modifyTimestamp"), "modifyTimestamp").last();
        System.out.println(object("keycloak", new StringBuilder(keycloak(context)), "jenkins", new StringBuilder(jenkins()), "newest", newest));
        System.in.read();
        // Keycloak writes the time of its last sync with a fraction.
        String since = newest.substring(0, 14) + ".0Z";
        String filter = "(&(|(createTimestamp>=" + since + ")(modifyTimestamp>=" + since + "))" + PEOPLE + ")";
        List<SearchResult> changed = sync(context, filter, 64, new int[] {0});
        List<SearchResult> everything = search(context, USERS, "(objectClass=user)", "cn");
        TreeSet<String> names = values(changed, "cn");
        TreeSet<String> mails = new TreeSet<>();
        for (SearchResult user : changed) {
            if ("bob".equals(value(user, "cn"))) {
                mails.add(value(user, "mail"));
            }
        }
        System.out.println(object("changed", names, "mail", mails, "everything", everything.size()));
        context.close();
    }
}
