//! Whether an entry satisfies a compiled filter.
//!
//! Knows three-valued logic (RFC 4511 section 4.5.1.7) and how each matcher looks at values. Must not know how the
//! entry was found.

use std::cmp::Ordering;

use crate::filter::chain::Chain;
use crate::filter::equal::{Classes, Equal, is_name};
use crate::filter::node::{Matcher, Node, Test};
use crate::index::indexing::has_key;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::number::WrongNumber;
use crate::model::place::Entry;
use crate::schema::{self, Syntax};
use crate::values::digits::Digits;
use crate::values::syntax;
use crate::view::context::Context;
use crate::view::values::Values;
use akldap_ldap::steps;
use uuid::Uuid;

/// Work is counted in octets compared, about a nanosecond each, so that a search knows when to let others run. Looking
/// at anything costs this much, however small it is.
pub(crate) const STEP_WORK: usize = 32;
/// What an octet of a value beyond ASCII costs: it is normalised and folded by tables.
const UNICODE: usize = 32;

/// What it costs to look a membership up among those that an assertion stands for.
const MEMBERSHIP: usize = 16;

/// Assertions and connectives of a filter beyond which its evaluation on one entry is done in steps. That many cost at
/// least some ten thousand octets' worth.
const LARGE: usize = 256;

/// Whether an entry satisfies something; `None` is Undefined.
type Truth = Result<Option<bool>, WrongNumber>;

/// How far the evaluation of one And or Or went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    children: usize,
    /// What those give together.
    truth: Option<bool>,
}

/// What an evaluation needs besides its arguments: room for values that have to be put together, and the count of work.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    value: Vec<u8>,
    pub(crate) work: usize,
}

impl Scratch {
    /// Calls `test` with every value until it says yes.
    #[inline]
    fn any(
        &mut self,
        context: &Context<'_>,
        values: &Values<'_>,
        mut test: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, WrongNumber> {
        let Self { value: whole, work } = self;
        values.any(context, whole, |value| {
            *work += cost(value);
            steps::add(1 + value.len());
            test(value)
        })
    }
}

/// What it costs to prepare and compare a value.
fn cost(value: &[u8]) -> usize {
    STEP_WORK + value.len() * if value.is_ascii() { 1 } else { UNICODE }
}

impl Node {
    pub(crate) fn evaluate(&self, context: &Context<'_>, entry: Entry, scratch: &mut Scratch) -> Truth {
        match self {
            Self::Constant(truth) => Ok(*truth),
            Self::Within(within) => within.holds(context, entry).map(Some),
            Self::Test(test) => {
                scratch.work += STEP_WORK;
                steps::add(1);
                test.evaluate(context, entry, scratch)
            }
            Self::Not(node) => {
                let truth = node.evaluate(context, entry, scratch)?;
                Ok(truth.map(|truth| !truth))
            }
            Self::And(nodes) => conjunction(nodes.iter(), context, entry, scratch),
            Self::Or(nodes) => {
                let mut result = Some(false);
                for node in nodes {
                    match node.evaluate(context, entry, scratch)? {
                        Some(true) => return Ok(Some(true)),
                        None => result = None,
                        Some(false) => {}
                    }
                }
                Ok(result)
            }
        }
    }

    /// Whether the filter is so large that evaluating it on one entry may take more than one step of a search.
    pub(crate) fn is_large(&self) -> bool {
        fn count(node: &Node) -> usize {
            match node {
                Node::And(nodes) | Node::Or(nodes) => 1 + nodes.iter().map(count).sum::<usize>(),
                Node::Not(node) => count(node),
                Node::Constant(_) | Node::Test(_) | Node::Within(_) => 1,
            }
        }
        count(self) > LARGE
    }

