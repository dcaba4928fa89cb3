import com.unboundid.ldap.sdk.ExtendedResult;
import com.unboundid.ldap.sdk.LDAPConnection;
import com.unboundid.ldap.sdk.LDAPConnectionOptions;
import com.unboundid.ldap.sdk.LDAPException;
import com.unboundid.ldap.sdk.ResultCode;
import com.unboundid.ldap.sdk.extensions.StartTLSExtendedRequest;
import com.unboundid.ldap.sdk.schema.AttributeTypeDefinition;
import com.unboundid.ldap.sdk.schema.EntryValidator;
import com.unboundid.ldap.sdk.schema.ObjectClassDefinition;
import com.unboundid.ldap.sdk.schema.Schema;
import com.unboundid.ldap.sdk.schema.SchemaElementType;
import com.unboundid.ldap.sdk.schema.SchemaValidator;
import com.unboundid.util.ssl.HostNameSSLSocketVerifier;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Hashtable;
import java.util.List;
import java.util.TreeMap;
import javax.naming.Context;
import javax.naming.NameClassPair;
import javax.naming.NameNotFoundException;
import javax.naming.NamingEnumeration;
import javax.naming.NamingException;
import javax.naming.directory.DirContext;
import javax.naming.ldap.InitialLdapContext;
import javax.naming.ldap.LdapContext;
import javax.naming.ldap.StartTlsRequest;
import javax.naming.ldap.StartTlsResponse;
import javax.net.SocketFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import org.apache.directory.api.ldap.model.cursor.EntryCursor;
import org.apache.directory.api.ldap.model.entry.Entry;
import org.apache.directory.api.ldap.model.message.SearchScope;
import org.apache.directory.api.ldap.model.schema.SchemaManager;
import org.apache.directory.ldap.client.api.LdapConnectionConfig;
import org.apache.directory.ldap.client.api.LdapNetworkConnection;

/**
 * Loads the schema with Apache's LDAP API, UnboundID's SDK and JNDI, and asks each what it then knows. Prints a line of JSON.
 * Arguments: the URI; clear, ldaps or start_tls. The authority to trust is that of Java's own options.
 */
public final class SchemaReader {
    private static final String BASE = "DC=ldap,DC=goauthentik,DC=io";
    private static final String SERVICE = "cn=ldapservice,ou=users," + BASE;
    private static final String PASSWORD = "demo-ldapservice";
    private static final String[] CUSTOM = {"nextcloud_quota", "2fa", "-x", "with-space"};
    private static final String USER_CLASS = "goauthentik.io/ldap/user";
    private static final String[] MULTIPLE = {"mobile", "cn"};

    private static String transport;

    private static String text(Object value) {
        return "\"" + String.valueOf(value).replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + "\"";
    }

    private static String list(Iterable<?> values) {
        List<String> texts = new ArrayList<>();
        values.forEach(value -> texts.add(text(value)));
        return "[" + String.join(",", texts) + "]";
    }

    /** Apache's LDAP API in its strict mode: the class of users, and how many there are. */
    private static String strict(URI uri) throws Exception {
        try (LdapNetworkConnection connection = new LdapNetworkConnection(uri.getHost(), uri.getPort())) {
            connection.bind(SERVICE, PASSWORD);
            connection.loadSchema();
            int users = 0;
            try (EntryCursor cursor = connection.search(BASE, "(objectClass=*)", SearchScope.SUBTREE, "*", "+")) {
                while (cursor.next()) {
                    users += cursor.get().hasObjectClass(USER_CLASS) ? 1 : 0;
                }
            }
            String declared = connection.getSchemaManager().lookupObjectClassRegistry("1.3.6.1.4.1.26027.1.1.1").getName();
            return "[" + text(declared) + "," + users + "]";
        }
    }

