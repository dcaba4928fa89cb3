//! The attribute types: names, OIDs, syntaxes.
//!
//! An attribute is single-valued if it has one value by nature, or if the server gives every user or group one value of
//! it, as authentik's own outpost declares it: schema-aware clients such as Python's ldap3 return a scalar or a list
//! accordingly. Whatever admins add is multi-valued. If an entry nevertheless has several values of a single-valued
//! attribute, the subschema declares it multi-valued.

use super::definition::{AttributeType, AttributeTypeId, Syntax, Usage};

/// The attribute types in the order in which the subschema lists them.
#[rustfmt::skip]
pub const ATTRIBUTE_TYPES: &[AttributeType] = &numbered([
    // RFC 4512
    many("objectClass", "objectclass", &[], "2.5.4.0", Syntax::Oid),
    one("createTimestamp", "createtimestamp", &[], "2.5.18.1", Syntax::GeneralizedTime).operational(),
    one("modifyTimestamp", "modifytimestamp", &[], "2.5.18.2", Syntax::GeneralizedTime).operational(),
    one("subschemaSubentry", "subschemasubentry", &[], "2.5.18.10", Syntax::DistinguishedName).operational(),
    one("structuralObjectClass", "structuralobjectclass", &[], "2.5.21.9", Syntax::Oid).operational(),
    many("objectClasses", "objectclasses", &[], "2.5.21.6", Syntax::ObjectClassDescription).operational(),
    many("attributeTypes", "attributetypes", &[], "2.5.21.5", Syntax::AttributeTypeDescription).operational(),
    many("matchingRules", "matchingrules", &[], "2.5.21.4", Syntax::MatchingRuleDescription).operational(),
    many("matchingRuleUse", "matchingruleuse", &[], "2.5.21.8", Syntax::MatchingRuleUseDescription).operational(),
    many("ldapSyntaxes", "ldapsyntaxes", &[], "1.3.6.1.4.1.1466.101.120.16", Syntax::LdapSyntaxDescription).operational(),
    many("dITContentRules", "ditcontentrules", &[], "2.5.21.2", Syntax::DitContentRuleDescription).operational(),
    many("namingContexts", "namingcontexts", &[], "1.3.6.1.4.1.1466.101.120.5", Syntax::DistinguishedName).root(),
    many("altServer", "altserver", &[], "1.3.6.1.4.1.1466.101.120.6", Syntax::Ia5String).root(),
    many("supportedExtension", "supportedextension", &[], "1.3.6.1.4.1.1466.101.120.7", Syntax::Oid).root(),
    many("supportedControl", "supportedcontrol", &[], "1.3.6.1.4.1.1466.101.120.13", Syntax::Oid).root(),
    many("supportedSASLMechanisms", "supportedsaslmechanisms", &[], "1.3.6.1.4.1.1466.101.120.14", Syntax::DirectoryString).root(),
    many("supportedLDAPVersion", "supportedldapversion", &[], "1.3.6.1.4.1.1466.101.120.15", Syntax::Integer).root(),
    many("supportedFeatures", "supportedfeatures", &[], "1.3.6.1.4.1.4203.1.3.5", Syntax::Oid).root(),
    // RFC 3045
    one("vendorName", "vendorname", &[], "1.3.6.1.1.4", Syntax::DirectoryString).root(),
    one("vendorVersion", "vendorversion", &[], "1.3.6.1.1.5", Syntax::DirectoryString).root(),
    // RFC 4530, RFC 5020, X.501
    one("entryUUID", "entryuuid", &[], "1.3.6.1.1.16.4", Syntax::Uuid).operational(),
    one("entryDN", "entrydn", &[], "1.3.6.1.1.20", Syntax::DistinguishedName).operational(),
    one("hasSubordinates", "hassubordinates", &[], "2.5.18.9", Syntax::Boolean).operational(),
    // Sun and 389 Directory Server
    one("numSubordinates", "numsubordinates", &[], "1.3.1.1.4.1.453.16.2.103", Syntax::Integer).operational(),
    one("pwdChangedTime", "pwdchangedtime", &[], "1.3.6.1.4.1.42.2.27.8.1.16", Syntax::GeneralizedTime).operational(),
    // RFC 4519
    one("cn", "cn", &["commonName"], "2.5.4.3", Syntax::AccountName),
    one("sn", "sn", &["surname"], "2.5.4.4", Syntax::DirectoryString),
    one("c", "c", &["countryName"], "2.5.4.6", Syntax::DirectoryString),
    many("l", "l", &["localityName"], "2.5.4.7", Syntax::DirectoryString),
    many("st", "st", &["stateOrProvinceName"], "2.5.4.8", Syntax::DirectoryString),
    many("street", "street", &["streetAddress"], "2.5.4.9", Syntax::DirectoryString),
    many("o", "o", &["organizationName"], "2.5.4.10", Syntax::DirectoryString),
    many("ou", "ou", &["organizationalUnitName"], "2.5.4.11", Syntax::DirectoryString),
    many("title", "title", &[], "2.5.4.12", Syntax::DirectoryString),
    many("description", "description", &[], "2.5.4.13", Syntax::DirectoryString),
    many("postalCode", "postalcode", &[], "2.5.4.17", Syntax::DirectoryString),
    many("telephoneNumber", "telephonenumber", &[], "2.5.4.20", Syntax::TelephoneNumber),
    many("member", "member", &[], "2.5.4.31", Syntax::DistinguishedName),
    many("owner", "owner", &[], "2.5.4.32", Syntax::DistinguishedName),
    many("roleOccupant", "roleoccupant", &[], "2.5.4.33", Syntax::DistinguishedName),
    many("seeAlso", "seealso", &[], "2.5.4.34", Syntax::DistinguishedName),
    many("facsimileTelephoneNumber", "facsimiletelephonenumber", &["fax"], "2.5.4.23", Syntax::TelephoneNumber),
    many("internationalISDNNumber", "internationalisdnnumber", &[], "2.5.4.25", Syntax::TelephoneNumber),
    one("name", "name", &[], "2.5.4.41", Syntax::DirectoryString),
    many("givenName", "givenname", &["gn"], "2.5.4.42", Syntax::DirectoryString),
    many("initials", "initials", &[], "2.5.4.43", Syntax::DirectoryString),
    many("distinguishedName", "distinguishedname", &[], "2.5.4.49", Syntax::DistinguishedName),
    many("uniqueMember", "uniquemember", &[], "2.5.4.50", Syntax::NameAndOptionalUid),
    one("uid", "uid", &["userid"], "0.9.2342.19200300.100.1.1", Syntax::AccountName),
    many("dc", "dc", &["domainComponent"], "0.9.2342.19200300.100.1.25", Syntax::Ia5String),
    // RFC 4524
    one("mail", "mail", &["rfc822Mailbox"], "0.9.2342.19200300.100.1.3", Syntax::DirectoryString),
    many("mobile", "mobile", &["mobileTelephoneNumber"], "0.9.2342.19200300.100.1.41", Syntax::TelephoneNumber),
    many("homePhone", "homephone", &["homeTelephoneNumber"], "0.9.2342.19200300.100.1.20", Syntax::TelephoneNumber),
    many("manager", "manager", &[], "0.9.2342.19200300.100.1.10", Syntax::DistinguishedName),
    many("secretary", "secretary", &[], "0.9.2342.19200300.100.1.21", Syntax::DistinguishedName),
    many("documentAuthor", "documentauthor", &[], "0.9.2342.19200300.100.1.14", Syntax::DistinguishedName),
    many("associatedName", "associatedname", &[], "0.9.2342.19200300.100.1.38", Syntax::DistinguishedName),
    many("pager", "pager", &["pagerTelephoneNumber"], "0.9.2342.19200300.100.1.42", Syntax::TelephoneNumber),
    // RFC 2798
    one("displayName", "displayname", &[], "2.16.840.1.113730.3.1.241", Syntax::DirectoryString),
    many("employeeNumber", "employeenumber", &[], "2.16.840.1.113730.3.1.3", Syntax::DirectoryString),
    many("employeeType", "employeetype", &[], "2.16.840.1.113730.3.1.4", Syntax::DirectoryString),
    many("preferredLanguage", "preferredlanguage", &[], "2.16.840.1.113730.3.1.39", Syntax::DirectoryString),
    many("jpegPhoto", "jpegphoto", &[], "0.9.2342.19200300.100.1.60", Syntax::OctetString),
    // RFC 2307; strings may hold more than IA5 here, because authentik's names may.
    one("uidNumber", "uidnumber", &[], "1.3.6.1.1.1.1.0", Syntax::Integer),
    one("gidNumber", "gidnumber", &[], "1.3.6.1.1.1.1.1", Syntax::Integer),
    many("gecos", "gecos", &[], "1.3.6.1.1.1.1.2", Syntax::DirectoryString),
    one("homeDirectory", "homedirectory", &[], "1.3.6.1.1.1.1.3", Syntax::DirectoryString),
    many("loginShell", "loginshell", &[], "1.3.6.1.1.1.1.4", Syntax::DirectoryString),
    many("memberUid", "memberuid", &[], "1.3.6.1.1.1.1.12", Syntax::AccountName),
    // Active Directory
    many("memberOf", "memberof", &[], "1.2.840.113556.1.2.102", Syntax::DistinguishedName).operational(),
    one("sAMAccountName", "samaccountname", &[], "1.2.840.113556.1.4.221", Syntax::AccountName),
    many("userPrincipalName", "userprincipalname", &[], "1.2.840.113556.1.4.656", Syntax::AccountName),
    one("thumbnailPhoto", "thumbnailphoto", &[], "1.2.840.113556.1.4.35", Syntax::OctetString),
    many("co", "co", &[], "1.2.840.113556.1.2.131", Syntax::DirectoryString),
    many("department", "department", &[], "1.2.840.113556.1.2.141", Syntax::DirectoryString),
    many("company", "company", &[], "1.2.840.113556.1.2.146", Syntax::DirectoryString),
    many("division", "division", &[], "1.2.840.113556.1.4.261", Syntax::DirectoryString),
    many("otherTelephone", "othertelephone", &[], "1.2.840.113556.1.2.18", Syntax::TelephoneNumber),
    many("otherHomePhone", "otherhomephone", &[], "1.2.840.113556.1.2.277", Syntax::TelephoneNumber),
    many("otherMobile", "othermobile", &[], "1.2.840.113556.1.4.647", Syntax::TelephoneNumber),
    many("otherPager", "otherpager", &[], "1.2.840.113556.1.2.118", Syntax::TelephoneNumber),
    many("otherFacsimileTelephoneNumber", "otherfacsimiletelephonenumber", &[], "1.2.840.113556.1.4.646", Syntax::TelephoneNumber),
    many("ipPhone", "ipphone", &[], "1.2.840.113556.1.4.721", Syntax::TelephoneNumber),
    many("otherIpPhone", "otheripphone", &[], "1.2.840.113556.1.4.722", Syntax::TelephoneNumber),
    many("assistant", "assistant", &[], "1.2.840.113556.1.4.652", Syntax::DistinguishedName),
    many("directReports", "directreports", &[], "1.2.840.113556.1.2.436", Syntax::DistinguishedName),
    many("managedBy", "managedby", &[], "1.2.840.113556.1.4.653", Syntax::DistinguishedName),
    many("managedObjects", "managedobjects", &[], "1.2.840.113556.1.4.654", Syntax::DistinguishedName),
    one("groupType", "grouptype", &[], "1.2.840.113556.1.4.750", Syntax::Integer),
    one("objectCategory", "objectcategory", &[], "1.2.840.113556.1.4.782", Syntax::DistinguishedName),
    one("defaultNamingContext", "defaultnamingcontext", &[], "1.2.840.113556.1.4.484", Syntax::DistinguishedName).root(),
    one("rootDomainNamingContext", "rootdomainnamingcontext", &[], "1.2.840.113556.1.4.485", Syntax::DistinguishedName).root(),
    many("supportedCapabilities", "supportedcapabilities", &[], "1.2.840.113556.1.4.1457", Syntax::Oid).root(),
    // OpenLDAP's monitor
    one("monitorContext", "monitorcontext", &[], "1.3.6.1.4.1.4203.666.1.10", Syntax::DistinguishedName).root(),
    many("monitoredInfo", "monitoredinfo", &[], "1.3.6.1.4.1.4203.666.1.55.1", Syntax::DirectoryString).root(),
    many("monitorCounter", "monitorcounter", &[], "1.3.6.1.4.1.4203.666.1.55.3", Syntax::Integer).root(),
    many("monitorOpCompleted", "monitoropcompleted", &[], "1.3.6.1.4.1.4203.666.1.55.4", Syntax::Integer).root(),
    many("monitorOpInitiated", "monitoropinitiated", &[], "1.3.6.1.4.1.4203.666.1.55.5", Syntax::Integer).root(),
    // authentik; the OIDs are those its outpost publishes.
    one("ak-superuser", "ak-superuser", &[], "1.3.6.1.4.1.26027.1.1.2", Syntax::Boolean),
    one("ak-active", "ak-active", &[], "1.3.6.1.4.1.26027.1.1.3", Syntax::Boolean),
    many("goauthentikio-user-sources", "goauthentikio-user-sources", &[], "1.3.6.1.4.1.26027.1.1.4", Syntax::DirectoryString),
]);

