//! What is odd in the directory, logged once and not at each refresh.

use std::collections::BTreeSet;

use akldap_directory::Warning;

/// Warnings that are logged one by one; more are only counted.
const MAX_WARNINGS: usize = 20;
/// Warnings remembered between two full loads.
const MAX_KNOWN: usize = 10_000;

/// What was odd in the last loads.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    known: BTreeSet<String>,
    now: BTreeSet<String>,
    /// The attributes that were logged as withheld, once and for all: how many users have them changes all the time.
    withheld: BTreeSet<&'static str>,
    /// The same of templates that fail, with why.
    failed: BTreeSet<(String, String)>,
}

impl Oddities {
    pub(super) fn add(&mut self, warning: impl ToString) {
        self.now.insert(warning.to_string());
    }

    /// Adds what was odd in a directory that was put together.
    pub(super) fn add_odd(&mut self, warning: &Warning) {
        if let Warning::TemplateFailed {
            attribute, problem, ..
        } = warning
        {
            let failure = (attribute.clone(), problem.clone());
            if self.failed.len() < MAX_KNOWN && self.failed.insert(failure) {
                tracing::warn!("{warning}");
            }
            return;
        }
        let Warning::PasswordsWithheld {
            attribute,
            users,
            groups,
        } = *warning
        else {
            return self.add(warning);
        };
        if self.withheld.insert(attribute) {
            tracing::warn!(
                attribute,
                users,
                groups,
                "an attribute that holds passwords is not served; AUTHENTIK_LDAP__SERVE_ATTRIBUTES={attribute} \
                 (--serve-attributes) would show it to anyone who may search"
            );
        }
    }

    /// Forgets what was added since the last report.
    pub(super) fn start(&mut self) {
        self.now.clear();
    }

    /// Logs what is new. After a full load only what was odd in it stays known, so that it is logged again if it
    /// comes back; a load of changes says nothing about the rest.
    pub(super) fn tell(&mut self, full: bool) {
        let fresh: Vec<&String> = self.now.difference(&self.known).collect();
        for warning in fresh.iter().take(MAX_WARNINGS) {
            tracing::warn!("{warning}");
        }
        if fresh.len() > MAX_WARNINGS {
            tracing::warn!(
                more = fresh.len() - MAX_WARNINGS,
                "further oddities in the directory are not listed"
            );
        }
        if full {
            self.known = std::mem::take(&mut self.now);
        } else if self.known.len() < MAX_KNOWN {
            self.known.append(&mut self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(oddities: &Oddities) -> Vec<&String> {
        oddities.now.difference(&oddities.known).collect()
    }

    #[test]
    fn a_withheld_attribute_is_told_once_whatever_its_number() {
        let mut oddities = Oddities::default();
        for users in [3, 4] {
            oddities.add_odd(&Warning::PasswordsWithheld {
                attribute: "userPassword",
                users,
                groups: 0,
            });
        }
        assert_eq!(oddities.withheld.len(), 1);
        assert!(fresh(&oddities).is_empty());
    }

    #[test]
    fn a_template_that_fails_is_told_once_whoever_it_is() {
        let mut oddities = Oddities::default();
        for count in [3, 4] {
            oddities.add_odd(&Warning::TemplateFailed {
                attribute: "uid".to_owned(),
                whose: akldap_directory::RecordName::User(format!("u{count}")),
                count,
                problem: "undefined value".to_owned(),
            });
        }
        assert_eq!(oddities.failed.len(), 1);
        assert!(fresh(&oddities).is_empty());
    }

    #[test]
    fn a_known_oddity_is_told_once_and_again_after_it_was_gone() {
        let mut oddities = Oddities::default();
        oddities.add("a");
        assert_eq!(fresh(&oddities), ["a"]);
        oddities.tell(true);
        oddities.start();
        oddities.tell(false);
        oddities.add("a");
        assert!(fresh(&oddities).is_empty());
        oddities.start();
        oddities.tell(true);
        oddities.add("a");
        assert_eq!(fresh(&oddities), ["a"]);
    }
}
