//! Debian's slapd with the same directory: the yardstick. The LDIF is what akldap answers, so that both serve the same
//! entries with the same attributes as far as OpenLDAP's schema lets them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ldap3_proto::proto::LdapSearchResultEntry;

use super::dump::write_line;
use akldap_testing::released::password;
use akldap_workload::process::{self, Process};

const PROGRAM: &str = "/usr/sbin/slapd";
const SCHEMA: &str = "/etc/ldap/schema";
const CONFIGURATION: &str = "slapd.conf";
/// Written when a database is loaded whole.
const LOADED: &str = "loaded";
const SCHEMAS: [&str; 4] = ["core", "cosine", "inetorgperson", "nis"];
/// Object classes of our own that slapd gets a definition of; the name is made plain, for slapd knows no dots and
/// slashes in names.
const CLASSES_KNOWN: [&str; 9] = [
    "top",
    "person",
    "organizationalperson",
    "inetorgperson",
    "posixaccount",
    "organizationalunit",
    "domain",
    "dcobject",
    "groupofnames",
];
/// Attributes that slapd fills in itself, or that nobody may define.
const ATTRIBUTES_OF_SLAPD: [&str; 15] = [
    "objectclass",
    "structuralobjectclass",
    "entrydn",
    "subschemasubentry",
    "hassubordinates",
    "numsubordinates",
    "createtimestamp",
    "modifytimestamp",
    "creatorsname",
    "modifiersname",
    "entryuuid",
    "pwdchangedtime",
    "userpassword",
    "entrycsn",
    "vendorname",
];
/// Attributes slapd knows without a schema file.
const BUILT_IN: [&str; 9] = [
    "cn",
    "uid",
    "ou",
    "dc",
    "description",
    "name",
    "uidnumber",
    "gidnumber",
    "labeleduri",
];
/// Attributes whose values are DNs.
const NAMES: [&str; 4] = ["memberof", "member", "uniquemember", "manager"];
/// The indexes a careful administrator makes for these searches.
const INDEXES: &str = "
index objectClass eq
index uid,cn,mail,displayName,sAMAccountName eq,sub
index entryUUID eq
index member,memberOf eq
index uidNumber,gidNumber eq
";

/// Why there is no slapd, if there is none.
pub fn missing() -> Option<String> {
    (!Path::new(PROGRAM).exists()).then(|| format!("{PROGRAM} is not installed (apt-get install slapd)"))
}

/// Writes the LDIF while the directory is read.
pub struct Ldif {
    folder: PathBuf,
    above: BufWriter<File>,
    below: BufWriter<File>,
    attributes: BTreeSet<String>,
    classes: BTreeSet<String>,
}