    /// Continues evaluating the filter on an entry until `limit` is reached: then `None`, and `done` says where to
    /// continue. At the beginning and at the end `done` is empty.
    pub(crate) fn evaluate_in_steps(
        &self,
        context: &Context<'_>,
        entry: Entry,
        scratch: &mut Scratch,
        done: &mut Vec<Done>,
        limit: usize,
    ) -> Result<Option<Option<bool>>, WrongNumber> {
        self.go_on((context, entry, limit), scratch, done, 0)
    }

    fn go_on(
        &self,
        of: (&Context<'_>, Entry, usize),
        scratch: &mut Scratch,
        done: &mut Vec<Done>,
        depth: usize,
    ) -> Result<Option<Option<bool>>, WrongNumber> {
        let (nodes, decisive) = match self {
            Self::Not(node) => {
                let found = node.go_on(of, scratch, done, depth)?;
                return Ok(found.map(|truth| truth.map(|truth| !truth)));
            }
            Self::Constant(_) | Self::Test(_) | Self::Within(_) => {
                return self.evaluate(of.0, of.1, scratch).map(Some);
            }
            Self::And(nodes) => (nodes, false),
            Self::Or(nodes) => (nodes, true),
        };
        if done.len() == depth {
            done.push(Done {
                children: 0,
                truth: Some(!decisive),
            });
        }
        while let Some(&Done { children, truth }) = done.get(depth) {
            let Some(node) = nodes.get(children) else {
                done.truncate(depth);
                return Ok(Some(truth));
            };
            if scratch.work >= of.2 {
                return Ok(None);
            }
            let Some(found) = node.go_on(of, scratch, done, depth + 1)? else {
                return Ok(None);
            };
            if found == Some(decisive) {
                done.truncate(depth);
                return Ok(Some(found));
            }
            if let Some(state) = done.get_mut(depth) {
                state.children += 1;
                state.truth = found.and(state.truth);
            }
        }
        Ok(None)
    }

    /// Whether an entry satisfies the filter if it satisfies one of its conjuncts.
    pub(crate) fn evaluate_without(
        &self,
        proved: usize,
        context: &Context<'_>,
        entry: Entry,
        scratch: &mut Scratch,
    ) -> Truth {
        let Self::And(nodes) = self else {
            return self.evaluate(context, entry, scratch);
        };
        let rest = nodes.iter().enumerate();
        let rest = rest.filter_map(|(index, node)| (index != proved).then_some(node));
        conjunction(rest, context, entry, scratch)
    }
}

fn conjunction<'n>(
    nodes: impl Iterator<Item = &'n Node>,
    context: &Context<'_>,
    entry: Entry,
    scratch: &mut Scratch,
) -> Truth {
    let mut result = Some(true);
    for node in nodes {
        match node.evaluate(context, entry, scratch)? {
            Some(false) => return Ok(Some(false)),
            None => result = None,
            Some(true) => {}
        }
    }
    Ok(result)
}

impl Test {
    fn evaluate(&self, context: &Context<'_>, entry: Entry, scratch: &mut Scratch) -> Truth {
        if let Matcher::Extended {
            inner,
            of_names,
            rule,
            of_dn,
            all,
        } = &self.matcher
        {
            let inner = OfSyntax {
                others: inner,
                names: of_names.as_deref().unwrap_or(inner),
            };
            let found = if *all {
                self.any_attribute(context, entry, inner, *rule, scratch)?
            } else {
                self.named_attribute(context, entry, inner.others, scratch)?
            };
            let found = found || (*of_dn && self.any_of_dn(context, entry, inner, *rule, *all, scratch)?);
            return Ok(self.truth(found));
        }
        let found = self.named_attribute(context, entry, &self.matcher, scratch)?;
        Ok(self.truth(found))
    }

    #[inline]
    fn truth(&self, matches: bool) -> Option<bool> {
        if matches { Some(true) } else { self.otherwise }
    }

