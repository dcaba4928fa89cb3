//! Writes `docs/options.md` from the table of options. Knows the page's form only.

use std::fmt::Write as _;

use super::options::{OFFICIAL, OPTIONS, TOLERATED};
use super::setting::SettingScope;

/// The text of `docs/options.md`. `tests` keep that file equal to it.
#[must_use]
pub fn options_page() -> String {
    let mut page = String::from(
        "# Options\n\n\
         Made from the table in `src/config/options.rs`; `AKLDAP_WRITE_DOCS=1 cargo test --lib options_page` rewrites it.\n\n\
         Which of a flag, a variable and the configuration file applies: [what wins](configuration.md#what-wins). What happens to a\n\
         value that cannot be read: [errors](configuration.md#errors).\n\n\
         `--token-file` takes the path of a file: a token on the command line could be seen by everybody on the machine.\n\
         Every value may be `file:///path?fallback` (the trimmed content of a file) or\n\
         `env://VARIABLE?fallback`. Durations are `500ms`, `10s`, `5m`, `1h30m`, `1d` or plain seconds; sizes are bytes, `64KiB`\n\
         or `1MiB`; switches are `true` or `false`, also in the spellings\n\
         `True`, `TRUE`, `t`, `1` and their opposites.\n\n\
         A file may be a link, the standard input (`/dev/stdin`) or a pipe, such as the shell's `<(…)`. A pipe must end within a\n\
         minute, and is empty when it is read again. At most 64 KiB are read of a value, 1 MiB of a configuration file, certificate chain or\n\
         key, and 16 MiB of certificate authorities.\n\n## Official variables\n\n| variable | flag | default | meaning |\n| --- | --- | --- | --- |\n",
    );
    for setting in OFFICIAL {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            setting.variable(),
            setting
                .flag()
                .map_or_else(String::new, |flag| format!("`--{flag}`")),
            shown_default(&setting.default()),
            setting.help()
        );
    }
    page.push_str("\nAccepted without effect:\n\n| variable | why |\n| --- | --- |\n");
    for (variable, reason) in TOLERATED {
        let _ = writeln!(page, "| `{variable}` | {reason} |");
    }
    page.push_str(
        "\n## Options of this server\n\n`AUTHENTIK_LDAP__PAGE_SIZE` is an official variable too. A name under `AUTHENTIK_LDAP__` that is not in this table causes a\nwarning at start; other unknown `AUTHENTIK_…` names are ignored. An option for each *provider* may be in a provider's section of the\nconfiguration file, and SIGHUP applies it there; those for the *process* need a restart.\n\n\
         | variable | flag | for each | default | range | meaning |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for setting in OPTIONS {
        let _ = writeln!(
            page,
            "| `{}` | `--{}` | {} | {} | {} | {} |",
            setting.variable(),
            setting.flag().unwrap_or_default(),
            match setting.scope() {
                SettingScope::Process => "process",
                SettingScope::Provider => "provider",
            },
            shown_default(&setting.default()),
            setting.expected(),
            setting.help()
        );
    }
    page
}

fn shown_default(default: &str) -> String {
    if default.is_empty() {
        String::new()
    } else {
        format!("`{default}`")
    }
}
