//! The searches that clients send, by client, with placeholders for what a directory contains. Knows their shapes as recordings of the
//! clients and their sources show them; must not know any directory.
//!
//! In a base `{dn}` is a user's name, `{group_dn}` a group's and `{base}` the base DN; in a filter also `{cn}`, `{mail}`, `{displayname}`,
//! `{uid}`, `{uidnumber}`, `{gidnumber}` and `{group}`. `{lower_dn}` is a name in lower case, as Nextcloud sends every name.

use std::collections::HashMap;

use akldap_ldap::filter::escape;

use super::connection::ReceivedEntry;
use super::search::ComparedSearch;

/// A client, and its searches as LDAP URLs with a name each.
struct ClientProfile {
    name: &'static str,
    searches: &'static [(&'static str, &'static str)],
}

const PROFILES: &[ClientProfile] = &[
    ClientProfile {
        name: "nextcloud",
        searches: &[
            (
                "list of users",
                "ldap:///{base}?entryuuid,nsuniqueid,objectguid,guid,ipauniqueid,dn,uid,samaccountname,memberof,mail,displayname,cn\
                 ?sub?(&(objectClass=user)(displayname=*))?x-page=500",
            ),
            (
                "login",
                "ldap:///ou=users,{base}?entryuuid,dn,uid,memberof,mail,displayname,jpegphoto?sub\
                 ?(&(objectClass=user)(|(cn={cn})(mail={cn})))?x-page=500",
            ),
            (
                "search for a user",
                "ldap:///{base}?dn?sub?(&(objectClass=user)(|(displayname={displayname})(displayname={displayname}*)))?x-page=500",
            ),
            (
                "read of a user",
                "ldap:///{lower_dn}?entryuuid?base?(objectClass=*)",
            ),
            (
                "groups of a user",
                "ldap:///{lower_dn}?memberof?base?(objectClass=*)",
            ),
            (
                "list of groups",
                "ldap:///{base}?cn,dn?sub?(&(objectClass=groupOfNames)(cn=*))?x-page=500",
            ),
            (
                "members of a group",
                "ldap:///{group_dn}?member?base?(objectClass=*)",
            ),
            (
                "groups by member",
                "ldap:///{base}?cn,dn?sub?(&(objectClass=groupOfNames)(member={dn}))?x-page=500",
            ),
            (
                "members, nested",
                "ldap:///{base}?dn?sub?(&(objectClass=user)(memberof:1.2.840.113556.1.4.1941:={group_dn}))?x-page=500",
            ),
            (
                "wizard: memberOf",
                "ldap:///{base}?memberOf?sub?(memberOf=*)?x-page=1000",
            ),
            (
                "wizard: attributes",
                "ldap:///{base}??sub?(&(objectClass=user)(cn={cn}))?x-size=1,x-types",
            ),
        ],
    },
    ClientProfile {
        name: "sssd",
        searches: &[
            (
                "root DSE",
                "ldap:///?*,altServer,namingContexts,supportedControl,supportedExtension,supportedFeatures,supportedLDAPVersion,\
                 supportedSASLMechanisms,domainControllerFunctionality,defaultNamingContext,lastUSN,highestCommittedUSN?base\
                 ?(objectclass=*)?x-unbound",
            ),
            (
                "user by name",
                "ldap:///{base}?objectClass,cn,userPassword,uidNumber,gidNumber,gecos,homeDirectory,loginShell,memberOf,\
                 modifyTimestamp,mail?sub?(&(cn={cn})(objectclass=user)(cn=*)(&(uidNumber=*)(!(uidNumber=0))))?x-page=1000",
            ),
            (
                "user by number",
                "ldap:///{base}?objectClass,cn,uidNumber,gidNumber,memberOf,modifyTimestamp?sub\
                 ?(&(uidNumber={uidnumber})(objectclass=user)(cn=*))?x-page=1000",
            ),
            (
                "group by number",
                "ldap:///{base}?objectClass,cn,gidNumber,member,modifyTimestamp?sub\
                 ?(&(gidNumber={gidnumber})(objectClass=group)(cn=*)(&(gidNumber=*)(!(gidNumber=0))))?x-page=1000",
            ),
            (
                "groups of a user",
                "ldap:///{base}?objectClass,cn,gidNumber,member,modifyTimestamp?sub?(&(member={dn})(objectClass=group)(cn=*))?x-page=1000",
            ),
            (
                "access filter",
                "ldap:///{dn}??base?(&(cn={cn})(objectclass=user)(memberOf={group_dn}))",
            ),
            (
                "enumeration",
                "ldap:///{base}?objectClass,cn,uidNumber,gidNumber,memberOf,modifyTimestamp?sub\
                 ?(&(objectclass=user)(cn=*)(uidNumber=*)(gidNumber=*))?x-page=1000",
            ),
            (
                "sudo rules",
                "ldap:///{base}?objectClass,cn?sub?(&(objectClass=sudoRole)(sudoUser=ALL))?x-page=1000",
            ),
        ],
    },
    ClientProfile {
        name: "nslcd",
        searches: &[
            (
                "user by number",
                "ldap:///{base}?uid,cn,uidNumber,gidNumber,homeDirectory?sub?(&(objectClass=posixAccount)(uidNumber={uidnumber}))",
            ),
            (
                "group by name",
                "ldap:///{base}?cn,gidNumber,member,memberUid?sub?(&(objectClass=posixGroup)(cn={group}))",
            ),
            (
                "groups of a user",
                "ldap:///{base}?cn,gidNumber?sub?(&(objectClass=posixGroup)(|(memberUid={cn})(member={dn})))",
            ),
            ("shadow", "ldap:///{base}?uid?sub?(objectClass=shadowAccount)"),
        ],
    },
    ClientProfile {
        name: "jellyfin",
        searches: &[
            (
                "login",
                "ldap:///{base}?cn,uid?sub?(&(objectClass=user)(|(uid={cn})(cn={cn})(mail={cn})(displayName={cn})))?x-size=1000",
            ),
            (
                "administrator",
                "ldap:///{base}??sub?(&(objectClass=user)(cn={cn})(memberOf={group_dn}))?x-size=1000",
            ),
        ],
    },
    ClientProfile {
        name: "gitlab",
        searches: &[
            (
                "root DSE",
                "ldap:///?altServer,namingContexts,supportedCapabilities,supportedControl,supportedExtension,supportedFeatures,\
                 supportedLdapVersion,supportedSASLMechanisms",
            ),
            (
                "user by name",
                "ldap:///{base}?dn,uid,cn,mail,sAMAccountName,displayName?sub?(cn={cn})?x-page=126",
            ),
            (
                "user by address",
                "ldap:///{base}?dn,uid,cn,mail?sub?(mail={mail})?x-page=126",
            ),
            (
                "disabled in Active Directory",
                "ldap:///{dn}?dn?base?(userAccountControl:1.2.840.113556.1.4.803:=2)",
            ),
        ],
    },
    ClientProfile {
        name: "keycloak",
        searches: &[
            (
                "user by name",
                "ldap:///ou=users,{base}?*,createTimestamp,modifyTimestamp,entryUUID?sub?(&(cn={cn})(objectclass=inetOrgPerson)(objectclass=organizationalPerson))?x-page=1000",
            ),
            (
                "list of users",
                "ldap:///ou=users,{base}?cn,mail,sn,entryUUID?sub?(&(objectclass=inetOrgPerson)(objectclass=organizationalPerson))?x-page=1000",
            ),
            (
                "changed users",
                "ldap:///ou=users,{base}?cn?sub?(&(objectclass=inetOrgPerson)(|(createTimestamp>=20200101000000.0Z)(modifyTimestamp>=20200101000000.0Z)))?x-page=1000",
            ),
            (
                "groups of a user",
                "ldap:///ou=groups,{base}?cn,member?sub?(&(member={dn})(objectclass=groupOfNames))",
            ),
        ],
    },
    ClientProfile {
        name: "go-ldap",
        searches: &[
            ("user", "ldap:///{base}?cn,sn,mail,memberOf?sub?(|(cn={cn}))"),
            (
                "groups of a user",
                "ldap:///ou=groups,{base}?dn?sub?(&(objectClass=groupOfNames)(member={dn}))",
            ),
        ],
    },
    ClientProfile {
        name: "mail",
        searches: &[
            (
                "Dovecot: user",
                "ldap:///{base}??sub?(&(objectClass=posixAccount)(cn={cn}))",
            ),
            (
                "Dovecot: all users",
                "ldap:///{base}?cn?sub?(objectClass=posixAccount)",
            ),
            ("Postfix: address", "ldap:///{base}?mail?sub?(mail={mail})"),
            (
                "Postfix: member of a group",
                "ldap:///{dn}?mail,maildrop,member?base?(objectclass=*)",
            ),
            (
                "SOGo: address book",
                "ldap:///{base}?cn,mail,displayName?sub?(|(cn=*{cn}*)(mail=*{cn}*))",
            ),
        ],
    },
    ClientProfile {
        name: "proxmox",
        searches: &[
            (
                "users",
                "ldap:///{base}?uid,mail,cn,memberOf?sub?(&(|(uid=*)(email=*))(|(objectclass=inetorgperson)\
                 (objectclass=posixaccount)(objectclass=person)(objectclass=user)))?x-page=900",
            ),
            (
                "groups",
                "ldap:///{base}?member,uniqueMember?sub?(|(objectclass=groupOfNames)(objectclass=group)\
                 (objectclass=univentionGroup)(objectclass=ipausergroup))?x-page=100",
            ),
        ],
    },
    ClientProfile {
        name: "appliance",
        searches: &[
            (
                "naming contexts before the bind",
                "ldap:///?namingContexts?base?(objectClass=*)?x-unbound",
            ),
            (
                "pfSense: containers",
                "ldap:///{base}?ou,cn?one?(|(ou=*)(cn=Users))",
            ),
            (
                "pfSense: user",
                "ldap:///{base}??sub?(&(cn={cn})(&(objectClass=user)))",
            ),
            ("OPNsense: user", "ldap:///{dn}?*,memberOf?base?(objectClass=*)"),
            (
                "Synology: accounts",
                "ldap:///{base}?uid,uidNumber,gidNumber,homeDirectory,loginShell,gecos,memberOf?sub?(objectClass=posixAccount)",
            ),
            (
                "Synology: groups",
                "ldap:///{base}?cn,gidNumber,memberUid,member?sub?(objectClass=posixGroup)",
            ),
            (
                "vCenter: users",
                "ldap:///{base}?cn,entryUUID,mail?sub?(objectClass=inetOrgPerson)",
            ),
            (
                "vCenter: groups",
                "ldap:///{base}?cn,entryUUID,uniqueMember?sub?(objectClass=groupOfUniqueNames)",
            ),
        ],
    },
    ClientProfile {
        name: "jndi",
        searches: &[
            ("user by uid", "ldap:///{base}??sub?(uid={uid})"),
            (
                "groups of a user",
                "ldap:///{base}?cn?sub?(|(member={dn})(uniqueMember={dn})(memberUid={cn}))",
            ),
            (
                "a name that does not exist",
                "ldap:///cn=no-such-entry-akldap,ou=users,{base}",
            ),
        ],
    },
    ClientProfile {
        name: "browser",
        searches: &[
            ("root DSE", "ldap:///?*,+"),
            (
                "schema",
                "ldap:///cn=subschema?objectclasses,attributetypes,ldapsyntaxes,matchingrules?base?(objectClass=subschema)",
            ),
            (
                "first level",
                "ldap:///{base}?dn,hasSubordinates,numSubordinates?one",
            ),
            ("entry with operational attributes", "ldap:///{dn}?*,+"),
        ],
    },
];

