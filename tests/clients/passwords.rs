//! Changes of passwords with clients written by others, each with what can come of it: done, refused by a policy, a wrong old
//! password, no permission, in clear, and off.

use tokio::process::Command;

use crate::machine::Machine;
use crate::sssd;
use crate::transport::AUTHORITY;
use akldap_simulator::Directory;
use akldap_testing::certificates::{pair, serving};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::passwords::without_permissions;
use akldap_testing::program::{PYTHON, command, run};
use akldap_testing::stage::{Stage, entry_dn, user_dn};

const NEW: &str = "a new passphrase";
const SHORT: &str = "Password needs to be 8 characters or longer.";
const OFF: &str = "passwords are changed in authentik";

/// What a client is to ask.
struct Asked<'a> {
    uri: &'a str,
    who: &'a str,
    password: &'a str,
    whose: &'a str,
    old: &'a str,
    new: &'a str,
}

impl Asked<'_> {
    /// The arguments of the scripts.
    fn arguments(&self, command: &mut Command, authority: bool, way: &str) {
        command.arg(self.uri);
        if authority {
            command.arg(AUTHORITY);
        }
        command.args([&user_dn(self.who), self.password]);
        if !way.is_empty() {
            command.arg(way);
        }
        command.args([&entry_dn(self.whose), self.old, self.new]);
    }
}

/// The code and the words in a script's last line.
async fn answer(command: &mut Command) -> (i32, String) {
    let output = run(command).await;
    let line = output.text.lines().next_back().unwrap_or_default();
    let (code, words) = line.split_once(' ').unwrap_or((line, ""));
    let code = code.parse().unwrap_or_else(|_| panic!("{output:?}"));
    (code, words.to_owned())
}

/// A server of the sample that changes passwords so.
async fn stage(mode: &str) -> Stage {
    let directory = serving(Directory::sample(0, 0), pair("p256"));
    Stage::with(directory, |settings| {
        settings.set("AUTHENTIK_LDAP__PASSWORD_CHANGE", mode);
    })
    .await
}

fn ldaps(stage: &Stage) -> String {
    format!("ldaps://127.0.0.1:{}", stage.ldaps().port())
}

async fn in_force(stage: &Stage, username: &str, password: &str) -> bool {
    stage.bind(&user_dn(username), password).await.code == 0
}