impl Ldif {
    /// Begins.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let create = |name: &str| Ok::<_, io::Error>(BufWriter::new(File::create(folder.join(name))?));
        Ok(Self {
            folder: folder.to_owned(),
            above: create("above.ldif")?,
            below: create("below.ldif")?,
            attributes: BTreeSet::new(),
            classes: BTreeSet::new(),
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn add(&mut self, entry: &LdapSearchResultEntry) -> anyhow::Result<()> {
        let name = entry.dn.to_lowercase();
        let mut text = Vec::with_capacity(1024);
        write_line(&mut text, "dn", entry.dn.as_bytes())?;
        let structural = match &name {
            name if name.starts_with("dc=") => "domain",
            name if name.starts_with("ou=") => "organizationalUnit",
            name if name.contains(",ou=users,") => "inetOrgPerson",
            _ => "benchGroup",
        };
        write_line(&mut text, "objectClass", structural.as_bytes())?;
        write_line(&mut text, "objectClass", b"extensibleObject")?;
        for attribute in &entry.attributes {
            let folded = attribute.atype.to_lowercase();
            if folded == "objectclass" {
                for class in &attribute.vals {
                    self.add_class(&String::from_utf8_lossy(class), structural, &mut text)?;
                }
                continue;
            }
            // Containers say more about themselves here than OpenLDAP's schema can.
            if matches!(structural, "domain" | "organizationalUnit")
                && !matches!(folded.as_str(), "dc" | "ou")
            {
                continue;
            }
            let servable = folded
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
            let own = ATTRIBUTES_OF_SLAPD.contains(&folded.as_str()) && folded != "entryuuid";
            if own || !servable || attribute.vals.iter().any(Vec::is_empty) {
                continue;
            }
            for value in &attribute.vals {
                write_line(&mut text, &attribute.atype, value)?;
            }
            self.attributes.insert(attribute.atype.clone());
        }
        if structural == "inetOrgPerson" {
            let name = entry
                .attributes
                .iter()
                .find(|attribute| attribute.atype.eq_ignore_ascii_case("cn"));
            if let Some(name) = name.and_then(|attribute| attribute.vals.first()) {
                let password = password(&String::from_utf8_lossy(name));
                write_line(&mut text, "userPassword", password.as_bytes())?;
            }
        }
        text.push(b'\n');
        // Parents must come first.
        let out = if name.starts_with("cn=") {
            &mut self.below
        } else {
            &mut self.above
        };
        out.write_all(&text)?;
        Ok(())
    }

    fn add_class(&mut self, class: &str, structural: &str, text: &mut Vec<u8>) -> io::Result<()> {
        let plain: String = class
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '-'
                }
            })
            .collect();
        let folded = plain.to_lowercase();
        // A group of slapd's own kind must have members, and an entry has one structural class.
        let clash = [
            "groupofnames",
            "groupofuniquenames",
            "posixgroup",
            "domain",
            "organizationalunit",
            "top",
        ];
        if folded == structural.to_lowercase() || clash.contains(&folded.as_str()) {
            return Ok(());
        }
        if !CLASSES_KNOWN.contains(&folded.as_str()) {
            self.classes.insert(plain.clone());
        }
        write_line(text, "objectClass", plain.as_bytes())
    }

    /// Loads it into a new database and starts slapd on it.
    ///
    /// # Errors
    /// When slapd does not take it or does not start.
    pub fn serve(mut self, base: &str) -> anyhow::Result<Slapd> {
        self.above.flush()?;
        self.below.flush()?;
        let mut ldif = File::create(self.folder.join("all.ldif"))?;
        for name in ["above.ldif", "below.ldif"] {
            io::copy(&mut File::open(self.folder.join(name))?, &mut ldif)?;
            fs::remove_file(self.folder.join(name))?;
        }
        fs::write(self.folder.join("bench.schema"), self.schema()?)?;
        let database = self.folder.join("slapd");
        fs::create_dir(&database)?;
        let configuration = self.folder.join(CONFIGURATION);
        fs::write(&configuration, self.configuration(base, &database))?;
        let begin = Instant::now();
        let output = Command::new(PROGRAM)
            .args(["-T", "add", "-q", "-s", "-f"])
            .arg(&configuration)
            .arg("-l")
            .arg(self.folder.join("all.ldif"))
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!("slapadd: {}", String::from_utf8_lossy(&output.stderr));
        }
        let loaded = begin.elapsed();
        fs::remove_file(self.folder.join("all.ldif"))?;
        fs::write(self.folder.join(LOADED), "")?;
        Ok(Slapd {
            loaded,
            ..Slapd::start(&self.folder)?
        })
    }

    fn configuration(&self, base: &str, database: &Path) -> String {
        let (folder, database) = (self.folder.display(), database.display());
        let mut text = String::new();
        for name in SCHEMAS {
            let _ = writeln!(text, "include {SCHEMA}/{name}.schema");
        }
        let _ = write!(
            text,
            "include {folder}/bench.schema
modulepath /usr/lib/ldap
moduleload back_mdb
sizelimit unlimited
loglevel 0
database mdb
suffix \"{base}\"
rootdn \"cn=admin,{base}\"
directory {database}
maxsize 17179869184
access to attrs=userPassword by anonymous auth by * none
access to * by * read
{INDEXES}"
        );
        text
    }

    /// Definitions of what OpenLDAP's own schemas lack.
    fn schema(&self) -> anyhow::Result<String> {
        let mut known = String::new();
        for name in SCHEMAS {
            let text = fs::read_to_string(format!("{SCHEMA}/{name}.schema"))
                .context("OpenLDAP's schemas")?
                .to_lowercase();
            let mut of_attribute = false;
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                if line.starts_with(char::is_alphabetic) {
                    of_attribute = line.starts_with("attributetype");
                }
                if of_attribute {
                    known += line;
                }
            }
        }
        let defined = |name: &str| known.contains(&format!("'{name}'")) || BUILT_IN.contains(&name);
        let mut text = String::new();
        let folded: BTreeSet<String> = self.attributes.iter().map(|name| name.to_lowercase()).collect();
        for (number, name) in folded.iter().enumerate() {
            if defined(name) || ATTRIBUTES_OF_SLAPD.contains(&name.as_str()) {
                continue;
            }
            let (equality, syntax) = if NAMES.contains(&name.as_str()) {
                ("EQUALITY distinguishedNameMatch", "1.3.6.1.4.1.1466.115.121.1.12")
            } else {
                (
                    "EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch",
                    "1.3.6.1.4.1.1466.115.121.1.15",
                )
            };
            let _ = writeln!(
                text,
                "attributetype ( 1.3.6.1.4.1.4203.666.77.1.{number} NAME '{}' {equality} SYNTAX {syntax} )",
                self.spelling(name)
            );
        }
        let _ = writeln!(
            text,
            "objectclass ( 1.3.6.1.4.1.4203.666.77.2 NAME 'benchGroup' SUP top STRUCTURAL MUST cn MAY member )"
        );
        for (number, class) in self.classes.iter().enumerate() {
            let _ = writeln!(
                text,
                "objectclass ( 1.3.6.1.4.1.4203.666.77.3.{number} NAME '{class}' SUP top AUXILIARY )"
            );
        }
        Ok(text)
    }

    fn spelling<'a>(&'a self, folded: &'a str) -> &'a str {
        self.attributes
            .iter()
            .find(|name| name.to_lowercase() == folded)
            .map_or(folded, String::as_str)
    }
}

/// A running slapd.
pub struct Slapd {
    /// The server.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long `slapadd` took: nothing where the database was there.
    pub loaded: Duration,
}

impl Slapd {
    /// Whether a database was loaded into this folder before.
    pub fn loaded_into(folder: &Path) -> bool {
        folder.join(LOADED).exists()
    }

    /// Starts slapd on the database that was loaded into this folder.
    ///
    /// # Errors
    /// When slapd does not start.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let address = process::free_address()?;
        let mut command = Command::new(PROGRAM);
        command.arg("-f").arg(folder.join(CONFIGURATION)).args([
            "-d",
            "0",
            "-h",
            &format!("ldap://{address}"),
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::start(&mut command)?;
        process.wait_for_port(address)?;
        Ok(Self {
            process,
            address,
            loaded: Duration::ZERO,
        })
    }
}