/// The names of the clients.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|profile| profile.name)
}

/// Entries of a directory that searches are made for.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// The base DN.
    pub base: String,
    /// A user and a group each, the user a member if there is such a pair.
    pub pairs: Vec<(Option<ReceivedEntry>, Option<ReceivedEntry>)>,
}

/// What an entry is a sample of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleKind {
    /// A person.
    User,
    /// A group with members.
    Group,
}

/// What an entry can be a sample of: a user with a name and an address, a group with members.
pub(super) fn kind_of(entry: &ReceivedEntry) -> Option<SampleKind> {
    let is_person = |class: &Vec<u8>| {
        let classes: [&[u8]; 3] = [b"user", b"person", b"inetOrgPerson"];
        classes.iter().any(|known| class.eq_ignore_ascii_case(known))
    };
    if first(entry, "cn").is_none() {
        None
    } else if values(entry, "objectClass").any(is_person) {
        Some(SampleKind::User)
    } else if first(entry, "member").is_some() {
        Some(SampleKind::Group)
    } else {
        None
    }
}

/// The searches of the clients named, or of all, for these samples.
///
/// # Errors
/// When there is no such client.
pub(super) fn searches(wanted: &[String], samples: &Samples) -> Result<Vec<ComparedSearch>, String> {
    let unknown = wanted
        .iter()
        .find(|name| !names().any(|known| known == name.as_str()));
    if let Some(unknown) = unknown {
        let names: Vec<&str> = names().collect();
        return Err(format!(
            "there is no profile {unknown:?}; the profiles are {}",
            names.join(", ")
        ));
    }
    let all_values = placeholder_values(samples);
    let mut all: Vec<ComparedSearch> = Vec::new();
    for profile in PROFILES {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == profile.name) {
            continue;
        }
        for (name, template) in profile.searches {
            let template = ComparedSearch::parse(&format!("{}: {name}", profile.name), template)?;
            for values in &all_values {
                let Some(search) = filled(&template, values) else {
                    continue;
                };
                // Without a placeholder, it is the same for every sample.
                let is_new = !all.iter().any(|known| {
                    (&known.name, &known.base, &known.filter) == (&search.name, &search.base, &search.filter)
                });
                if is_new {
                    all.push(search);
                }
            }
        }
    }
    Ok(all)
}