/// Everything that can come of a change, for a client that names the old password or not, and changes its own or as an agent.
async fn everything(ask: impl AsyncFn(&Asked<'_>) -> (i32, String), names_old: bool) {
    let server = stage("self-and-agents").await;
    let uri = ldaps(&server);
    let alice = |old, new| Asked {
        uri: &uri,
        who: "alice",
        password: "demo-alice",
        whose: "alice",
        old,
        new,
    };
    let old = if names_old { "demo-alice" } else { "" };
    let (code, words) = ask(&alice(old, "short")).await;
    assert_eq!((code, words.as_str()), (19, SHORT));
    if names_old {
        let (code, words) = ask(&alice("wrong", NEW)).await;
        assert_eq!(code, 49, "{words}");
    }
    assert!(in_force(&server, "alice", "demo-alice").await);
    let (code, words) = ask(&alice(old, NEW)).await;
    assert_eq!(code, 0, "{words}");
    assert!(in_force(&server, "alice", NEW).await && !in_force(&server, "alice", "demo-alice").await);
    let agent = |uri, new| Asked {
        uri,
        who: "ldapservice",
        password: "demo-ldapservice",
        whose: "bob",
        old: if names_old { "demo-bob" } else { "" },
        new,
    };
    let plain = server.uri();
    let (code, words) = ask(&agent(&plain, NEW)).await;
    assert!(code == 13 && words.contains("TLS"), "{code} {words}");
    let permissions = server.simulator.look(|directory| directory.roles.clone());
    without_permissions(&server.simulator);
    let (code, words) = ask(&agent(&uri, NEW)).await;
    assert!(
        code == 50 && words.contains("reset_user_password"),
        "{code} {words}"
    );
    server.simulator.edit(|directory| directory.roles = permissions);
    let (code, words) = ask(&agent(&uri, NEW)).await;
    assert_eq!(code, 0, "{words}");
    assert!(in_force(&server, "bob", NEW).await);
    let off = stage("off").await;
    let (code, words) = ask(&agent(&ldaps(&off), NEW)).await;
    assert!(code == 19 && words.contains(OFF), "{code} {words}");
    assert!(in_force(&off, "bob", "demo-bob").await);
}

/// The code and the words that a program of ldap-utils prints.
async fn said(tool: &mut Command) -> (i32, String) {
    let output = run(tool).await;
    let text = format!("{}{}", output.text, output.errors);
    if output.code == 0 {
        return (0, text);
    }
    let code = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let code = code.and_then(|(code, _)| code.parse().ok());
    let words = text.lines().find_map(|line| {
        line.trim()
            .strip_prefix("Additional info: ")
            .or(line.trim().strip_prefix("additional info: "))
    });
    (
        code.unwrap_or_else(|| panic!("{output:?}")),
        words.unwrap_or_default().to_owned(),
    )
}

fn tool(program: &str, asked: &Asked<'_>) -> Command {
    let mut tool = command(program);
    tool.env("LDAPTLS_CACERT", AUTHORITY);
    tool.args([
        "-x",
        "-H",
        asked.uri,
        "-D",
        &user_dn(asked.who),
        "-w",
        asked.password,
    ]);
    tool
}

/// `ldappasswd`, with the old password and without, and the password that an agent is given.
#[client_test]
async fn ldap_utils_passwd() {
    let Some(_exercise) = exercise(&[Need::Program("ldappasswd")]) else {
        return;
    };
    for names_old in [true, false] {
        let ask = async |asked: &Asked<'_>| {
            let mut tool = tool("ldappasswd", asked);
            if !asked.old.is_empty() {
                tool.args(["-a", asked.old]);
            }
            said(tool.args(["-s", asked.new, &entry_dn(asked.whose)])).await
        };
        everything(ask, names_old).await;
    }
    let stage = stage("self-and-agents").await;
    let agent = Asked {
        uri: &ldaps(&stage),
        who: "ldapservice",
        password: "demo-ldapservice",
        whose: "bob",
        old: "",
        new: "",
    };
    let (code, text) = said(tool("ldappasswd", &agent).arg(entry_dn("bob"))).await;
    let password = text
        .trim()
        .strip_prefix("New password: ")
        .expect("one is printed");
    assert!(code == 0 && in_force(&stage, "bob", password).await, "{text}");
}

/// `ldapmodify`: delete and add, and replace.
#[client_test]
async fn ldap_utils_modify() {
    let Some(_exercise) = exercise(&[Need::Program("ldapmodify")]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for names_old in [true, false] {
        let file = folder.path().join("change");
        let ask = async |asked: &Asked<'_>| {
            let change = match asked.old {
                "" => format!("replace: userPassword\nuserPassword: {}\n", asked.new),
                old => format!(
                    "delete: userPassword\nuserPassword: {old}\n-\nadd: userPassword\nuserPassword: {}\n",
                    asked.new
                ),
            };
            let text = format!("dn: {}\nchangetype: modify\n{change}", entry_dn(asked.whose));
            std::fs::write(&file, text).unwrap();
            said(tool("ldapmodify", asked).arg("-f").arg(&file)).await
        };
        everything(ask, names_old).await;
    }
}

/// php-ldap as Nextcloud uses it, the extended operation and its fallback, and as Roundcube does, a replace as oneself.
#[client_test]
async fn php() {
    let Some(_exercise) = exercise(&[Need::Program("php")]) else {
        return;
    };
    for (way, names_old) in [
        ("exop", true),
        ("exop", false),
        ("replace", false),
        ("fallback", false),
    ] {
        let ask = async |asked: &Asked<'_>| {
            let mut php = command("php");
            php.arg("tests/clients/passwords/passwd.php");
            asked.arguments(&mut php, true, way);
            answer(&mut php).await
        };
        everything(ask, names_old).await;
    }
    // Roundcube's other ways to write one: a hash is refused, whatever its scheme.
    let stage = stage("self").await;
    for hash in ["{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{CRYPT}$6$x$y"] {
        let asked = Asked {
            uri: &ldaps(&stage),
            who: "alice",
            password: "demo-alice",
            whose: "alice",
            old: "",
            new: hash,
        };
        let mut php = command("php");
        php.arg("tests/clients/passwords/passwd.php");
        asked.arguments(&mut php, true, "replace");
        let (code, words) = answer(&mut php).await;
        assert!(code == 19 && words.contains("hash"), "{code} {words}");
    }
}

