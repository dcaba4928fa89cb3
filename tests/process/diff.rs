//! `akldap diff`: two servers of simulated authentiks, and OpenLDAP, compared by the library and by the command.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use akldap::diff::{
    self, ComparedSearch, Detail, DiffReport, DiffRequest, DifferenceKind, Target, TimeLimit,
};
use akldap_simulator::Directory;
use akldap_testing::certificates::{pair, path, serving};
use akldap_testing::child::PATIENCE;
use akldap_testing::scenery::{directory, recommended};
use akldap_testing::stage::{BASE, SUFFIX, Stage, user_dn};
use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapBindResponse, LdapMsg, LdapOp, LdapResult, LdapResultCode,
};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::codec::Framed;

const PASSWORD: &str = "demo-ldapservice";

async fn stage(change: impl FnOnce(&mut Directory)) -> Stage {
    let mut directory = Directory::sample(60, 12);
    change(&mut directory);
    Stage::with(directory, |_| {}).await
}

fn change_alice(directory: &mut Directory) {
    let alice = directory.user_named("alice").expect("alice").pk;
    directory.change_user(alice, |user| user.email = "alice@new.example".into());
}

fn uri(stage: &Stage) -> String {
    format!("ldap://{}", stage.ldap())
}

fn request(ours: &Stage, theirs: &Stage) -> DiffRequest {
    let target = |stage| Target::parse(&uri(stage), false).expect("a URI");
    DiffRequest {
        ours: target(ours),
        theirs: target(theirs),
        bind_dn: user_dn("ldapservice"),
        base: None,
        searches: None,
        profiles: Vec::new(),
        ignored: Vec::new(),
        limit: 1000,
        time: TimeLimit::of(PATIENCE),
    }
}

async fn run(request: &DiffRequest) -> DiffReport {
    let compared = diff::run(request, PASSWORD.as_bytes()).await;
    compared.unwrap_or_else(|error| panic!("{error}"))
}

fn text(report: &DiffReport) -> String {
    report.text(Detail::default())
}

#[tokio::test]
async fn two_alike_servers_are_equal() {
    let (ours, theirs) = tokio::join!(stage(|_| {}), stage(|_| {}));
    let report = run(&request(&ours, &theirs)).await;
    assert!(report.is_equal() && report.known.is_empty(), "{}", text(&report));
    let walk = &report.findings[0];
    assert!(walk.ours.entries > 100, "{walk:?}");
    assert_eq!(walk.ours.entries, walk.theirs.entries);
    let empty: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.ours.entries == 0)
        .map(|finding| finding.search.name.as_str())
        .collect();
    // Searches that find nothing in the sample show nothing: these are meant to.
    let meant = [
        "sssd: sudo rules",
        "nslcd: shadow",
        "gitlab: disabled in Active Directory",
        "jndi: a name that does not exist",
    ];
    let unexpected: Vec<&&str> = empty.iter().filter(|name| !meant.contains(name)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test]
async fn one_changed_user_is_all_that_is_told() {
    let (ours, theirs) = tokio::join!(stage(change_alice), stage(|_| {}));
    let report = run(&request(&ours, &theirs)).await;
    let text = text(&report);
    let expected = format!(
        "--- {}\n+++ {}\n\n# walk\n# ldap:///{SUFFIX}??sub?(objectClass=*)?x-page=1000\n\n\
         dn: cn=alice,ou=users,{SUFFIX}\n-mail: alice@example.com\n+mail: alice@new.example\n\n# {} searches, 1 difference\n",
        uri(&theirs),
        uri(&ours),
        report.findings.len()
    );
    assert_eq!(text, expected);
    assert!(!report.is_equal());
    assert!(report.findings.iter().any(|finding| finding.repeated > 0));
}

#[tokio::test]
async fn entries_and_members_that_only_one_server_has_are_told_once() {
    let without_bob = |directory: &mut Directory| {
        let bob = directory.user_named("bob").expect("bob").pk;
        directory.remove_user(bob);
    };
    let (ours, theirs) = tokio::join!(stage(without_bob), stage(|_| {}));
    let report = run(&request(&ours, &theirs)).await;
    let text = text(&report);
    let missing = text.matches(&format!("-dn: cn=bob,ou=users,{SUFFIX}\n")).count();
    assert_eq!(missing, 1, "{text}");
    assert!(
        text.contains(&format!("-member: cn=bob,ou=users,{SUFFIX}\n")),
        "{text}"
    );
    // Nothing is more here, except the number of entries in a container.
    let more = text.lines().filter(|line| line.starts_with('+')).skip(1);
    assert_eq!(
        more.filter(|line| !line.starts_with("+numSubordinates: "))
            .count(),
        0,
        "{text}"
    );
    let other = run(&request(&theirs, &ours)).await;
    let count = |report: &DiffReport, kind| {
        let told = report.findings.iter().flat_map(|finding| &finding.told);
        told.filter(|told| told.difference.kind() == kind).count()
    };
    assert!(count(&report, DifferenceKind::Missing) > 0);
    assert_eq!(
        count(&report, DifferenceKind::Missing),
        count(&other, DifferenceKind::More)
    );
    assert_eq!(count(&report, DifferenceKind::More), 0);
    let mut ignoring = request(&ours, &theirs);
    ignoring.ignored = vec![DifferenceKind::Missing, DifferenceKind::Attribute];
    assert!(run(&ignoring).await.is_equal());
}

