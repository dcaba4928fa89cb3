//! What the entries of a provider look like beyond authentik's own outpost: the choices an admin makes for one provider.
//!
//! Data only: a field here, its meaning in `build/shaped.rs` (what a snapshot holds) or where a tree is made. The default changes
//! nothing. Must not know where the choices are read, or which provider has them.

mod filters;
pub(crate) mod source;
mod template;

use std::fmt;

use crate::custom::policy::{CustomPolicy, Treatment};
use crate::model::attribute::MAX_NAME;
use crate::model::built_in::AttributeId;
use crate::schema::{self, Syntax};
use crate::view::subschema::is_declarable;
pub use source::Kind;
pub use template::{Template, TemplateError};

/// Most attributes that a shape may speak of, of users and of groups. No schema of a client is larger, and each costs time
/// for each user of each directory.
pub const MAX_SHAPED: usize = 200;

pub mod location;
pub mod visibility;

use location::Location;
use visibility::Visibility;

pub use crate::model::record::UserRdn;

/// The look of a provider's entries. Providers of an equal shape share a snapshot; those of the default one read the
/// directory as it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What is shown of users.
    pub users: EntryShape,
    /// What is shown of groups.
    pub groups: EntryShape,
    /// Which users are shown.
    pub visible_users: Visibility,
    /// Which groups are shown.
    pub visible_groups: Visibility,
    /// Which memberships are shown.
    pub membership: Membership,
    /// How the names of users begin.
    pub user_rdn: UserRdn,
    /// Where the entries are; wanted only where something of the shape [depends on it](Self::depends_on_location).
    pub location: Option<Location>,
}

/// Which memberships are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Membership {
    /// Those that authentik lists for each group.
    #[default]
    Direct,
    /// Those, and all that follow from groups within groups.
    Inherited,
}

impl Shape {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it means something else for another base DN, or for other first numbers.
    #[must_use]
    pub fn depends_on_location(&self) -> bool {
        self.visible_users.has_filter() || self.visible_groups.has_filter()
    }
}

/// What is shown of one kind of entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryShape {
    attributes: Vec<ShapedAttribute>,
}

/// An attribute of which a shape speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShapedAttribute {
    /// As it is served.
    pub(crate) name: String,
    pub(crate) show: Show,
}

/// What is shown of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// Nothing.
    Nothing,
    /// What is there anyway, also to those who ask for no attribute by name.
    Always,
    /// What templates make of an entry.
    Made(Made),
}

/// An attribute made by templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Each makes no value, one or several.
    pub templates: Vec<Template>,
    /// How its values compare, if the schema does not say.
    pub syntax: Option<Syntax>,
    /// Whether only those are shown it who ask for it by name or for operational attributes.
    pub operational: bool,
}

/// Why an attribute cannot be shaped so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// It is no name for an attribute.
    Name,
    /// The server alone says what it is.
    Reserved,
    /// It holds passwords.
    Password,
    /// Every entry, or whoever asks for memberships, relies on it.
    NotHidden,
    /// It is no attribute that is left out of answers unless asked for.
    NotComputed,
    /// The schema knows it with this syntax.
    Syntax(&'static str),
    /// There are too many.
    TooMany,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                formatter,
                "it is no name for an attribute; expected letters, digits, - and _, at most {MAX_NAME} of them"
            ),
            Self::Reserved => formatter.write_str("the server alone says what it is: no template can"),
            Self::Password => formatter.write_str("it holds passwords, and authentik shows none"),
            Self::NotHidden => formatter.write_str("it cannot be hidden"),
            Self::NotComputed => formatter.write_str(
                "only an attribute that is otherwise shown to those who ask for it can be shown to all, such as memberUid",
            ),
            Self::Syntax(name) => write!(formatter, "the schema knows it with the syntax {name}"),
            Self::TooMany => write!(formatter, "there are more than {MAX_SHAPED} attributes"),
        }
    }
}

