//! Filters made ready for one snapshot, tree and viewer: names resolved, values normalised, memberships followed.
//!
//! Knows which rule each assertion uses. An attribute that an entry lacks makes an assertion false, and its negation true,
//! even when no entry has it: attributes have no schema in authentik, and clients negate them.
//!
//! Undefined, whatever the entry has, are assertions whose rule is unknown, and those whose value does not belong to the
//! syntax in which the rule compares (RFC 4511 section 4.5.1.7): `cn=a,,b` as a name, `abc` as a number, text that is not
//! UTF-8. One exception: authentik lets admins store anything, so such a value is equal to the same text stored, where the
//! attribute's own equality rule compares. The assertion is never false, so its negation is never true. A value of the
//! syntax that nobody has, including a name outside the tree or an unknown class, makes it false, and its negation true.
//!
//! Must not know how candidates are found.

use std::cmp::Ordering;

use hashbrown::HashMap;

use crate::filter::chain::{Chain, Nesting};
use crate::filter::equal::{Classes, Equal, OneOf, is_name};
use crate::filter::substrings::Substrings;
use crate::filter::within::Within;
use crate::model::attribute::AttributeRef;
use crate::model::built_in::AttributeId;
use crate::model::number::{GroupIx, WrongNumber};
use crate::schema::{self, Comparison, MatchingRule, Syntax};
use crate::values::syntax;
use crate::view::context::Context;
use akldap_ldap::filter::{Filter, MatchingRuleAssertion};

/// With this many equality assertions on one attribute or more, an OR looks values up instead of comparing one by one.
const MIN_ONE_OF: usize = 8;

/// A filter, compiled.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// True, false or Undefined for every entry.
    Constant(Option<bool>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test(Box<Test>),
    /// No part of what was asked: the entry is in a part of the tree, which is not one in the order of entries.
    Within(Within),
}

/// An assertion about an attribute.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) attribute: AttributeRef,
    pub(crate) matcher: Matcher,
    /// What it is for entries that the matcher does not match: false or Undefined.
    pub(crate) otherwise: Option<bool>,
}

/// What is asserted.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    /// There is a value.
    Present,
    /// A value is equal.
    Equal(Equal),
    /// A value is equal to one of these.
    OneOf(Syntax, Box<OneOf>),
    /// `objectClass` is equal; which kinds of entries have the class unless custom values replace theirs.
    Class(Classes, Equal),
    /// A value has these parts.
    Substrings(Syntax, Box<Substrings>),
    /// A value compares like this to the ordering key; `Less` and `Greater` include equal unless `strict`.
    Order {
        syntax: Syntax,
        key: Vec<u8>,
        wanted: Ordering,
        strict: bool,
    },
    /// All, or any, of these bits are set in a value.
    Bits { mask: i64, all: bool },
    /// A group is reached through memberships.
    InChain(Box<Chain>),
    /// The matcher applies also to the attributes of the entry's DN, and without an attribute to all.
    Extended {
        inner: Box<Matcher>,
        /// The matcher for names of accounts, where all attributes are meant; see [`Syntax::comparing`].
        of_names: Option<Box<Matcher>>,
        rule: Option<&'static MatchingRule>,
        of_dn: bool,
        all: bool,
    },
}

impl Node {
    /// Compiles a filter; `None` if following nested groups for it costs too much.
    pub(crate) fn compile(context: &Context<'_>, filter: &Filter<'_>) -> Result<Option<Self>, WrongNumber> {
        let mut nesting = Nesting::new(context.snapshot.group_count());
        let node = Self::compile_with(context, filter, &mut nesting)?;
        Ok(nesting.is_within_limit().then_some(node))
    }

