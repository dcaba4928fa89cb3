//! Password changes with clients written by others, each with its possible outcomes: done, refused by a policy, a wrong old
//! password, no permission, no TLS, and off.

use tokio::process::Command;

use crate::machine::Machine;
use crate::sssd;
use crate::transport::AUTHORITY;
use akldap_simulator::{Directory, Flow, NewPassword, PASSWORD_CHANGE, Requirement, Stage as Stages};
use akldap_testing::certificates::{pair, serving};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::passwords::without_permissions;
use akldap_testing::program::{PYTHON, command, run};
use akldap_testing::scenery;
use akldap_testing::stage::{Stage, entry_dn, user_dn};

const NEW: &str = "a new passphrase";
const SHORT: &str = "Password needs to be 8 characters or longer.";
const OFF: &str = "passwords are changed in authentik";

/// What a client should ask.
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

/// The clients of the table. The compiler finds one that no test shows.
#[derive(Clone, Copy, Debug)]
enum ChangingClient {
    Ldappasswd,
    Ldapmodify,
    Sssd,
    /// Nextcloud's first way, and Jellyfin's.
    PhpExtended,
    /// Nextcloud's second.
    PhpFallback,
    PythonExtended,
    PythonModify,
    Jndi,
    RoundcubeSimple,
    RoundcubeExtended,
}

/// The possible outcomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangeOutcome {
    Changed,
    Policy,
    WrongOld,
    NoPermission,
    InClear,
    Off,
}

/// What a client has shown.
struct ShownOutcomes {
    client: ChangingClient,
    outcomes: Vec<ChangeOutcome>,
}

impl ShownOutcomes {
    fn of(client: ChangingClient) -> Self {
        Self {
            client,
            outcomes: Vec::new(),
        }
    }

    fn shows(&mut self, outcome: ChangeOutcome) {
        assert!(
            !self.outcomes.contains(&outcome),
            "{:?} shows {outcome:?} twice",
            self.client
        );
        self.outcomes.push(outcome);
    }

    /// Each of them was shown.
    fn complete(self) {
        use ChangeOutcome::{Changed, InClear, NoPermission, Off, Policy, WrongOld};
        for outcome in [Changed, Policy, WrongOld, NoPermission, InClear, Off] {
            assert!(
                self.outcomes.contains(&outcome),
                "{:?} shows no {outcome:?}",
                self.client
            );
        }
    }
}

/// Whose password a client changes.
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    /// That of whoever is bound.
    Own,
    /// Also that of others, as an agent.
    OthersToo,
}

/// All possible outcomes of a change. A client that does not name the old password shows a wrong one by its bind.
async fn everything(
    client: ChangingClient,
    ask: impl AsyncFn(&Asked<'_>) -> (i32, String),
    names_old: bool,
    whose: Whose,
) {
    let mut shown = ShownOutcomes::of(client);
    let server = stage("self-and-agents").await;
    let uri = ldaps(&server);
    let alice = |uri, password, old, new| Asked {
        uri,
        who: "alice",
        password,
        whose: "alice",
        old,
        new,
    };
    let old = if names_old { "demo-alice" } else { "" };
    let (code, words) = ask(&alice(&uri, "demo-alice", old, "short")).await;
    assert_eq!((code, words.as_str()), (19, SHORT));
    shown.shows(ChangeOutcome::Policy);
    let wrong = match names_old {
        true => alice(&uri, "demo-alice", "wrong", NEW),
        false => alice(&uri, "wrong", "", NEW),
    };
    let (code, words) = ask(&wrong).await;
    assert_eq!(code, 49, "{words}");
    shown.shows(ChangeOutcome::WrongOld);
    assert!(in_force(&server, "alice", "demo-alice").await);
    let own = whose == Whose::Own;
    let agent = |uri, new| match own {
        true => alice(uri, "demo-alice", old, new),
        false => Asked {
            uri,
            who: "ldapservice",
            password: "demo-ldapservice",
            whose: "bob",
            old: if names_old { "demo-bob" } else { "" },
            new,
        },
    };
    let plain = server.uri();
    let (code, words) = ask(&agent(&plain, NEW)).await;
    assert!(code == 13 && words.contains("TLS"), "{code} {words}");
    shown.shows(ChangeOutcome::InClear);
    let permissions = server.simulator.look(|directory| directory.roles.clone());
    without_permissions(&server.simulator);
    let (code, words) = match own {
        true => {
            let others = Asked {
                whose: "bob",
                ..alice(&uri, "demo-alice", old, NEW)
            };
            ask(&others).await
        }
        false => ask(&agent(&uri, NEW)).await,
    };
    let said = if own {
        "only its own password"
    } else {
        "reset_user_password"
    };
    assert!(code == 50 && words.contains(said), "{code} {words}");
    shown.shows(ChangeOutcome::NoPermission);
    server.simulator.edit(|directory| directory.roles = permissions);
    let (code, words) = ask(&alice(&uri, "demo-alice", old, NEW)).await;
    assert_eq!(code, 0, "{words}");
    assert!(in_force(&server, "alice", NEW).await && !in_force(&server, "alice", "demo-alice").await);
    if !own {
        let (code, words) = ask(&agent(&uri, NEW)).await;
        assert_eq!(code, 0, "{words}");
        assert!(in_force(&server, "bob", NEW).await);
    }
    shown.shows(ChangeOutcome::Changed);
    let off = stage("off").await;
    let (code, words) = ask(&agent(&ldaps(&off), NEW)).await;
    assert!(code == 19 && words.contains(OFF), "{code} {words}");
    assert!(in_force(&off, "bob", "demo-bob").await && in_force(&off, "alice", "demo-alice").await);
    shown.shows(ChangeOutcome::Off);
    shown.complete();
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
        everything(ChangingClient::Ldappasswd, ask, names_old, Whose::OthersToo).await;
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
        everything(ChangingClient::Ldapmodify, ask, names_old, Whose::OthersToo).await;
    }
}

