//! Which custom attributes are served, and under which names. Knows these settings only.

use super::kind::{Optional, PasswordAttributes, Switch, Unset};
use super::setting::{Setting, own};

pub(super) static SERVE_ATTRIBUTES: Setting<Optional<PasswordAttributes>> = own(
    "AUTHENTIK_LDAP__SERVE_ATTRIBUTES",
    "serve-attributes",
    Optional(PasswordAttributes),
    Unset,
    "Custom attributes to serve although they hold passwords or keys (`userPassword`, `sambaNTPassword`, …), as FreeRADIUS needs for MS-CHAP. Anyone who may search sees them.",
);

pub(super) static LEGAL_ATTRIBUTE_NAMES: Setting<Switch> = own(
    "AUTHENTIK_LDAP__LEGAL_ATTRIBUTE_NAMES",
    "legal-attribute-names",
    Switch,
    false,
    "Serve custom attributes whose names RFC 4512 does not allow (`with space`, `straße`, `a;binary`) under legal ones (`with-space`, `stra-e`, `a-binary`). Both spellings are understood either way.",
);