#[tokio::test]
async fn codes_and_orders_are_compared() {
    // Whoever may not search sees only themselves, and other bases do not exist for them.
    let hidden = |directory: &mut Directory| {
        let pk = directory.user_named("ldapservice").expect("the account").pk;
        directory.change_user(pk, |user| user.roles.clear());
    };
    let (ours, theirs) = tokio::join!(stage(hidden), stage(|_| {}));
    let mut request = request(&ours, &theirs);
    let base = format!("ldap:///cn=alice,ou=users,{SUFFIX}");
    request.searches = Some(vec![ComparedSearch::parse("read", &base).expect("a search")]);
    request.ignored = vec![DifferenceKind::Missing, DifferenceKind::Attribute];
    let text = text(&run(&request).await);
    assert!(
        text.contains("-result: success (0)\n+result: noSuchObject (32)"),
        "{text}"
    );
}

#[tokio::test]
async fn the_limit_holds_and_what_lies_beyond_it_counts() {
    let changed = |directory: &mut Directory| {
        let all: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
        for pk in all {
            directory.change_user(pk, |user| user.email = format!("{pk}@new.example").into());
        }
    };
    let (ours, theirs) = tokio::join!(stage(changed), stage(|_| {}));
    let mut request = request(&ours, &theirs);
    request.limit = 3;
    let all = format!("ldap:///{BASE}??sub?(objectClass=*)?x-page=20");
    request.searches = Some(vec![ComparedSearch::parse("all", &all).expect("a search")]);
    let report = run(&request).await;
    assert_eq!(report.findings.len(), 1);
    let walk = &report.findings[0];
    assert_eq!(walk.told.len(), 3);
    assert!(walk.untold > 40, "{}", walk.untold);
    assert!(text(&report).contains("more entries differ; --limit N shows more"));
}

fn password_file(folder: &Path, password: &str) -> PathBuf {
    let path = folder.join("password");
    std::fs::write(&path, format!("{password}\n")).expect("a file");
    path
}

/// Runs the command; its code, output and errors. None of them may contain a password.
async fn command(
    ours: &str,
    theirs: &str,
    password: &str,
    further: &[&str],
) -> (Option<i32>, String, String) {
    let (code, stdout, stderr) = run_with(ours, theirs, password, further).await;
    assert!(
        !stdout.contains(password) && !stderr.contains(password),
        "{stdout}{stderr}"
    );
    (code, stdout, stderr)
}

async fn run_with(
    ours: &str,
    theirs: &str,
    password: &str,
    further: &[&str],
) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = password_file(folder.path(), password);
    let dn = user_dn("ldapservice");
    let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
    command
        .args(["diff", "--ours", ours, "--theirs", theirs, "--bind-dn", &dn])
        .arg("--password-file")
        .arg(&file)
        .args(further)
        .env_clear()
        .stdin(Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.expect("it runs");
    let text = |octets| String::from_utf8(octets).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn the_exit_code_says_equal_different_or_not_looked() {
    let (ours, theirs) = tokio::join!(stage(|_| {}), stage(change_alice));
    let (ours, theirs) = (uri(&ours), uri(&theirs));
    let profile = ["--profile", "go-ldap"];
    let (code, stdout, stderr) = command(&ours, &ours, PASSWORD, &profile).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.contains("no difference"), "{stdout}");
    let (code, stdout, _) = command(&ours, &theirs, PASSWORD, &profile).await;
    assert_eq!(code, Some(1), "{stdout}");
    assert!(
        stdout.contains("-mail: alice@new.example\n+mail: alice@example.com"),
        "{stdout}"
    );

    let unused = "ldap://127.0.0.1:1";
    for (theirs, password, further, expected) in [
        (
            unused,
            PASSWORD,
            &[][..],
            "akldap: --theirs ldap://127.0.0.1:1: cannot connect",
        ),
        (
            &ours,
            "wrong-password",
            &[],
            "the bind was answered with invalidCredentials (49)",
        ),
        (
            &ours,
            PASSWORD,
            &["--queries", "/nonexistent"],
            "the file /nonexistent of --queries: ",
        ),
        (
            &ours,
            PASSWORD,
            &["--starttls", "--ldap-ca-file", "/nonexistent"],
            "the CA file /nonexistent of --ldap-ca-file: ",
        ),
    ] {
        told_as(2, &ours, theirs, password, further, expected).await;
    }
}