/// The values of placeholders, one map for each pair of a user and a group.
fn placeholder_values(samples: &Samples) -> Vec<HashMap<&'static str, Vec<u8>>> {
    let none = [(None, None)];
    let pairs = if samples.pairs.is_empty() {
        &none[..]
    } else {
        &samples.pairs
    };
    let of = |(user, group): &(Option<ReceivedEntry>, Option<ReceivedEntry>)| {
        let mut values = HashMap::from([("base", samples.base.clone().into_bytes())]);
        let mut put = |placeholder, value: Option<&Vec<u8>>| {
            if let Some(value) = value {
                values.insert(placeholder, value.clone());
            }
        };
        if let Some(user) = user {
            put("dn", Some(&user.dn));
            let lower = String::from_utf8_lossy(&user.dn).to_lowercase();
            put("lower_dn", Some(&lower.into_bytes()));
            for name in ["cn", "mail", "displayname", "uid", "uidnumber"] {
                put(name, first(user, name));
            }
        }
        if let Some(group) = group {
            put("group_dn", Some(&group.dn));
            put("group", first(group, "cn"));
            put("gidnumber", first(group, "gidNumber"));
        }
        values
    };
    pairs.iter().map(of).collect()
}

/// Whether a group names a user as a member.
pub(super) fn has_member(group: &ReceivedEntry, user: &ReceivedEntry) -> bool {
    values(group, "member").any(|member| *member == user.dn)
}

