//! What a test needs from the machine it runs on, and a note of how the test ended.
//!
//! A test that lacks something says so and ends, unless `AKLDAP_REQUIRE_CLIENTS` is set; `client_test` shows it as ignored. The
//! notes are what `docs/compatibility.md` is written from, see `compatibility`.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::PYTHON;

/// Something a test needs.
#[derive(Clone, Copy, Debug)]
pub enum Need<'a> {
    /// A program in the path.
    Program(&'a str),
    /// A curl that was built with LDAP.
    CurlWithLdap,
    /// A module of Debian's Python.
    PythonModule(&'a str),
    /// An extension of PHP.
    PhpExtension(&'a str),
    /// A module of Perl.
    PerlModule(&'a str),
    /// A library of Ruby.
    RubyLibrary(&'a str),
    /// A file or folder, and what it belongs to.
    File(&'a str, &'a str),
    /// A package of npm where `.ci/run` puts them.
    NodePackage(&'a str),
    /// A private view of the machine: see `machine`.
    PrivateMachine,
}

impl Need<'_> {
    fn name(self) -> String {
        match self {
            Self::Program(name) => name.to_owned(),
            Self::CurlWithLdap => "curl with LDAP".to_owned(),
            Self::PythonModule(name) => format!("the Python module {name}"),
            Self::PhpExtension(name) => format!("PHP with the extension {name}"),
            Self::PerlModule(name) => format!("the Perl module {name}"),
            Self::RubyLibrary(name) => format!("the Ruby library {name}"),
            Self::File(_, name) => name.to_owned(),
            Self::NodePackage(name) => format!("the npm package {name}"),
            Self::PrivateMachine => "a private view of the machine (root and unshare)".to_owned(),
        }
    }

    /// How to get it.
    fn source(self) -> String {
        let name = match self {
            Self::NodePackage(_) => return ".ci/run puts it beside the build".to_owned(),
            Self::PrivateMachine => return "run the tests as root, where unshare is allowed".to_owned(),
            Self::CurlWithLdap => "curl",
            Self::PhpExtension(_) => "php",
            Self::File(_, name)
            | Self::Program(name)
            | Self::PythonModule(name)
            | Self::PerlModule(name)
            | Self::RubyLibrary(name) => name,
        };
        match PACKAGES.iter().find(|(_, names)| names.contains(&name)) {
            Some((package, _)) => format!("apt-get install {package}"),
            None => ".ci/run puts it beside the build".to_owned(),
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Program(name) => in_path(name),
            Self::CurlWithLdap => Command::new("curl")
                .arg("--version")
                .output()
                .is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains(" ldap ")),
            Self::PythonModule(name) => {
                Path::new(PYTHON).is_file() && says_yes(PYTHON, &["-c", &format!("import {name}")])
            }
            Self::PhpExtension(name) => {
                let asked = format!("exit(extension_loaded('{name}') ? 0 : 1);");
                says_yes("php", &["-r", &asked])
            }
            Self::PerlModule(name) => says_yes("perl", &[&format!("-M{name}"), "-e", "1"]),
            Self::RubyLibrary(name) => says_yes("ruby", &["-e", &format!("require '{name}'")]),
            Self::File(path, _) => Path::new(path).exists(),
            Self::NodePackage(name) => node_modules().join(name).is_dir(),
            Self::PrivateMachine => {
                says_yes("unshare", &["--mount", "--pid", "--fork", "--mount-proc", "true"])
            }
        }
    }
}

/// The packages of Debian, and which programs, modules and files they bring.
const PACKAGES: &[(&str, &[&str])] = &[
    ("apache2-bin", &["apache2", "mod_authnz_ldap"]),
    ("curl", &["curl"]),
    ("default-jdk-headless", &["javac"]),
    ("dovecot-ldap", &["dovecot", "dovecot-ldap"]),
    ("freeradius-ldap", &["freeradius", "freeradius-ldap"]),
    ("freeradius-utils", &["radclient"]),
    ("golang-go", &["go"]),
    ("haproxy", &["haproxy"]),
    (
        "ldap-utils",
        &[
            "ldapcompare",
            "ldapexop",
            "ldapmodify",
            "ldappasswd",
            "ldapsearch",
            "ldapwhoami",
        ],
    ),
    ("libio-socket-ssl-perl", &["IO::Socket::SSL"]),
    ("libnet-ldap-perl", &["Net::LDAP"]),
    ("nginx", &["nginx"]),
    ("nodejs", &["node"]),
    ("nslcd", &["nslcd", "nslcd's configuration"]),
    ("openssl", &["openssl"]),
    ("pamtester", &["pamtester"]),
    ("php-cli php-ldap php-mbstring php-xml", &["php"]),
    ("postfix-ldap", &["postmap", "postfix-ldap"]),
    ("prometheus", &["prometheus", "promtool"]),
    ("python3-ldap", &["ldap"]),
    ("python3-ldap3", &["ldap3"]),
    ("ruby-net-ldap", &["net/ldap"]),
    ("slapd", &["slapd"]),
    ("sssd-ldap", &["sssd"]),
];

thread_local! {
    /// What the test of this thread lacks.
    static MISSING: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What the test that ran on this thread lacked.
pub fn missing() -> Option<String> {
    MISSING.take()
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn says_yes(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where `.ci/run` puts what comes from no package: next to the build, so that nothing ends up in the project or the machine.
pub fn kept() -> PathBuf {
    crate::target().join("clients")
}

/// Where the packages of npm are.
pub fn node_modules() -> PathBuf {
    kept().join("node/node_modules")
}

/// A running test. When it ends, so does the note: `passed`, `failed`, or what the client cannot do.
#[derive(Debug)]
pub struct Exercise {
    note: Option<PathBuf>,
    beyond: Cell<Option<&'static str>>,
}

/// The beginning of the note of a test that has seen its client fail at what the test is about; the reason follows.
pub const BEYOND: &str = "client cannot: ";

impl Exercise {
    /// Notes that the client itself cannot do what the test is about, as the test has just seen, and why.
    pub fn is_beyond_the_client(&self, why: &'static str) {
        println!("{BEYOND}{why}");
        self.beyond.set(Some(why));
    }
}

/// Where notes are.
pub fn notes() -> PathBuf {
    kept().join("results")
}

/// The note of a test; none when the tests run without a thread each, which only costs the note.
fn note() -> Option<PathBuf> {
    let thread = std::thread::current();
    let test = thread.name().filter(|name| name.contains("::"))?;
    let folder = notes();
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join(test.replace("::", ".")))
}

/// Begins a test; `None` when something it needs is missing.
#[track_caller]
pub fn exercise(needs: &[Need<'_>]) -> Option<Exercise> {
    let note = note();
    if let Some(need) = needs.iter().find(|need| !need.is_there()) {
        skip(&format!("{} is not installed: {}", need.name(), need.source()));
        write(note.as_deref(), "not installed");
        return None;
    }
    Some(Exercise {
        note,
        beyond: Cell::new(None),
    })
}

/// Says that a test is skipped, and why. With `AKLDAP_REQUIRE_CLIENTS` it fails instead.
#[track_caller]
pub fn skip(why: &str) {
    assert!(std::env::var_os("AKLDAP_REQUIRE_CLIENTS").is_none(), "{why}");
    println!("skipped: {why}");
    MISSING.set(Some(why.to_owned()));
}

fn write(note: Option<&Path>, text: &str) {
    if let Some(note) = note {
        // A note that cannot be kept costs a line in a table, not a test.
        let _ = std::fs::write(note, text);
    }
}

impl Drop for Exercise {
    fn drop(&mut self) {
        let end = match self.beyond.get() {
            _ if std::thread::panicking() => "failed".to_owned(),
            Some(why) => format!("{BEYOND}{why}"),
            None => "passed".to_owned(),
        };
        write(self.note.as_deref(), &end);
    }
}