/// A command line that cannot be used is one error, whoever finds it.
#[tokio::test]
async fn a_word_that_cannot_be_used_is_an_error_of_the_command_line() {
    let server = "ldap://127.0.0.1:1";
    for (theirs, further, expected) in [
        (
            "http://x",
            &[][..],
            "--theirs: \"http://x\" is not an ldap:// or ldaps:// URI",
        ),
        ("x", &[], "--theirs: \"x\" is not an ldap:// or ldaps:// URI"),
        (
            "ldap://cn=a:geheim@host",
            &[],
            "--theirs: a server's URI must not contain an account",
        ),
        (
            server,
            &["--profile", "nonesuch"],
            "there is no profile \"nonesuch\"",
        ),
    ] {
        told_as(64, server, theirs, PASSWORD, further, expected).await;
        let (code, stdout, stderr) = command(server, theirs, "geheim", further).await;
        assert_eq!((code, stdout.as_str()), (Some(64), ""), "{stderr}");
    }
    let (code, _, stderr) = command("x", server, PASSWORD, &[]).await;
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.starts_with("akldap: --ours: "), "{stderr}");
}

/// An error in one line on standard error, and in JSON if that is wanted.
async fn told_as(
    expected_code: i32,
    ours: &str,
    theirs: &str,
    password: &str,
    further: &[&str],
    expected: &str,
) {
    let (code, stdout, stderr) = command(ours, theirs, password, further).await;
    assert_eq!((code, stdout.as_str()), (Some(expected_code), ""), "{stderr}");
    assert!(stderr.contains(expected), "{stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    let further = [further, &["--json"]].concat();
    let (code, stdout, stderr) = command(ours, theirs, password, &further).await;
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        (code, &report["equal"]),
        (Some(expected_code), &serde_json::Value::Null),
        "{stdout}"
    );
    let error = report["error"].as_str().expect("why");
    assert_eq!(stderr.trim_end(), format!("akldap: {error}"));
}

/// A server that takes connections and says nothing.
async fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    format!("ldap://{address}")
}

#[tokio::test]
async fn a_server_that_says_nothing_is_named() {
    let server = silence().await;
    let (code, stdout, stderr) = command(&server, &server, PASSWORD, &["--timeout", "1"]).await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    let told =
        format!("akldap: --ours {server}: no answer to the bind within 1 s; --timeout sets another limit\n");
    assert_eq!(stderr, told);

    let ours = stage(|_| {}).await;
    let theirs = Target {
        patience: Some(std::time::Duration::from_secs(1)),
        ..Target::parse(&server, false).expect("a URI")
    };
    let request = DiffRequest {
        theirs,
        ..request(&ours, &ours)
    };
    let error = diff::run(&request, PASSWORD.as_bytes())
        .await
        .expect_err("silence");
    let told = format!("--theirs {server}: no answer to the bind within 1 s");
    assert!(error.to_string().starts_with(&told), "{error}");
}

/// Whatever the servers do.
#[tokio::test]
async fn a_comparison_ends_when_its_time_is_up() {
    let (ours, silent) = (stage(|_| {}).await, silence().await);
    let (code, stdout, stderr) = command(&uri(&ours), &silent, PASSWORD, &["--max-time", "1"]).await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    let told = format!(
        "akldap: --theirs {silent}: no end of its answer when 1 s were over, the limit for the whole comparison; --max-time sets \
         another\n"
    );
    assert_eq!(stderr, told);
}

/// A password that is not there is no wrong password.
#[tokio::test]
async fn an_empty_password_file_is_named() {
    let server = silence().await;
    for password in ["", "\n", "\r\n\n"] {
        let (code, stdout, stderr) = run_with(&server, &server, password, &["--json"]).await;
        let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!((code, &report["equal"]), (Some(2), &serde_json::Value::Null));
        assert!(stderr.contains("has no password in it"), "{stderr}");
    }
}

/// A server that refuses every bind and says with which password.
async fn gossip() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut framed = Framed::new(stream, LdapCodec::new(None, None));
            let Some(Ok(LdapMsg { msgid, op, .. })) = framed.next().await else {
                continue;
            };
            let LdapOp::BindRequest(LdapBindRequest {
                cred: LdapBindCred::Simple(password),
                ..
            }) = op
            else {
                continue;
            };
            let res = LdapResult {
                code: LdapResultCode::InvalidCredentials,
                matcheddn: String::new(),
                message: format!("{password:?} is wrong"),
                referral: Vec::new(),
            };
            let op = LdapOp::BindResponse(LdapBindResponse { res, saslcreds: None });
            let _ = framed
                .send(LdapMsg {
                    msgid,
                    op,
                    ctrl: Vec::new(),
                })
                .await;
        }
    });
    format!("ldap://{address}")
}

