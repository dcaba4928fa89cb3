//! Reads the option that names attributes that hold passwords but are still served.

use akldap_directory::password_attributes::{PASSWORD_ATTRIBUTES, index_of};

use super::value::Unreadable;

/// A comma-separated list of them, whatever the case; each is taken once.
pub(super) fn read(text: &str) -> Result<Vec<&'static str>, Unreadable> {
    let mut names: Vec<&'static str> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let known = index_of(name.as_bytes())
            .and_then(|index| PASSWORD_ATTRIBUTES.get(index))
            .ok_or(Unreadable::PLAIN)?;
        if !names.contains(known) {
            names.push(known);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, StringMap};

    const NAME: &str = "AUTHENTIK_LDAP__SERVE_ATTRIBUTES";

    fn config(text: &str) -> Result<Vec<&'static str>, String> {
        let strings: StringMap = [
            ("AUTHENTIK_HOST", "https://a.example"),
            ("AUTHENTIK_TOKEN", "t"),
            (NAME, text),
        ]
        .into_iter()
        .collect();
        Config::read(&strings)
            .map(|config| config.served_passwords)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn password_attributes_are_named_in_any_case() {
        assert_eq!(config(""), Ok(vec![]));
        assert_eq!(
            config("sambantpassword, userPassword,USERPASSWORD"),
            Ok(vec!["sambaNTPassword", "userPassword"])
        );
    }

    #[test]
    fn what_is_no_password_attribute_is_refused_with_the_known_ones_named() {
        for text in ["memberOf", "userPassword loginShell", "*"] {
            let message = config(text).expect_err(text);
            assert!(
                message.starts_with(NAME) && message.contains("krbPrincipalKey"),
                "{message}"
            );
        }
    }
}