    /** Apache's LDAP API, as Apache Directory Studio uses it. */
    private static String apache(URI uri) throws Exception {
        LdapConnectionConfig config = new LdapConnectionConfig();
        config.setLdapHost(uri.getHost());
        config.setLdapPort(uri.getPort());
        config.setUseSsl(transport.equals("ldaps"));
        config.setUseTls(transport.equals("start_tls"));
        try (LdapNetworkConnection connection = new LdapNetworkConnection(config)) {
            connection.bind(SERVICE, PASSWORD);
            connection.loadSchemaRelaxed();
            SchemaManager schema = connection.getSchemaManager();
            List<String> found = new ArrayList<>();
            for (String name : CUSTOM) {
                found.add(schema.lookupAttributeTypeRegistry(name).getName());
            }
            List<String> single = new ArrayList<>();
            for (String name : MULTIPLE) {
                single.add(name + " " + schema.lookupAttributeTypeRegistry(name).isSingleValued());
            }
            String declared = schema.lookupObjectClassRegistry("1.3.6.1.4.1.26027.1.1.1").getName();
            List<String> quotas = new ArrayList<>();
            try (EntryCursor cursor = connection.search(BASE, "(&(objectClass=user)(cn=alice))", SearchScope.SUBTREE, "nextcloud_quota", "mobile")) {
                while (cursor.next()) {
                    Entry entry = cursor.get();
                    quotas.add(entry.get("nextcloud_quota").getString() + ", " + entry.get("mobile").size());
                }
            }
            List<String> errors = new ArrayList<>();
            schema.getErrors().forEach(error -> errors.add(String.valueOf(error)));
            return "{\"custom\":" + list(found) + ",\"single\":" + list(single) + ",\"class\":" + text(declared) + ",\"entries\":"
                + list(quotas) + ",\"errors\":" + list(errors) + "}";
        }
    }

    private static String unboundid(URI uri) throws Exception {
        SocketFactory sockets = transport.equals("ldaps") ? SSLSocketFactory.getDefault() : SocketFactory.getDefault();
        LDAPConnectionOptions options = new LDAPConnectionOptions();
        options.setSSLSocketVerifier(new HostNameSSLSocketVerifier(true));
        try (LDAPConnection connection = new LDAPConnection(sockets, options, uri.getHost(), uri.getPort())) {
            if (transport.equals("start_tls")) {
                ExtendedResult result = connection.processExtendedOperation(new StartTLSExtendedRequest(SSLContext.getDefault()));
                if (result.getResultCode() != ResultCode.SUCCESS) {
                    throw new LDAPException(result);
                }
            }
            connection.bind(SERVICE, PASSWORD);
            // Throws for what it cannot read.
            Schema schema = Schema.getSchema(connection, "", true);
            List<String> found = new ArrayList<>();
            for (String name : CUSTOM) {
                AttributeTypeDefinition type = schema.getAttributeType(name);
                found.add(type == null ? "missing" : type.getNameOrOID());
            }
            List<String> single = new ArrayList<>();
            for (String name : MULTIPLE) {
                single.add(name + " " + schema.getAttributeType(name).isSingleValued());
            }
            ObjectClassDefinition declared = schema.getObjectClass("1.3.6.1.4.1.26027.1.1.1");
            // The strictest there is: it looks for what RFC 4512 forbids.
            File file = File.createTempFile("schema", ".ldif");
            List<String> complaints = new ArrayList<>();
            try {
                Files.writeString(file.toPath(), schema.getSchemaEntry().toLDIFString());
                SchemaValidator validator = new SchemaValidator();
                validator.setAllowNamesWithUnderscore(true);
                validator.setAllowNamesWithInitialDigit(true);
                validator.setAllowNamesWithInitialHyphen(true);
                validator.setAllowedSchemaElementTypes(
                    SchemaElementType.ATTRIBUTE_SYNTAX,
                    SchemaElementType.MATCHING_RULE,
                    SchemaElementType.MATCHING_RULE_USE,
                    SchemaElementType.ATTRIBUTE_TYPE,
                    SchemaElementType.OBJECT_CLASS,
                    SchemaElementType.DIT_CONTENT_RULE);
                validator.setAllowMultipleEntriesPerFile(false);
                validator.setAllowEmptyDescription(false);
                validator.validateSchema(file, null, complaints);
                // It takes no number beyond 32 bits in an OID, as those made of UUIDs have (ITU-T X.667).
                complaints.removeIf(complaint -> complaint.contains("is out of range for a 32-bit integer"));
            } finally {
                file.delete();
            }
            EntryValidator entries = new EntryValidator(schema);
            // It does not find classes by what a definition says about them, and groups have no `top`, as in the official outpost.
            entries.setCheckUndefinedObjectClasses(false);
            entries.setCheckMissingSuperiorObjectClasses(false);
            int valid = 0;
            for (com.unboundid.ldap.sdk.Entry entry : connection.search(BASE, com.unboundid.ldap.sdk.SearchScope.SUB, "(objectClass=person)", "*", "+").getSearchEntries()) {
                valid += entries.entryIsValid(entry, complaints) ? 1 : 0;
            }
            for (com.unboundid.ldap.sdk.Entry entry : connection.search(BASE, com.unboundid.ldap.sdk.SearchScope.SUB, "(!(objectClass=person))", "*", "+").getSearchEntries()) {
                entries.entryIsValid(entry, complaints);
            }
            // Served so by default, and declared under its legal spelling.
            complaints.removeIf(complaint -> complaint.contains(" with space "));
            return "{\"custom\":" + list(found) + ",\"single\":" + list(single) + ",\"class\":" + text(declared.getNameOrOID())
                + ",\"valid\":" + valid + ",\"complaints\":" + list(complaints) + "}";
        }
    }