#[tokio::test]
async fn a_password_that_a_server_repeats_is_not_printed() {
    let server = gossip().await;
    // The helper looks for the password in what is printed.
    let (code, _, stderr) = command(&server, &server, "secret-of-mine", &[]).await;
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("invalidCredentials (49): \"…\" is wrong"),
        "{stderr}"
    );
}

#[tokio::test]
async fn queries_come_from_a_file_and_json_goes_out() {
    let (ours, theirs) = tokio::join!(stage(change_alice), stage(|_| {}));
    let folder = tempfile::tempdir().expect("a folder");
    let queries = folder.path().join("queries");
    let lines = format!("# two\nldap:///{BASE}?mail?sub?(mail=alice@new*)\nldap:///{BASE}?cn?sub?(cn=bob)\n");
    std::fs::write(&queries, lines).expect("a file");
    let queries = queries.to_str().expect("text");
    let further = ["--queries", queries, "--json", "--base", BASE];
    let (code, stdout, _) = command(&uri(&ours), &uri(&theirs), PASSWORD, &further).await;
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&report["equal"], &report["base"]), (&false.into(), &BASE.into()));
    let searches = report["searches"].as_array().expect("searches");
    let names: Vec<&str> = searches
        .iter()
        .filter_map(|search| search["name"].as_str())
        .collect();
    assert_eq!(names, ["line 2", "line 3"], "nothing else is asked");
    let difference = &searches[0]["differences"][0];
    assert_eq!(difference["kind"], "more", "the filter finds alice here only");
    assert_eq!(
        (&searches[0]["theirs"]["entries"], &searches[1]["differences"]),
        (&0.into(), &serde_json::json!([])),
        "{report}"
    );
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "# none\n").expect("a file");
    let empty = empty.to_str().expect("text");
    let nowhere = format!("ou=nowhere,{SUFFIX}");
    for (nothing, told) in [
        (["--queries", empty], "no search"),
        (["--base", &nowhere], "neither server shows an entry"),
        (["--base", "no DN"], "neither server shows an entry"),
    ] {
        let (code, stdout, stderr) = command(&uri(&ours), &uri(&theirs), PASSWORD, &nothing).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{nothing:?}");
        assert!(stderr.contains(told), "{stderr}");
    }
    let with_client = [
        "--queries",
        queries,
        "--profile",
        "jellyfin",
        "--json",
        "--base",
        BASE,
    ];
    let (code, stdout, _) = command(&uri(&ours), &uri(&theirs), PASSWORD, &with_client).await;
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        report["searches"][0]["name"], "walk",
        "what a client asks takes entries"
    );
}

#[tokio::test]
async fn tls_is_verified_unless_it_is_said_not_to_be() {
    let certified = |directory: &mut Directory| {
        let plain = std::mem::replace(directory, Directory::sample(0, 0));
        *directory = serving(plain, pair("p256"));
    };
    let stage = stage(certified).await;
    let plain = uri(&stage);
    let secure = format!("ldaps://{}", stage.ldaps());
    let ca = path("ca.pem");
    let ca = ca.to_str().expect("text");
    let profile = ["--profile", "go-ldap"];
    for (server, further, expected) in [
        (&secure, &["--ldap-ca-file", ca][..], Some(0)),
        (&plain, &["--starttls", "--ldap-ca-file", ca], Some(0)),
        (&secure, &["--accept-any-certificate"], Some(0)),
        (&secure, &[], Some(2)),
        (&plain, &["--starttls"], Some(2)),
    ] {
        let further: Vec<&str> = further.iter().chain(&profile).copied().collect();
        let (code, stdout, stderr) = command(server, server, PASSWORD, &further).await;
        assert_eq!(code, expected, "{server} {further:?}: {stdout}{stderr}");
        if expected == Some(2) {
            assert!(stderr.contains("the TLS handshake failed"), "{stderr}");
        }
    }
}

#[tokio::test]
async fn a_server_that_ends_in_between_could_not_be_looked_at() {
    let stage = Stage::with(directory("cached", recommended()), |_| {}).await;
    let mut request = request(&stage, &stage);
    request.bind_dn = user_dn("alice");
    stage.server.shutdown().await;
    let error = diff::run(&request, b"demo-alice")
        .await
        .expect_err("nobody listens");
    assert!(error.to_string().contains("cannot connect"), "{error}");
}