/// php-ldap as Nextcloud uses it, the extended operation and its fallback, and as Roundcube does, a replace as oneself.
#[client_test]
async fn php() {
    let Some(_exercise) = exercise(&[Need::Program("php")]) else {
        return;
    };
    use ChangingClient::{PhpExtended, PhpFallback, RoundcubeExtended, RoundcubeSimple};
    use Whose::{OthersToo, Own};
    for (client, way, names_old, whose) in [
        (PhpExtended, "exop", true, OthersToo),
        (PhpExtended, "exop", false, OthersToo),
        (PhpFallback, "fallback", false, OthersToo),
        (RoundcubeSimple, "replace", false, Own),
        (RoundcubeExtended, "exop", true, Own),
    ] {
        let ask = async |asked: &Asked<'_>| {
            let mut php = command("php");
            php.arg("tests/clients/passwords/passwd.php");
            asked.arguments(&mut php, true, way);
            answer(&mut php).await
        };
        everything(client, ask, names_old, whose).await;
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
    use ChangingClient::{PythonExtended, PythonModify};
    for (client, way, names_old) in [
        (PythonExtended, "exop", true),
        (PythonExtended, "exop", false),
        (PythonModify, "modify", true),
    ] {
        let ask = async |asked: &Asked<'_>| {
            let mut python = command(PYTHON);
            python.arg("tests/clients/passwords/passwd.py");
            asked.arguments(&mut python, true, way);
            answer(&mut python).await
        };
        everything(client, ask, names_old, Whose::OthersToo).await;
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

/// A program of `tests/clients/passwords/`, compiled, and how it is run with trust in our authority.
async fn java_program(name: &str) -> (tempfile::TempDir, impl Fn() -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("authorities");
    let mut keytool = command("keytool");
    keytool
        .args(["-importcert", "-noprompt", "-storepass", "public"])
        .args(["-file", AUTHORITY, "-keystore"])
        .arg(&store);
    run(&mut keytool).await.expect(0);
    let mut javac = command("javac");
    javac
        .arg("-d")
        .arg(folder.path())
        .arg(format!("tests/clients/passwords/{name}.java"));
    run(&mut javac).await.expect(0);
    let (class_path, name) = (folder.path().to_owned(), name.to_owned());
    let java = move || {
        let mut java = command("java");
        java.args([
            "-XX:TieredStopAtLevel=1",
            "-Djavax.net.ssl.trustStorePassword=public",
        ])
        .arg(format!("-Djavax.net.ssl.trustStore={}", store.display()))
        .arg("-cp")
        .arg(&class_path)
        .arg(&name);
        java
    };
    (folder, java)
}

/// Java's JNDI: a replace, and a removal with an addition.
#[client_test]
async fn jndi() {
    let Some(_exercise) = exercise(&[Need::Program("javac")]) else {
        return;
    };
    let (_folder, java) = java_program("Passwd").await;
    for names_old in [true, false] {
        let ask = async |asked: &Asked<'_>| {
            let mut java = java();
            asked.arguments(&mut java, false, "");
            answer(&mut java).await
        };
        everything(ChangingClient::Jndi, ask, names_old, Whose::OthersToo).await;
    }
}