/// The same types, each with its position as its id.
const fn numbered<const N: usize>(mut types: [AttributeType; N]) -> [AttributeType; N] {
    let mut rest: &mut [AttributeType] = &mut types;
    let mut next = 0;
    while let Some((first, others)) = rest.split_first_mut() {
        first.id = AttributeTypeId(next);
        next += 1;
        rest = others;
    }
    types
}

const fn many(
    name: &'static str,
    key: &'static str,
    aliases: &'static [&'static str],
    oid: &'static str,
    syntax: Syntax,
) -> AttributeType {
    AttributeType {
        id: AttributeTypeId(0),
        name,
        key,
        names: aliases,
        oid,
        syntax,
        single_value: false,
        operational: false,
        usage: Usage::UserApplications,
    }
}

const fn one(
    name: &'static str,
    key: &'static str,
    aliases: &'static [&'static str],
    oid: &'static str,
    syntax: Syntax,
) -> AttributeType {
    let mut attribute = many(name, key, aliases, oid, syntax);
    attribute.single_value = true;
    attribute
}

impl AttributeType {
    const fn operational(mut self) -> Self {
        self.operational = true;
        self.usage = Usage::DirectoryOperation;
        self
    }

    const fn root(mut self) -> Self {
        self.operational = true;
        self.usage = Usage::DsaOperation;
        self
    }
}
