#!/bin/sh
# Connects Nextcloud to akldap; Nextcloud's image runs it once, after the installation. docs/nextcloud.md explains each setting.
set -eu

occ() {
    php /var/www/html/occ "$@"
}

base='DC=ldap,DC=goauthentik,DC=io'

# The settings are only worth testing once the directory is loaded.
until curl --fail --silent --output /dev/null "${READY:-http://akldap:9300/ready}"; do
    sleep 2
done

occ app:enable user_ldap
config=$(occ ldap:create-empty-config --only-print-prefix)
setting() {
    occ ldap:set-config "$config" "$1" "$2"
}

# Only in the network of the containers. Elsewhere: ldaps://, port 636, and a name that the
# certificate has.
setting ldapHost akldap
setting ldapPort 3389
setting ldapAgentName "cn=ldapservice,ou=users,$base"
setting ldapAgentPassword "$(cat "${TOKENS:-/tokens}/ldapservice")"
setting ldapBase "$base"
setting ldapBaseUsers "ou=users,$base"
setting ldapBaseGroups "ou=groups,$base"

member="(memberOf:1.2.840.113556.1.4.1941:=cn=nextcloud,ou=groups,$base)"
setting ldapUserFilter "(&(objectClass=user)$member)"
setting ldapLoginFilter "(&(objectClass=user)$member(|(cn=%uid)(mail=%uid)))"
setting ldapGroupFilter '(objectClass=groupOfNames)'
setting ldapGroupMemberAssocAttr member
setting hasMemberOfFilterSupport 1
setting useMemberOfToDetectMembership 1
setting ldapNestedGroups 1

setting ldapUserDisplayName displayName
setting ldapGroupDisplayName cn
setting ldapEmailAttribute mail
setting ldapAttributesForUserSearch 'displayName;cn;mail'
setting ldapExpertUsernameAttr cn
setting ldapQuotaAttribute nextcloud_quota
setting ldapUserAvatarRule default
setting ldapPagingSize 2000
setting ldapConfigurationActive 1

occ ldap:test-config "$config"
