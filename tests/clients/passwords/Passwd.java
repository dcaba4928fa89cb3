import java.nio.charset.StandardCharsets;
import java.util.Hashtable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.naming.Context;
import javax.naming.NamingException;
import javax.naming.directory.BasicAttribute;
import javax.naming.directory.DirContext;
import javax.naming.directory.ModificationItem;
import javax.naming.ldap.InitialLdapContext;

/**
 * Changes a password as Java programs do, by a modify. Arguments: URI, bind DN, its password, the DN of the user whose password it is, the
 * old password or nothing, the new one. Prints the code and what the server says.
 */
public final class Passwd {
    public static void main(String[] arguments) {
        Hashtable<String, String> settings = new Hashtable<>();
        settings.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.ldap.LdapCtxFactory");
        settings.put(Context.PROVIDER_URL, arguments[0]);
        settings.put(Context.SECURITY_AUTHENTICATION, "simple");
        settings.put(Context.SECURITY_PRINCIPAL, arguments[1]);
        settings.put(Context.SECURITY_CREDENTIALS, arguments[2]);
        byte[] password = arguments[5].getBytes(StandardCharsets.UTF_8);
        byte[] old = arguments[4].getBytes(StandardCharsets.UTF_8);
        ModificationItem[] changes = old.length == 0
            ? new ModificationItem[] {change(DirContext.REPLACE_ATTRIBUTE, password)}
            : new ModificationItem[] {change(DirContext.REMOVE_ATTRIBUTE, old), change(DirContext.ADD_ATTRIBUTE, password)};
        try {
            InitialLdapContext context = new InitialLdapContext(settings, null);
            context.modifyAttributes(arguments[3], changes);
            System.out.println("0 ");
            context.close();
        } catch (NamingException exception) {
            Matcher said = Pattern.compile("error code (\\d+) - (.*?)\\](;|$)").matcher(exception.getMessage());
            System.out.println(said.find() ? said.group(1) + " " + said.group(2) : "? " + exception);
        }
    }

    private static ModificationItem change(int kind, byte[] value) {
        return new ModificationItem(kind, new BasicAttribute("userPassword", value));
    }
}