    fn compile_all(
        context: &Context<'_>,
        filters: &[Filter<'_>],
        nesting: &mut Nesting,
    ) -> Result<Vec<Self>, WrongNumber> {
        let mut nodes = Vec::with_capacity(filters.len());
        for filter in filters {
            nodes.push(Self::compile_with(context, filter, nesting)?);
        }
        Ok(nodes)
    }

    fn compile_with(
        context: &Context<'_>,
        filter: &Filter<'_>,
        nesting: &mut Nesting,
    ) -> Result<Self, WrongNumber> {
        match filter {
            Filter::And(filters) => Ok(Self::And(Self::compile_all(context, filters, nesting)?)),
            Filter::Or(filters) => Ok(Self::Or(group_equalities(Self::compile_all(
                context, filters, nesting,
            )?))),
            Filter::Not(filter) => match Self::compile_with(context, filter, nesting)? {
                Self::Constant(truth) => Ok(Self::Constant(truth.map(|truth| !truth))),
                node => Ok(Self::Not(Box::new(node))),
            },
            Filter::Equality(assertion) | Filter::Approx(assertion) => {
                let attribute = context.resolve(assertion.attribute);
                match equality(context, &attribute, assertion.value) {
                    Ok(matcher) => Ok(Self::test(attribute, matcher)),
                    Err(wrong) => Err(wrong),
                }
            }
            Filter::Substrings(substrings) => {
                let attribute = context.resolve(substrings.attribute);
                let syntax = context.syntax(&attribute)?;
                match Substrings::new(syntax, substrings) {
                    Some(parts) => Ok(Self::test(
                        attribute,
                        Matcher::Substrings(syntax, Box::new(parts)),
                    )),
                    None => Ok(Self::Constant(None)),
                }
            }
            Filter::GreaterOrEqual(assertion) => {
                Self::order(context, assertion.attribute, assertion.value, Ordering::Greater)
            }
            Filter::LessOrEqual(assertion) => {
                Self::order(context, assertion.attribute, assertion.value, Ordering::Less)
            }
            Filter::Present(attribute) => Ok(Self::test(context.resolve(attribute), Matcher::Present)),
            Filter::Extensible(assertion) => Self::extensible(context, assertion, nesting),
        }
    }

    /// The same filter for what is within a part of the tree.
    pub(crate) fn within(self, within: Within) -> Self {
        let mut nodes = match self {
            Self::And(nodes) => nodes,
            node => vec![node],
        };
        nodes.push(Self::Within(within));
        Self::And(nodes)
    }

    /// An attribute that neither the schema nor any entry knows is absent everywhere.
    fn test(attribute: AttributeRef, matcher: Matcher) -> Self {
        if attribute.first.is_none() && attribute.known.is_none() {
            return Self::Constant(matcher.otherwise());
        }
        Self::Test(Box::new(Test::new(attribute, matcher)))
    }

    fn order(
        context: &Context<'_>,
        attribute: &[u8],
        value: &[u8],
        wanted: Ordering,
    ) -> Result<Self, WrongNumber> {
        let attribute = context.resolve(attribute);
        let syntax = context.syntax(&attribute)?;
        let key = syntax::ordering_key(syntax, value).filter(|_| syntax::can_hold(syntax, value));
        Ok(match key {
            Some(key) => Self::test(
                attribute,
                Matcher::Order {
                    syntax,
                    key: key.into_owned(),
                    wanted,
                    strict: false,
                },
            ),
            None => Self::Constant(None),
        })
    }

    fn extensible(
        context: &Context<'_>,
        assertion: &MatchingRuleAssertion<'_>,
        nesting: &mut Nesting,
    ) -> Result<Self, WrongNumber> {
        let rule = assertion.matching_rule.map(schema::matching_rule);
        let attribute = assertion.attribute.map(|attribute| context.resolve(attribute));
        let matcher = match (rule, &attribute) {
            (Some(None), _) | (None, None) => return Ok(Self::Constant(None)),
            (None, Some(attribute)) => Some(equality(context, attribute, assertion.value)?),
            (Some(Some(rule)), Some(attribute)) => {
                let syntax = rule.syntax.comparing(context.syntax(attribute)?);
                by_rule(context, rule, syntax, Some(attribute), assertion.value, nesting)?
            }
            (Some(Some(rule)), None) => by_rule(context, rule, rule.syntax, None, assertion.value, nesting)?,
        };
        let Some(matcher) = matcher else {
            return Ok(Self::Constant(None));
        };
        let all = attribute.is_none();
        let of_names = match (rule, all) {
            (Some(Some(rule)), true) => {
                let syntax = rule.syntax.comparing(Syntax::AccountName);
                by_rule(context, rule, syntax, None, assertion.value, nesting)?.map(Box::new)
            }
            _ => None,
        };
        let attribute = attribute.unwrap_or(AttributeRef::built_in(AttributeId::OBJECT_CLASS));
        if !assertion.dn_attributes && !all {
            return Ok(Self::test(attribute, matcher));
        }
        let matcher = Matcher::Extended {
            inner: Box::new(matcher),
            of_names,
            rule: rule.flatten(),
            of_dn: assertion.dn_attributes,
            all,
        };
        Ok(Self::Test(Box::new(Test::new(attribute, matcher))))
    }
}

impl Test {
    fn new(attribute: AttributeRef, matcher: Matcher) -> Self {
        Self {
            attribute,
            otherwise: matcher.otherwise(),
            matcher,
        }
    }
}

/// The matcher of a known rule that compares values in terms of `syntax`; `None` if it cannot be used.
fn by_rule(
    context: &Context<'_>,
    rule: &'static MatchingRule,
    syntax: Syntax,
    attribute: Option<&AttributeRef>,
    value: &[u8],
    nesting: &mut Nesting,
) -> Result<Option<Matcher>, WrongNumber> {
    let is_usable = || syntax::can_hold(rule.syntax, value);
    Ok(match rule.comparison {
        Comparison::Equality => {
            let is_own = match attribute {
                Some(attribute) => context.syntax(attribute)? == syntax,
                None => true,
            };
            let by_own_rule = is_own && syntax == rule.syntax;
            // Stored text that is not a value is found only by the attribute's own rule: another may fold more of it.
            if !by_own_rule && !syntax::is_value(rule.syntax, value) {
                return Ok(None);
            }
            Some(match attribute {
                // What the attribute's own equality rule knows about entries and classes applies to the rule of the same
                // syntax.
                Some(attribute) if is_own => equality(context, attribute, value)?,
                _ => Matcher::Equal(Equal::new(context, syntax, value)?),
            })
        }
        // RFC 4517: such a rule is satisfied by values that come before the asserted one.
        Comparison::Ordering if is_usable() => {
            syntax::ordering_key(syntax, value).map(|key| Matcher::Order {
                syntax,
                key: key.into_owned(),
                wanted: Ordering::Less,
                strict: true,
            })
        }
        Comparison::Substrings if is_usable() => {
            Substrings::parse(syntax, value).map(|parts| Matcher::Substrings(syntax, Box::new(parts)))
        }
        Comparison::Ordering | Comparison::Substrings => None,
        Comparison::BitAnd | Comparison::BitOr => {
            let mask = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            mask.map(|mask| Matcher::Bits {
                mask,
                all: rule.comparison == Comparison::BitAnd,
            })
        }
        Comparison::InChain => {
            let Some(attribute) = attribute else {
                return Ok(None);
            };
            let equal = Equal::new(context, Syntax::DistinguishedName, value)?;
            if attribute.is(AttributeId::MEMBER_OF) {
                let chain = Chain::member_of(context, equal, nesting)?;
                Some(Matcher::InChain(Box::new(chain)))
            } else if attribute.is(AttributeId::MEMBER) || attribute.is(AttributeId::UNIQUE_MEMBER) {
                let chain = Chain::member(context, equal, nesting)?;
                Some(Matcher::InChain(Box::new(chain)))
            } else {
                let is_name = matches!(context.syntax(attribute)?, Syntax::DistinguishedName);
                is_name.then_some(Matcher::Equal(equal))
            }
        }
    })
}

fn equality(context: &Context<'_>, attribute: &AttributeRef, value: &[u8]) -> Result<Matcher, WrongNumber> {
    let syntax = context.syntax(attribute)?;
    if is_name(syntax) {
        return Ok(Matcher::Equal(Equal::of_name(context, syntax, value)?));
    }
    let mut equal = Equal::of_value(syntax, value);
    if attribute.is(AttributeId::OBJECT_CLASS) {
        return Ok(Matcher::Class(Classes::with(equal.key()), equal));
    }
    if attribute.is(AttributeId::MEMBER_UID) {
        let layout = context.snapshot.records.layout;
        let records = context.snapshot.lookup(AttributeId::RDN, || equal.key())?;
        let users = records
            .iter()
            .filter_map(|&record| layout.user_of(record))
            .collect();
        equal.users = Some(users);
    }
    Ok(Matcher::Equal(equal))
}

impl Node {
    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Constant(_) | Self::Within(_) => 0,
            Self::And(nodes) | Self::Or(nodes) => {
                nodes.capacity() * size_of::<Self>() + nodes.iter().map(Self::memory).sum::<usize>()
            }
            Self::Not(node) => size_of::<Self>() + node.memory(),
            Self::Test(test) => size_of::<Test>() + test.matcher.memory(),
        }
    }
}