/// python-ldap's `passwd_s`, with the old password, without, and without a new one; a modify with delete and add.
#[client_test]
async fn python_ldap() {
    let Some(_exercise) = exercise(&[Need::PythonModule("ldap")]) else {
        return;
    };
    for (way, names_old) in [("exop", true), ("exop", false), ("modify", true)] {
        let ask = async |asked: &Asked<'_>| {
            let mut python = command(PYTHON);
            python.arg("tests/clients/passwords/passwd.py");
            asked.arguments(&mut python, true, way);
            answer(&mut python).await
        };
        everything(ask, names_old).await;
    }
    let stage = stage("self-and-agents").await;
    let asked = Asked {
        uri: &ldaps(&stage),
        who: "ldapservice",
        password: "demo-ldapservice",
        whose: "bob",
        old: "",
        new: "",
    };
    let mut python = command(PYTHON);
    python.arg("tests/clients/passwords/passwd.py");
    asked.arguments(&mut python, true, "exop");
    let (code, password) = answer(&mut python).await;
    assert!(
        code == 0 && in_force(&stage, "bob", &password).await,
        "{code} {password}"
    );
}

/// Java's JNDI: a replace, and a removal with an addition.
#[client_test]
async fn jndi() {
    let Some(_exercise) = exercise(&[Need::Program("javac")]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("authorities");
    let store = store.to_str().unwrap();
    let mut keytool = command("keytool");
    keytool
        .args(["-importcert", "-noprompt", "-storepass", "public"])
        .args(["-file", AUTHORITY, "-keystore", store]);
    run(&mut keytool).await.expect(0);
    let mut javac = command("javac");
    javac
        .arg("-d")
        .arg(folder.path())
        .arg("tests/clients/passwords/Passwd.java");
    run(&mut javac).await.expect(0);
    for names_old in [true, false] {
        let ask = async |asked: &Asked<'_>| {
            let mut java = command("java");
            java.args([
                "-XX:TieredStopAtLevel=1",
                "-Djavax.net.ssl.trustStorePassword=public",
            ])
            .arg(format!("-Djavax.net.ssl.trustStore={store}"))
            .arg("-cp")
            .arg(folder.path())
            .arg("Passwd");
            asked.arguments(&mut java, false, "");
            answer(&mut java).await
        };
        everything(ask, names_old).await;
    }
}

/// SSSD's `passwd` through PAM: done, refused by a policy with its words, a wrong old password, and off.
#[client_test]
async fn sssd_passwd() {
    let Some(_exercise) = exercise(&sssd::NEEDS) else {
        return;
    };
    for mode in ["self", "off"] {
        let stage = stage(mode).await;
        let more =
            format!("chpass_provider = ldap\nldap_tls_cacert = {AUTHORITY}\nldap_tls_reqcert = demand");
        let mut machine = sssd::start(&ldaps(&stage), &more).await;
        machine.change_service("pam_sss.so").await;
        let change = async |machine: &mut Machine, old: &str, new: &str| {
            let order = format!(
                "printf '%s\\n' '{old}' '{new}' '{new}' | setpriv --reuid=65534 --regid=65534 --clear-groups pamtester demo alice chauthtok"
            );
            machine.run(&order).await
        };
        if mode == "off" {
            let output = change(&mut machine, "demo-alice", NEW).await;
            let text = format!("{}{}", output.text, output.errors);
            assert!(output.code != 0 && text.contains(OFF), "{output:?}");
            assert!(in_force(&stage, "alice", "demo-alice").await);
            continue;
        }
        let output = change(&mut machine, "wrong", NEW).await;
        assert!(
            output.code != 0 && in_force(&stage, "alice", "demo-alice").await,
            "{output:?}"
        );
        let output = change(&mut machine, "demo-alice", "short").await;
        let text = format!("{}{}", output.text, output.errors);
        assert!(output.code != 0 && text.contains(SHORT), "{output:?}");
        change(&mut machine, "demo-alice", NEW).await.expect(0);
        assert!(in_force(&stage, "alice", NEW).await && !in_force(&stage, "alice", "demo-alice").await);
        let output = machine
            .run(&format!(
                "printf %s '{NEW}' | pamtester demo alice authenticate acct_mgmt"
            ))
            .await;
        assert_eq!(output.code, 0, "{output:?}");
    }
}