/// Keycloak's bind by JNDI, with the password policy control without a value, as it sends it since it has an option for that, and with an
/// empty one, as before.
#[client_test]
async fn keycloak_policy() {
    let Some(_exercise) = exercise(&[Need::Program("javac")]) else {
        return;
    };
    let (_folder, java) = java_program("Policy").await;
    let expired = Stages::Deny {
        message: "Password expired 3 days ago. Please update your password.".to_owned(),
    };
    let new = Stages::NewPassword(NewPassword::default());
    for (mode, after, right, wrong) in [
        ("self", None, "0 3000", "49 3000"),
        ("self", Some(expired), "49 3003810100", "49 3000"),
        ("self", Some(new), "49 3003810102", "49 3000"),
        // Where passwords cannot be changed, clients are told nothing about them.
        ("off", None, "0", "49"),
    ] {
        let stages = [Stages::identification_with_password()].into_iter();
        let stages = stages.chain(after).chain([Stages::login()]).collect();
        let directory = serving(scenery::directory("cached", stages), pair("p256"));
        let stage = Stage::with(directory, |settings| {
            settings.set("AUTHENTIK_LDAP__PASSWORD_CHANGE", mode);
        })
        .await;
        for (password, told) in [("demo-alice", right), ("wrong", wrong)] {
            for value in ["none", "empty"] {
                let mut java = java();
                java.args([&ldaps(&stage), &user_dn("alice"), password, value]);
                let output = run(&mut java).await;
                assert_eq!(output.text.trim(), told, "{mode} {password} {value}: {output:?}");
            }
        }
    }
}

/// SSSD's `passwd` through PAM: everything that can come of it, with the server's words.
#[client_test]
async fn sssd_passwd() {
    let Some(_exercise) = exercise(&sssd::NEEDS) else {
        return;
    };
    let mut shown = ShownOutcomes::of(ChangingClient::Sssd);
    for (mode, tls) in [("self", true), ("self", false), ("off", true)] {
        let stage = stage(mode).await;
        let (uri, security) = match tls {
            true => (
                ldaps(&stage),
                format!("ldap_tls_cacert = {AUTHORITY}\nldap_tls_reqcert = demand"),
            ),
            false => (stage.uri(), sssd::PLAIN.to_owned()),
        };
        let mut machine = sssd::start(&uri, &format!("chpass_provider = ldap\n{security}")).await;
        machine.change_service("pam_sss.so").await;
        let change = async |machine: &mut Machine, old: &str, new: &str| {
            let order = format!(
                "printf '%s\\n' '{old}' '{new}' '{new}' | setpriv --reuid=65534 --regid=65534 --clear-groups pamtester demo alice chauthtok"
            );
            machine.run(&order).await
        };
        // Refused, with these words.
        let refused = async |machine: &mut Machine, old: &str, new: &str, words: &str| {
            let output = change(machine, old, new).await;
            let text = format!("{}{}", output.text, output.errors);
            assert!(output.code != 0 && text.contains(words), "{output:?}");
            assert!(in_force(&stage, "alice", "demo-alice").await);
        };
        if !tls {
            refused(&mut machine, "demo-alice", NEW, "TLS").await;
            shown.shows(ChangeOutcome::InClear);
            continue;
        }
        if mode == "off" {
            refused(&mut machine, "demo-alice", NEW, OFF).await;
            shown.shows(ChangeOutcome::Off);
            continue;
        }
        refused(&mut machine, "wrong", NEW, "").await;
        shown.shows(ChangeOutcome::WrongOld);
        refused(&mut machine, "demo-alice", "short", SHORT).await;
        shown.shows(ChangeOutcome::Policy);
        // authentik's flow lets this user change nothing.
        let denied = Stages::Deny {
            message: "Ask the help desk.".to_owned(),
        };
        let before = stage.simulator.edit(|directory| {
            let mut flow = Flow::new(PASSWORD_CHANGE, "Change password", vec![denied]);
            flow.requirement = Requirement::Authenticated;
            directory.flows.insert(PASSWORD_CHANGE.into(), flow)
        });
        refused(&mut machine, "demo-alice", NEW, "Ask the help desk.").await;
        shown.shows(ChangeOutcome::NoPermission);
        stage.simulator.edit(|directory| {
            directory
                .flows
                .insert(PASSWORD_CHANGE.into(), before.expect("a flow"))
        });
        change(&mut machine, "demo-alice", NEW).await.expect(0);
        assert!(in_force(&stage, "alice", NEW).await && !in_force(&stage, "alice", "demo-alice").await);
        let output = machine
            .run(&format!(
                "printf %s '{NEW}' | pamtester demo alice authenticate acct_mgmt"
            ))
            .await;
        assert_eq!(output.code, 0, "{output:?}");
        shown.shows(ChangeOutcome::Changed);
    }
    shown.complete();
}
