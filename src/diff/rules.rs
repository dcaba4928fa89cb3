//! The names of the intended differences from authentik's own LDAP outpost, as `docs/differences.md` lists them. Each is here once:
//! `tests/official` measures with recorded answers what they say, and `akldap diff` recognises them.

#![allow(missing_docs, reason = "each says what it is")]

/// A name of a rule.
pub type Rule = &'static str;

pub const CONNECTION_STAYS: Rule = "a search that ends with an error leaves the connection open";
pub const EVALUATED: Rule =
    "`>=`, `<=`, `~=`, extensible match and `)` in values are evaluated, not answered operationsError (1)";
pub const MEMBER_SPELLING: Rule = "in direct mode, too, a `member` or `memberOf` in a spelling that \
     authentik does not know causes no operationsError (1): the answer is that of cached mode";
pub const ROOT_DSE: Rule = "the root DSE says what this server can do, also without a bind and for `+`";
pub const CONTAINERS: Rule = "the base entry and the containers have `ou`, `dc`, `domain` and the other attributes that RFC 4512 \
     requires";
pub const SCHEMA: Rule =
    "the schema declares what is served, and can be read without a bind and, by its class, from any base";
pub const UNBOUND: Rule = "a search below a base DN without a bind is answered insufficientAccessRights (50)";
pub const ESCAPED: Rule = "names in DNs are escaped as in RFC 4514";
pub const COMMAS_FOUND: Rule = "one-level searches and reads find names with commas, escaped or not";
pub const NO_SUCH_BASE: Rule = "a base DN that does not exist, or that this viewer cannot see, is answered \
     noSuchObject (32)";
pub const NO_BASE: Rule = "a base DN that is not a DN is answered invalidDNSyntax (34)";
pub const DN_MATCH: Rule = "DNs are compared as DNs: spaces and case do not matter, in both modes";
pub const CLASSES: Rule =
    "a filter that names classes in an OR or a NOT leaves out no kind of entry except virtual groups";
pub const UNKNOWN_CLASS: Rule = "an OR with a class that authentik does not know gives real groups";
pub const OPERATIONAL: Rule = "`entryUUID`, `entryDN` and the other operational attributes, `uniqueMember` \
     and `memberUid` are returned when asked for by name";
pub const PLUS: Rule = "`+` asks for the operational attributes of an entry";
pub const PARENTS: Rule = "groups have the groups above them in `memberOf`, as in 2026.5";
pub const PRESENCE: Rule = "a presence filter needs a value: an empty `mail` and an empty `memberOf` are not \
     present";
pub const SUBSTRINGS: Rule = "all parts of a substring filter count";
pub const SIZE_LIMIT: Rule = "a size limit that cuts an answer short is reported as sizeLimitExceeded (4)";
pub const DESCRIPTIONS: Rule = "options, OIDs and further names of attributes such as `commonName` are understood, and lists such as `uid,cn`, as in 2026.5";
pub const TYPES_ONLY: Rule = "typesOnly is obeyed";
pub const EMPTY_BASE: Rule = "a search from the empty name returns what is below the naming context, after the root \
     DSE, to bound clients (RFC 4512)";
pub const PAGES: Rule =
    "paged answers without a sort come by primary key, which never changes while a client reads";
pub const TIMESTAMPS: Rule = "timestamps in direct mode are those of the time of recording";
pub const NAMES_ORDER: Rule = "the attributes of an entry come in any order";
pub const VALUES_ORDER: Rule = "the values of an attribute come in any order";

/// Attributes that the official outpost does not have.
pub const ADDED: [&str; 9] = [
    "entryUUID",
    "entryDN",
    "structuralObjectClass",
    "hasSubordinates",
    "numSubordinates",
    "subschemaSubentry",
    "uniqueMember",
    "memberUid",
    "distinguishedName",
];
