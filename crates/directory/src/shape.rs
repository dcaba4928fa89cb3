//! What the entries of a provider look like beyond authentik's own outpost: the choices an admin makes for one provider.
//!
//! Only data: a field is here, its meaning in `build/shaped.rs` (what a snapshot contains) or where a tree is made. The default
//! changes nothing. Must not know where the choices are read, or which provider has them.

mod called_words;
mod filters;
pub(crate) mod source;
mod template;

use std::fmt;

use crate::custom::policy::{CustomPolicy, Treatment};
use crate::model::attribute::MAX_NAME;
use crate::model::built_in::AttributeId;
use crate::schema::{self, Syntax};
use crate::view::subschema::is_declarable;
pub use source::RecordKind;
pub use template::{Template, TemplateError};

/// The most attributes that a shape may mention, for users and for groups. No client's schema is larger, and each costs time for each
/// user of each directory.
pub const MAX_SHAPED: usize = 200;

pub mod location;
pub mod numbers;
pub mod visibility;

use location::Location;
use numbers::Numbers;
use visibility::Visibility;

pub use crate::model::record::UserRdn;

/// The appearance of a provider's entries. Providers with equal shapes share a snapshot; those of the default one read the
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
    /// Whether roles are shown as groups.
    pub roles_as_groups: bool,
    /// How the names of users begin.
    pub user_rdn: UserRdn,
    /// Whether users are in organizational units below that of users, one for each level of their paths.
    pub users_by_path: bool,
    /// Which numbers are expected, and where those whose own is taken get another one.
    pub numbers: Numbers,
    /// Where the entries are; needed only if something in the shape [depends on it](Self::depends_on_location).
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

    /// Whether a directory in this shape is the one that was loaded: all that is said of it is which numbers are expected.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        let numbers = match self.numbers.moves_nobody() {
            true => self.numbers.clone(),
            false => Numbers::default(),
        };
        let told = Self {
            numbers,
            location: self.location.clone(),
            ..Self::default()
        };
        *self == told
    }

    /// Whether it means something else for another base DN, or for other first numbers.
    #[must_use]
    pub fn depends_on_location(&self) -> bool {
        self.visible_users.has_filter() || self.visible_groups.has_filter() || !self.numbers.is_nothing()
    }

    /// Whether it mentions an attribute.
    pub(crate) fn shapes(&self, name: &str) -> bool {
        let mut all = self.users.attributes.iter().chain(&self.groups.attributes);
        all.any(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// Whether it shows users differently, apart from memberships, when groups differ.
    pub(crate) fn users_depend_on_groups(&self) -> bool {
        self.visible_users.depends_on_groups()
            || self
                .users
                .attributes
                .iter()
                .any(|attribute| match &attribute.show {
                    Show::Nothing | Show::Always => false,
                    Show::Made(made) => made.templates.iter().any(Template::reads_groups),
                })
    }
}

/// What is shown of one kind of entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryShape {
    attributes: Vec<ShapedAttribute>,
}

/// An attribute that a shape mentions.
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
    /// What is there anyway, even to those who ask for no attribute by name.
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
    /// Whether it is shown only to those who ask for it by name or for operational attributes.
    pub operational: bool,
}

/// Why an attribute cannot be shaped like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// It is not a name for an attribute.
    Name,
    /// Only the server says what it is.
    Reserved,
    /// It holds passwords.
    Password,
    /// Every entry is found or named by it, or only the server knows it.
    NotHidden,
    /// It is not an attribute that is left out of answers unless requested.
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
                "it is not an attribute name; expected letters, digits, - and _, at most {MAX_NAME} of them"
            ),
            Self::Reserved => formatter.write_str("only the server sets it: no template can"),
            Self::Password => formatter.write_str("it holds passwords, and authentik does not show them"),
            Self::NotHidden => formatter.write_str("it cannot be hidden"),
            Self::NotComputed => formatter.write_str(
                "only an attribute that is otherwise returned on request can be shown to all, such as \
                 memberUid",
            ),
            Self::Syntax(name) => write!(formatter, "the schema defines it with the syntax {name}"),
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

/// Attributes for which every client expects a syntax other than text, and that our schema does not list, because
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
                // Every filter may ask for the class, and every name contains the name.
                let is_needed = |id| matches!(id, AttributeId::OBJECT_CLASS | AttributeId::CN);
                let stays =
                    |id: AttributeId| id.is_computed() && id.override_bit() == 0 && !id.is_membership();
                if id.is_some_and(|id| is_needed(id) || stays(id)) {
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

    /// Whether templates make an attribute.
    pub(crate) fn makes(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| {
            attribute.name.eq_ignore_ascii_case(name) && matches!(attribute.show, Show::Made(_))
        })
    }

    /// The attributes it mentions.
    pub(crate) fn attributes(&self) -> &[ShapedAttribute] {
        &self.attributes
    }
}

impl ShapedAttribute {
    /// How its values compare; for one that it knows, the schema decides.
    pub(crate) fn syntax(&self) -> Syntax {
        if let Some(known) = schema::attribute_type(self.name.as_bytes()) {
            return known.syntax;
        }
        let stated = match &self.show {
            Show::Made(made) => {
                let octets = made.templates.iter().any(Template::makes_octets);
                made.syntax.or_else(|| octets.then_some(Syntax::OctetString))
            }
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
