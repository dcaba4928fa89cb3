//! One entry in the table of options: its name, flag, kind, default and help. The kind decides how the text is read, what
//! it is read into and what a default can be, so none of them can disagree. Knows no setting by name.

use super::value::Unreadable;

/// One variable, read as `K` says.
#[derive(Debug)]
pub(super) struct Setting<K: ValueKind> {
    /// The environment variable.
    pub(super) variable: &'static str,
    /// The flag without its dashes. Most variables that authentik's deployments set have none.
    flag: Option<&'static str>,
    /// How the text is read, and the range of the value.
    pub(super) kind: K,
    /// What applies when it is unset.
    pub(super) default: K::Default,
    /// What it does, and why the default is what it is.
    help: &'static str,
    /// Whether it can differ from provider to provider.
    scope: SettingScope,
}

/// What a setting applies to, and so when a change of it takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingScope {
    /// For the whole process, which reads it when it starts.
    Process,
    /// For each provider: it may be in a provider's section of the configuration file, and SIGHUP applies it.
    Provider,
}

impl<K: ValueKind> Setting<K> {
    /// The same setting, for each provider.
    pub(super) const fn of_provider(mut self) -> Self {
        self.scope = SettingScope::Provider;
        self
    }
}

/// A variable of authentik's own outpost.
pub(super) const fn official<K: ValueKind>(
    variable: &'static str,
    kind: K,
    default: K::Default,
    help: &'static str,
) -> Setting<K> {
    Setting {
        variable,
        flag: None,
        kind,
        default,
        help,
        scope: SettingScope::Process,
    }
}

impl<K: ValueKind> Setting<K> {
    /// The same setting, with a flag.
    pub(super) const fn with_flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }
}

/// An option of this server, which is a flag too.
pub(super) const fn own<K: ValueKind>(
    variable: &'static str,
    flag: &'static str,
    kind: K,
    default: K::Default,
    help: &'static str,
) -> Setting<K> {
    Setting {
        variable,
        flag: Some(flag),
        kind,
        default,
        help,
        scope: SettingScope::Process,
    }
}

/// A kind of value.
pub(super) trait ValueKind: Sync + 'static {
    /// What the text is read into.
    type Value;

    /// What the table holds for a setting that is unset.
    type Default: Sync + 'static;

    /// The word for the value in `--help`.
    const PLACEHOLDER: &'static str;

    /// Whether the flag alone means true.
    const SWITCH: bool = false;

    /// Whether the value must not be shown.
    const SECRET: bool = false;

    /// Whether blanks around the text belong to the value.
    const BLANKS: bool = false;

    /// Whether the value is a list, whose parts are separated by commas in a variable and may be an array in a file.
    const LIST: bool = false;

    /// What belongs there, for an error message.
    fn expected(&self) -> String;

    /// Reads a text that is not blank.
    fn read(&self, text: &str) -> Result<Self::Value, Unreadable>;

    /// The value when unset. `None`: it must be set.
    fn unset(&self, _default: &Self::Default) -> Option<Self::Value> {
        None
    }

    /// The default as an admin would write it. Empty: none.
    fn shown(&self, _default: &Self::Default) -> String {
        String::new()
    }
}

/// A setting of whatever kind, as the command line, its help and the page of options show it.
pub trait AnySetting: Sync {
    /// The environment variable.
    fn variable(&self) -> &'static str;

    /// The flag without its dashes, if there is one.
    fn flag(&self) -> Option<&'static str>;

    /// The value when unset, as an admin would write it. Empty: none.
    fn default(&self) -> String;

    /// What it does, and why the default is what it is.
    fn help(&self) -> &'static str;

    /// What belongs there, for an error message.
    fn expected(&self) -> String;

    /// The word for the value in `--help`.
    fn placeholder(&self) -> &'static str;

    /// Whether the flag alone means true.
    fn is_switch(&self) -> bool;

    /// Whether the value must not be shown.
    fn is_secret(&self) -> bool;

    /// Whether it must be set.
    fn is_required(&self) -> bool;

    /// Whether the value is a list.
    fn is_list(&self) -> bool;

    /// What it applies to.
    fn scope(&self) -> SettingScope;

    /// Its name in the configuration file: that of the variable in lower case, without the common prefix.
    fn key(&self) -> String {
        let variable = self.variable();
        let own = variable.strip_prefix("AUTHENTIK_LDAP__");
        let tail = own.or_else(|| variable.strip_prefix("AUTHENTIK_"));
        tail.unwrap_or(variable).replace("__", "_").to_ascii_lowercase()
    }

    /// Whether a text that is not blank can be read.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, text: &str) -> Result<(), Unreadable>;
}

impl<K: ValueKind> AnySetting for Setting<K> {
    fn variable(&self) -> &'static str {
        self.variable
    }

    fn flag(&self) -> Option<&'static str> {
        self.flag
    }

    fn default(&self) -> String {
        self.kind.shown(&self.default)
    }

    fn help(&self) -> &'static str {
        self.help
    }

    fn expected(&self) -> String {
        self.kind.expected()
    }

    fn placeholder(&self) -> &'static str {
        K::PLACEHOLDER
    }

    fn is_switch(&self) -> bool {
        K::SWITCH
    }

    fn is_secret(&self) -> bool {
        K::SECRET
    }

    fn is_required(&self) -> bool {
        self.kind.unset(&self.default).is_none()
    }

    fn is_list(&self) -> bool {
        K::LIST
    }

    fn scope(&self) -> SettingScope {
        self.scope
    }

    fn check(&self, text: &str) -> Result<(), Unreadable> {
        let text = if K::BLANKS { text } else { text.trim() };
        self.kind.read(text).map(drop)
    }
}