    private static DirContext connect(URI uri) throws NamingException, IOException {
        Hashtable<String, String> settings = new Hashtable<>();
        settings.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.ldap.LdapCtxFactory");
        settings.put(Context.PROVIDER_URL, uri.toString());
        LdapContext context = new InitialLdapContext(settings, null);
        if (transport.equals("start_tls")) {
            ((StartTlsResponse) context.extendedOperation(new StartTlsRequest())).negotiate();
        }
        // Binds with the next request, or now.
        context.addToEnvironment(Context.SECURITY_AUTHENTICATION, "simple");
        context.addToEnvironment(Context.SECURITY_PRINCIPAL, SERVICE);
        context.addToEnvironment(Context.SECURITY_CREDENTIALS, PASSWORD);
        context.reconnect(null);
        return context;
    }

    private static List<String> names(NamingEnumeration<NameClassPair> found) throws NamingException {
        List<String> names = new ArrayList<>();
        while (found.hasMore()) {
            names.add(found.next().getName());
        }
        return names;
    }

    private static String jndi(URI uri) throws NamingException, IOException {
        DirContext context = connect(uri);
        DirContext schema = context.getSchema("");
        List<String> found = new ArrayList<>();
        for (String name : CUSTOM) {
            found.add(String.valueOf(schema.getAttributes("AttributeDefinition/" + name).get("NAME").get()));
        }
        List<String> single = new ArrayList<>();
        for (String name : MULTIPLE) {
            single.add(name + " " + (schema.getAttributes("AttributeDefinition/" + name).get("SINGLE-VALUE") != null));
        }
        String declared = String.valueOf(schema.getAttributes("ClassDefinition/goauthentik-io-ldap-user").get("NUMERICOID").get());
        TreeMap<String, String> definitions = new TreeMap<>();
        for (String name : new String[] {"ou=users," + BASE, BASE}) {
            definitions.put(name.split("[=,]")[1], list(names(context.getSchemaClassDefinition(name).list(""))));
        }
        // It takes a class with slashes for a path, whatever is declared, so such an entry must be asked class by class.
        for (String name : new String[] {"cn=alice,ou=users," + BASE, "cn=backend,ou=groups," + BASE}) {
            String key = name.split("[=,]")[1];
            try {
                definitions.put(key, list(names(context.getSchemaClassDefinition(name).list(""))));
            } catch (NameNotFoundException expected) {
                List<String> classes = new ArrayList<>();
                NamingEnumeration<?> values = context.getAttributes(name, new String[] {"objectClass"}).get("objectClass").getAll();
                while (values.hasMore()) {
                    String descriptor = String.valueOf(values.next()).replace('.', '-').replace('/', '-');
                    schema.lookup("ClassDefinition/" + descriptor);
                    classes.add(descriptor);
                }
                definitions.put(key, list(classes));
            }
        }
        List<String> members = new ArrayList<>();
        definitions.forEach((name, value) -> members.add(text(name) + ":" + value));
        context.close();
        return "{\"custom\":" + list(found) + ",\"single\":" + list(single) + ",\"class\":" + text(declared) + ",\"definitions\":{"
            + String.join(",", members) + "}}";
    }

    public static void main(String[] arguments) throws Exception {
        URI uri = new URI(arguments[0]);
        transport = arguments[1];
        // Threads of the libraries would outlive a failure.
        try {
            System.out.println("{\"apache\":" + apache(uri) + ",\"strict\":" + strict(new URI(arguments[3])) + ",\"unboundid\":" + unboundid(uri) + ",\"jndi\":" + jndi(uri) + "}");
        } catch (Exception failure) {
            failure.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }
}