impl Matcher {
    /// What an assertion is for entries without a matching value: false, or Undefined if what it asserts is not a value.
    fn otherwise(&self) -> Option<bool> {
        let is_value = match self {
            Self::Equal(equal) | Self::Class(_, equal) => equal.is_value,
            Self::OneOf(_, equals) => equals.iter().all(|equal| equal.is_value),
            Self::InChain(chain) => chain.equal.is_value,
            Self::Extended { inner, .. } => return inner.otherwise(),
            Self::Present | Self::Substrings(..) | Self::Order { .. } | Self::Bits { .. } => true,
        };
        is_value.then_some(false)
    }

    fn memory(&self) -> usize {
        match self {
            Self::Present | Self::Bits { .. } => 0,
            Self::Equal(equal) | Self::Class(_, equal) => equal.memory(),
            Self::OneOf(_, values) => values.memory(),
            Self::Substrings(_, parts) => parts.memory(),
            Self::Order { key, .. } => key.capacity(),
            Self::InChain(chain) => {
                size_of::<Chain>() + chain.groups.capacity() * size_of::<GroupIx>() + chain.equal.memory()
            }
            Self::Extended { inner, of_names, .. } => {
                let both = std::iter::once(inner).chain(of_names);
                both.map(|matcher| size_of::<Self>() + matcher.memory()).sum()
            }
        }
    }
}