/// The syntaxes that a template may state, with the names they are stated by.
pub const SYNTAXES: [(&str, Syntax); 10] = [
    ("directory-string", Syntax::DirectoryString),
    ("case-exact-string", Syntax::CaseExactString),
    ("ia5-string", Syntax::Ia5String),
    ("account-name", Syntax::AccountName),
    ("distinguished-name", Syntax::DistinguishedName),
    ("integer", Syntax::Integer),
    ("boolean", Syntax::Boolean),
    ("generalized-time", Syntax::GeneralizedTime),
    ("octet-string", Syntax::OctetString),
    ("telephone-number", Syntax::TelephoneNumber),
];

/// Attributes of which every client expects another syntax than text, and that our schema does not list, because
/// authentik's outpost does not have them. Names in lower case.
const USUAL: [(&str, Syntax); 6] = [
    ("objectguid", Syntax::OctetString),
    ("objectsid", Syntax::OctetString),
    ("sshpublickey", Syntax::CaseExactString),
    ("sambasid", Syntax::CaseExactString),
    ("useraccountcontrol", Syntax::Integer),
    ("primarygroupid", Syntax::Integer),
];

impl EntryShape {
    /// Shows this of an attribute, instead of what was set before.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn set(&mut self, name: &str, show: Show) -> Result<(), ShapeError> {
        if !is_declarable(name) || name.len() > MAX_NAME || !name.contains(char::is_alphanumeric) {
            return Err(ShapeError::Name);
        }
        let id = AttributeId::of_built_in(name.as_bytes());
        match &show {
            Show::Nothing => {
                if id.is_some_and(|id| id.is_computed() && id.override_bit() == 0) {
                    return Err(ShapeError::NotHidden);
                }
            }
            Show::Always => {
                if id.is_none_or(|id| !id.is_computed()) {
                    return Err(ShapeError::NotComputed);
                }
            }
            Show::Made(made) => {
                match CustomPolicy::default().verdict(name.as_bytes()) {
                    Treatment::Served | Treatment::AddedClasses => {}
                    Treatment::Reserved => return Err(ShapeError::Reserved),
                    Treatment::Withheld(_) => return Err(ShapeError::Password),
                }
                if let (Some(known), Some(syntax)) = (schema::attribute_type(name.as_bytes()), made.syntax)
                    && known.syntax != syntax
                {
                    return Err(ShapeError::Syntax(syntax_name(known.syntax)));
                }
            }
        }
        let named = |known: &ShapedAttribute| known.name.eq_ignore_ascii_case(name);
        self.attributes.retain(|known| !named(known));
        if self.attributes.len() >= MAX_SHAPED {
            return Err(ShapeError::TooMany);
        }
        self.attributes.push(ShapedAttribute {
            name: name.to_owned(),
            show,
        });
        Ok(())
    }

    /// The attributes it speaks of.
    pub(crate) fn attributes(&self) -> &[ShapedAttribute] {
        &self.attributes
    }
}

impl ShapedAttribute {
    /// How its values compare; of one that the schema knows it says how.
    pub(crate) fn syntax(&self) -> Syntax {
        if let Some(known) = schema::attribute_type(self.name.as_bytes()) {
            return known.syntax;
        }
        let stated = match &self.show {
            Show::Made(made) => made.syntax,
            Show::Nothing | Show::Always => None,
        };
        let mut usual = USUAL.iter();
        let usual = usual.find(|(name, _)| name.eq_ignore_ascii_case(&self.name));
        stated
            .or(usual.map(|(_, syntax)| *syntax))
            .unwrap_or(Syntax::DirectoryString)
    }
}

fn syntax_name(syntax: Syntax) -> &'static str {
    let mut names = SYNTAXES.iter();
    names
        .find(|(_, known)| *known == syntax)
        .map_or(syntax.oid(), |(name, _)| name)
}
