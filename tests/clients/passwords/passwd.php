<?php

declare(strict_types=1);

/*
 * Changes a password as PHP programs do. Arguments: URI, authority, bind DN, its password, "exop", "replace" or "fallback", the DN of
 * the user whose password it is, the old password or nothing, the new one. "fallback" is Nextcloud's way: the extended operation, and if that returns false
 * a replace. Prints the code of the last operation, which is the bind if that fails, and what the server says.
 */

[, $uri, $authority, $bindDn, $bindPassword, $way, $dn, $old, $new] = $argv;
ldap_set_option(null, LDAP_OPT_X_TLS_CACERTFILE, $authority);
$link = ldap_connect($uri);
ldap_set_option($link, LDAP_OPT_PROTOCOL_VERSION, 3);
if (!@ldap_bind($link, $bindDn, $bindPassword)) {
    ldap_get_option($link, LDAP_OPT_DIAGNOSTIC_MESSAGE, $text);
    echo ldap_errno($link), ' ', $text, "\n";
    exit(0);
}
$said = static function () use ($link): void {
    ldap_get_option($link, LDAP_OPT_DIAGNOSTIC_MESSAGE, $text);
    echo ldap_errno($link), ' ', $text, "\n";
};
if ($way !== 'replace') {
    $done = @ldap_exop_passwd($link, $dn, $old, $new);
    $said();
    if ($way === 'exop' || $done !== false) {
        exit(0);
    }
}
@ldap_mod_replace($link, $dn, ['userPassword' => $new]);
$said();