/// Puts many equality assertions on one attribute together.
fn group_equalities(nodes: Vec<Node>) -> Vec<Node> {
    if nodes.len() < MIN_ONE_OF {
        return nodes;
    }
    let plain = |node: &Node| match node {
        Node::Test(test) => match &test.matcher {
            Matcher::Equal(equal)
                if !is_name(equal.syntax) && !test.attribute.is(AttributeId::MEMBER_UID) =>
            {
                Some((test.attribute, equal.syntax))
            }
            _ => None,
        },
        _ => None,
    };
    let mut grouped: Vec<Node> = Vec::new();
    let mut sets: Vec<(AttributeRef, Syntax, Vec<Node>)> = Vec::new();
    let mut places = HashMap::new();
    for node in nodes {
        let Some((attribute, syntax)) = plain(&node) else {
            grouped.push(node);
            continue;
        };
        let known = attribute.known.map(|known| known.key);
        let key = (attribute.first, attribute.second, known, syntax);
        let place = *places.entry(key).or_insert(sets.len());
        match sets.get_mut(place) {
            Some((_, _, nodes)) => nodes.push(node),
            None => sets.push((attribute, syntax, vec![node])),
        }
    }
    for (attribute, syntax, nodes) in sets {
        if nodes.len() < MIN_ONE_OF {
            grouped.extend(nodes);
            continue;
        }
        let mut one_of = Box::<OneOf>::default();
        for node in nodes {
            if let Node::Test(test) = node
                && let Matcher::Equal(equal) = test.matcher
            {
                one_of.insert(equal);
            }
        }
        let matcher = Matcher::OneOf(syntax, one_of);
        grouped.push(Node::Test(Box::new(Test::new(attribute, matcher))));
    }
    grouped
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod undefined_tests;
