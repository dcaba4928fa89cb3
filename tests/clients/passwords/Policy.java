import java.util.HexFormat;
import java.util.Hashtable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.naming.Context;
import javax.naming.NamingException;
import javax.naming.ldap.BasicControl;
import javax.naming.ldap.Control;
import javax.naming.ldap.ControlFactory;
import javax.naming.ldap.InitialLdapContext;
import javax.naming.ldap.LdapContext;

/**
 * Binds as Keycloak does and asks for the password policy control: a connection without a bind, then a bind by reconnecting, with the
 * control and without criticality. Arguments: URI, bind DN, its password, "none" or "empty" for the value of the control. Prints the
 * result code and the value of the control in the response in hexadecimal digits, or nothing where there is none.
 */
public final class Policy {
    private static final String OID = "1.3.6.1.4.1.42.2.27.8.5.1";

    /** Makes a control of what the server sent. */
    public static final class Factory extends ControlFactory {
        @Override
        public Control getControlInstance(Control control) {
            return OID.equals(control.getID()) ? control : null;
        }
    }

    public static void main(String[] arguments) throws NamingException {
        Hashtable<String, String> settings = new Hashtable<>();
        settings.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.ldap.LdapCtxFactory");
        settings.put(Context.PROVIDER_URL, arguments[0]);
        settings.put("com.sun.jndi.ldap.connect.pool", "false");
        settings.put(LdapContext.CONTROL_FACTORIES, Factory.class.getName());
        InitialLdapContext context = new InitialLdapContext(settings, null);
        context.addToEnvironment(Context.SECURITY_AUTHENTICATION, "simple");
        context.addToEnvironment(Context.SECURITY_PRINCIPAL, arguments[1]);
        context.addToEnvironment(Context.SECURITY_CREDENTIALS, arguments[2]);
        byte[] value = arguments[3].equals("empty") ? new byte[0] : null;
        String code = "0";
        try {
            context.reconnect(new Control[] {new BasicControl(OID, Control.NONCRITICAL, value)});
        } catch (NamingException exception) {
            Matcher said = Pattern.compile("error code (\\d+)").matcher(exception.getMessage());
            code = said.find() ? said.group(1) : "? " + exception;
        }
        StringBuilder told = new StringBuilder();
        Control[] controls = context.getResponseControls();
        for (Control control : controls == null ? new Control[0] : controls) {
            told.append(HexFormat.of().formatHex(control.getEncodedValue()));
        }
        System.out.println(code + " " + told);
        context.close();
    }
}