/// Whether a user's entry names a group, which not every directory does, nor for every group.
pub(super) fn names_group(user: &ReceivedEntry, group: &ReceivedEntry) -> bool {
    values(user, "memberOf").any(|name| *name == group.dn)
}

fn values<'e>(entry: &'e ReceivedEntry, name: &str) -> impl Iterator<Item = &'e Vec<u8>> {
    let named = |(other, _): &&(Vec<u8>, Vec<Vec<u8>>)| other.eq_ignore_ascii_case(name.as_bytes());
    entry
        .attributes
        .iter()
        .find(named)
        .into_iter()
        .flat_map(|(_, values)| values)
}

fn first<'e>(entry: &'e ReceivedEntry, name: &str) -> Option<&'e Vec<u8>> {
    values(entry, name).next().filter(|value| !value.is_empty())
}

/// The search with its placeholders filled; `None` when the samples have nothing for one.
fn filled(template: &ComparedSearch, values: &HashMap<&'static str, Vec<u8>>) -> Option<ComparedSearch> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).ok();
    Some(ComparedSearch {
        base: fill(&template.base, values, text)?,
        filter: fill(&template.filter, values, |value| Some(escape(value).to_string()))?,
        ..template.clone()
    })
}

fn fill(
    template: &str,
    values: &HashMap<&'static str, Vec<u8>>,
    spell: impl Fn(&[u8]) -> Option<String>,
) -> Option<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (placeholder, after) = after.split_once('}')?;
        filled += before;
        filled += &spell(values.get(placeholder)?)?;
        rest = after;
    }
    Some(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Samples {
        let entry = |dn: &str, attributes: &[(&str, &str)]| ReceivedEntry {
            dn: dn.into(),
            attributes: attributes
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), vec![value.as_bytes().to_vec()]))
                .collect(),
        };
        let user = [
            ("cn", "a(b)"),
            ("displayName", "A"),
            ("mail", "a@x"),
            ("uid", "1"),
            ("uidNumber", "2001"),
            ("objectClass", "user"),
        ];
        let group = [
            ("cn", "g"),
            ("gidNumber", "4001"),
            ("member", "cn=a"),
            ("objectClass", "group"),
        ];
        Samples {
            base: "dc=x".into(),
            pairs: vec![(
                Some(entry("cn=A(b),ou=users,dc=x", &user)),
                Some(entry("cn=g,ou=groups,dc=x", &group)),
            )],
        }
    }

    #[test]
    fn every_built_in_search_can_be_asked() {
        let samples = samples();
        let (user, group) = &samples.pairs[0];
        assert_eq!(user.as_ref().and_then(kind_of), Some(SampleKind::User));
        assert_eq!(group.as_ref().and_then(kind_of), Some(SampleKind::Group));
        let searches = searches(&[], &samples).expect("the built-in searches");
        let count: usize = PROFILES.iter().map(|profile| profile.searches.len()).sum();
        assert_eq!(searches.len(), count);
        for search in &searches {
            assert!(search.encode().is_ok(), "{search}");
            assert!(!search.to_string().contains('{'), "{search}");
        }
        let login = searches.iter().find(|search| search.name == "nextcloud: login");
        let filter = login.map(|search| search.filter.as_str());
        assert_eq!(
            filter,
            Some("(&(objectClass=user)(|(cn=a\\28b\\29)(mail=a\\28b\\29)))")
        );
        let read = searches
            .iter()
            .find(|search| search.name == "nextcloud: read of a user");
        assert_eq!(
            read.map(|search| search.base.as_str()),
            Some("cn=a(b),ou=users,dc=x")
        );
    }

    #[test]
    fn a_profile_is_chosen_by_name() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            searches(&names, &samples())
        };
        let sssd = of(&["sssd"]).expect("searches");
        assert!(sssd.iter().all(|search| search.name.starts_with("sssd: ")) && sssd.len() > 5);
        let error = of(&["nonesuch"]).expect_err("no such profile");
        assert!(error.contains("nextcloud"), "{error}");
    }

    #[test]
    fn what_the_samples_lack_is_not_asked() {
        let empty = Samples {
            base: "dc=x".into(),
            ..Samples::default()
        };
        let searches = searches(&[], &empty).expect("searches");
        assert!(
            searches
                .iter()
                .any(|search| search.name == "mail: Dovecot: all users")
        );
        assert!(!searches.iter().any(|search| search.name == "nextcloud: login"));
    }
}