    fn named_attribute(
        &self,
        context: &Context<'_>,
        entry: Entry,
        matcher: &Matcher,
        scratch: &mut Scratch,
    ) -> Result<bool, WrongNumber> {
        if let Matcher::Class(classes, _) = matcher
            && let Some(truth) = of_class(context, entry, classes)?
        {
            return Ok(truth);
        }
        let Some(attribute) = context.find(entry, &self.attribute)? else {
            return Ok(false);
        };
        let values = attribute.values()?;
        match matcher {
            // An unset e-mail address is shown as an empty value, but counts as none.
            Matcher::Present if self.attribute.any(AttributeId::may_be_unset) => {
                scratch.any(context, &values, |value| !value.is_empty())
            }
            Matcher::InChain(chain) => chain.matches(context, entry, &values, scratch),
            _ => matcher.matches(context, &values, scratch),
        }
    }

    /// `(:rule:=value)`: all attributes the rule applies to.
    fn any_attribute(
        &self,
        context: &Context<'_>,
        entry: Entry,
        matcher: OfSyntax<'_>,
        rule: Option<&schema::MatchingRule>,
        scratch: &mut Scratch,
    ) -> Result<bool, WrongNumber> {
        let applies = |syntax| rule.is_none_or(|rule| rule.applies_to(syntax));
        if let Some(held) = context.held(entry)? {
            for attribute in encoded::attributes(&held.block) {
                let (name, set) = attribute?;
                let syntax = schema::syntax_of(name);
                if applies(syntax) && matcher.of(syntax).matches(context, &Values::Set(set), scratch)? {
                    return Ok(true);
                }
            }
        }
        let attributes = &context.snapshot.records.attributes;
        for id in attributes.ids() {
            scratch.work += STEP_WORK;
            steps::add(1);
            let hidden = id == AttributeId::RDN || id == AttributeId::USER_UID;
            let syntax = attributes.syntax(id)?;
            if hidden || !applies(syntax) {
                continue;
            }
            if let Some(attribute) = context.attribute(entry, id)?
                && matcher
                    .of(syntax)
                    .matches(context, &attribute.values()?, scratch)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `(attribute:dn:=value)`: the attributes of the entry's DN.
    fn any_of_dn(
        &self,
        context: &Context<'_>,
        entry: Entry,
        matcher: OfSyntax<'_>,
        rule: Option<&schema::MatchingRule>,
        all: bool,
        scratch: &mut Scratch,
    ) -> Result<bool, WrongNumber> {
        let wanted = self.attribute.known.map(|known| known.key);
        let mut check = |attribute: &str, value: &[u8]| {
            let key = schema::canonical_name(attribute.as_bytes());
            let syntax = schema::syntax_of(attribute.as_bytes());
            let applies = match all {
                true => rule.is_none_or(|rule| rule.applies_to(syntax)),
                false => wanted == Some(&*key),
            };
            let matcher = if all { matcher.of(syntax) } else { matcher.others };
            match applies {
                true => matcher.matches(context, &Values::Text(value), scratch),
                false => Ok(false),
            }
        };
        let records = &context.snapshot.records;
        let (container, branch) = context.unit_of(entry)?;
        if let Some(record) = records.layout.record_of(entry)?
            && check(context.rdn_attribute(entry), records.name(record)?)?
        {
            return Ok(true);
        }
        for unit in records.branches.upwards(branch) {
            if check("ou", unit?.1.name.as_bytes())? {
                return Ok(true);
            }
        }
        if let Some(ou) = context.tree.unit_name(container)
            && check("ou", ou.as_bytes())?
        {
            return Ok(true);
        }
        for assertion in context.tree.base().rdns.iter().flat_map(|rdn| &rdn.assertions) {
            if check(&assertion.attribute, &assertion.value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The matcher of a rule for names of accounts, and that for all other values.
#[derive(Clone, Copy)]
struct OfSyntax<'m> {
    names: &'m Matcher,
    others: &'m Matcher,
}

impl<'m> OfSyntax<'m> {
    fn of(self, syntax: Syntax) -> &'m Matcher {
        if syntax == Syntax::AccountName {
            self.names
        } else {
            self.others
        }
    }
}

/// Whether an entry of a kind has a class; `None` if its values have to be looked at.
fn of_class(context: &Context<'_>, entry: Entry, classes: &Classes) -> Truth {
    let truth = match entry {
        Entry::User(_) => classes.users,
        Entry::Group(_) => classes.groups,
        Entry::VirtualGroup(_) => return Ok(Some(classes.virtual_groups)),
        Entry::Container(_) | Entry::Branch(_) => return Ok(None),
    };
    let records = &context.snapshot.records;
    let Some(record) = records.layout.record_of(entry)? else {
        return Ok(None);
    };
    let replaced = records.get(record)?.overrides(AttributeId::OBJECT_CLASS);
    Ok((!replaced).then_some(truth))
}

impl Matcher {
    fn matches(
        &self,
        context: &Context<'_>,
        values: &Values<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, WrongNumber> {
        match self {
            Self::Present => Ok(!values.is_empty()),
            Self::Equal(equal) | Self::Class(_, equal) => equal.matches(context, values, scratch),
            Self::OneOf(syntax, values_wanted) => scratch.any(context, values, |value| {
                values_wanted.contains(&syntax::equality_key(*syntax, value))
            }),
            Self::Substrings(syntax, parts) => scratch.any(context, values, |value| {
                parts.matches(&syntax::substring_value(*syntax, value))
            }),
            Self::Order {
                syntax,
                key,
                wanted,
                strict,
            } => scratch.any(context, values, |value| {
                syntax::ordering_key(*syntax, value).is_some_and(|own| match (*own).cmp(key.as_slice()) {
                    Ordering::Equal => !strict,
                    other => other == *wanted,
                })
            }),
            Self::Bits { mask, all } => scratch.any(context, values, |value| {
                let number = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.trim().parse::<i64>().ok());
                number.is_some_and(|number| {
                    if *all {
                        number & mask == *mask
                    } else {
                        number & mask != 0
                    }
                })
            }),
            Self::InChain(chain) => chain.equal.matches(context, values, scratch),
            Self::Extended { inner, .. } => inner.matches(context, values, scratch),
        }
    }
}

impl Equal {
    fn matches(
        &self,
        context: &Context<'_>,
        values: &Values<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, WrongNumber> {
        Ok(match *values {
            Values::Number(number) if self.syntax == Syntax::Integer => {
                *Digits::new(number).as_bytes() == *self.key()
            }
            Values::Uuid(uuid) if self.syntax == Syntax::Uuid => {
                let mut digits = [0; 32];
                *Uuid::from_bytes(uuid)
                    .as_simple()
                    .encode_lower(&mut digits)
                    .as_bytes()
                    == *self.key()
            }
            Values::Dn(entry) if is_name(self.syntax) => self.entries.contains(&entry),
            Values::Dns { users, groups } if is_name(self.syntax) => {
                self.entries.iter().any(|entry| match entry {
                    Entry::User(user) => users.binary_search(user).is_ok(),
                    Entry::Group(group) => groups.binary_search(group).is_ok(),
                    _ => false,
                })
            }
            Values::Names(users) if self.users.is_some() => self
                .users
                .iter()
                .flatten()
                .any(|user| users.binary_search(user).is_ok()),
            _ => {
                return scratch.any(context, values, |value| has_key(self.syntax, value, self.key()));
            }
        })
    }
}

impl Chain {
    fn matches(
        &self,
        context: &Context<'_>,
        entry: Entry,
        values: &Values<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, WrongNumber> {
        match (*values, entry) {
            (Values::Dns { .. }, Entry::Group(group)) if self.upwards => {
                Ok(self.groups.binary_search(&group).is_ok())
            }
            (Values::Dns { groups, .. }, _) if !self.upwards => {
                scratch.work += groups.len() * MEMBERSHIP;
                let mut groups = groups.iter();
                Ok(groups.any(|group| self.groups.binary_search(group).is_ok()))
            }
            _ => self.equal.matches(context, values, scratch),
        }
    }
}
