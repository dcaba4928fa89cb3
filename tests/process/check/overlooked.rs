//! Set-ups that look well and are not: what a check would overlook if it took the absence of an error for an answer.

use akldap_testing::certificates::file;

use super::*;

/// What a check said.
fn seen<'r>(report: &'r Report, code: &str) -> &'r Verdict {
    let finding = report.findings.iter().find(|finding| finding.code() == code);
    &finding.unwrap_or_else(|| panic!("no check {code}")).verdict
}

/// Anybody could log in as anybody.
#[tokio::test]
async fn a_flow_that_asks_for_no_password_is_at_fault() {
    let without = Stage::Identification(Identification::default());
    let mut set_up = SetUp::of(with_stages(vec![without.clone(), Stage::login()]));
    set_up.account = (user_dn(SERVICE), "of-somebody-else".to_owned());
    let report = set_up.check(&[Area::Flows, Area::Account]).await;
    assert_eq!(faults(&report), ["AK513"], "{}", report.text());
    let of_its_own = vec![without, Stage::password(), Stage::login()];
    let report = SetUp::of(with_stages(of_its_own))
        .check(&[Area::Flows, Area::Account])
        .await;
    assert_eq!(faults(&report), [""; 0], "{}", report.text());
}

#[tokio::test]
async fn a_stage_that_takes_no_user_names_is_not_blamed_on_the_account() {
    let addresses = || {
        let stage = Stage::Identification(Identification {
            user_fields: vec!["email".to_owned()],
            password: true,
            ..Identification::default()
        });
        SetUp::of(with_stages(vec![stage, Stage::login()]))
    };
    let report = addresses().check(&[Area::Flows, Area::Account]).await;
    assert_eq!(faults(&report), ["AK514"], "{}", report.text());
    assert!(report.text().contains("takes email only"), "{}", report.text());
    // Somebody who is named by the address gets in.
    let mut by_address = addresses();
    by_address.account = (format!("mail=alice@example.com,{BASE}"), "demo-alice".to_owned());
    let report = by_address.check(&[Area::Flows, Area::Account]).await;
    assert!(
        matches!(seen(&report, "AK514"), Verdict::Warning(_)),
        "{}",
        report.text()
    );
}

/// The list is empty, and nothing is refused.
#[tokio::test]
async fn a_lost_permission_to_see_providers_is_not_taken_for_a_missing_application() {
    let report = SetUp::spoiled(Rule::new("/outposts/ldap/", page(0, 0, &[])))
        .check(&[Area::Token, Area::Providers, Area::Flows])
        .await;
    assert_eq!(faults(&report), ["AK204"], "{}", report.text());
    let hidden = SetUp::changed(|directory| change(directory, |provider| provider.application = None));
    let report = hidden.check(&[Area::Token, Area::Providers]).await;
    assert_eq!(faults(&report), ["AK302"], "{}", report.text());
    let Verdict::Fault(told) = seen(&report, "AK302") else {
        panic!("{}", report.text())
    };
    assert!(!told.contains("number"), "it has a name: {told}");
}

#[tokio::test]
async fn a_base_dn_where_another_provider_has_its_users_is_at_fault() {
    for (base, is_fault) in [
        (format!("ou=users,{BASE}"), true),
        (format!("dc=a,OU=Groups,{BASE}"), true),
        (format!("ou=people,{BASE}"), true),
        (format!("dc=sub,{BASE}"), false),
    ] {
        let mut directory = with_second_provider(sound(), "second.example", pair("p256"));
        let second = directory
            .providers
            .values_mut()
            .find(|provider| provider.name == "second");
        second.expect("a second provider").base_dn.clone_from(&base);
        let set_up = SetUp::of(directory).with(&[("AUTHENTIK_LDAP__USERS_OU", "people")]);
        let report = set_up.check(&[Area::Providers]).await;
        let expected = if is_fault { &["AK304"][..] } else { &[] };
        assert_eq!(faults(&report), expected, "{base}: {}", report.text());
    }
}

#[tokio::test]
async fn somebody_who_is_not_in_the_directory_yet_is_asked_about() {
    let detail = r#"{"detail":"Authentication credentials were not provided."}"#;
    let refused = Rule::new("/core/users/me/", Fault::Answer(403, "application/json", detail));
    let report = SetUp::spoiled(refused).check(&[Area::Flows, Area::Account]).await;
    assert_eq!(faults(&report), ["AK606"], "{}", report.text());
}

#[tokio::test]
async fn one_port_for_two_is_at_fault() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address").to_string();
    drop(free);
    let set_up = SetUp::of(sound()).with(&[
        ("AUTHENTIK_LISTEN__LDAP", &address),
        ("AUTHENTIK_LISTEN__LDAPS", &address),
    ]);
    let report = set_up.check(&[Area::Machine]).await;
    assert_eq!(faults(&report), ["AK901"], "{}", report.text());
}

/// What is in the rest of a list, nobody knows.
#[tokio::test]
async fn a_list_that_takes_too_long_is_not_called_well() {
    let options = Options {
        max_page_size: 5,
        ..Options::default()
    };
    let simulator = Simulator::start(sound(), options).await.expect("a simulator");
    let temporary = tempfile::tempdir().expect("a folder");
    let strings = settings(&simulator, &temporary);
    let config = Config::read(&strings).expect("a configuration");
    let request = CheckRequest {
        areas: vec![Area::Directory],
        list_limit: Some(Duration::ZERO),
        ..CheckRequest::default()
    };
    let report = check::run(&config, &request, b"").await.expect("it looks");
    for code in ["AK703", "AK705", "AK707"] {
        let Verdict::NotSeen(told) = seen(&report, code) else {
            panic!("{code}: {}", report.text())
        };
        assert!(told.contains("not looked at beyond 5 of "), "{told}");
        assert!(told.contains("users within 0 s"), "{told}");
    }
}

/// What a client is told, and where the page sends whoever is told so.
#[tokio::test]
async fn a_deleted_flow_is_answered_as_the_page_says() {
    let mut directory = sound();
    change(&mut directory, |provider| {
        provider.bind_flow = "no-such-flow".to_owned()
    });
    let stage = ServedStage::with(directory, |_| {}).await;
    let bound = stage.client().await.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!(bound.code, 52, "{bound:?}");
    assert!(bound.message.contains("is broken"), "{bound:?}");
    let page = include_str!("../../../docs/troubleshooting.md");
    let (_, section) = page.split_once("\n### AK501\n").expect("a section");
    let (section, _) = section.split_once("\n### ").expect("an end");
    assert!(section.contains("unavailable (52)"), "{section}");
}

/// Files of a certificate and its key.
async fn certificates(certificate: &str, key: &str) -> Report {
    let pair = akldap_simulator::Certificate {
        certificate_pem: certificate.to_owned(),
        key_pem: key.to_owned(),
        ..pair("p256")
    };
    SetUp::of(serving(sound(), pair))
        .check(&[Area::Certificates])
        .await
}

#[tokio::test]
async fn a_chain_in_the_wrong_order_is_not_blamed_on_the_key() {
    let (own, issuer, key) = (file("p256.pem"), file("ca.pem"), file("p256.key"));
    let report = certificates(&format!("{issuer}{own}"), &key).await;
    assert_eq!(faults(&report), ["AK406"], "{}", report.text());
    assert!(report.text().contains("is not the first"), "{}", report.text());
}

#[tokio::test]
async fn a_key_that_is_too_short_is_called_short() {
    let report = certificates(&file("rsa1024.pem"), &file("rsa1024.key")).await;
    assert_eq!(faults(&report), ["AK403"], "{}", report.text());
    assert!(
        report.text().contains("RSA key has 1024 bits"),
        "{}",
        report.text()
    );
}

#[tokio::test]
async fn an_issuer_that_is_no_authority_is_at_fault() {
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
    let names = || vec!["localhost".to_owned()];
    let mut issuer = CertificateParams::new(names()).expect("names");
    issuer.distinguished_name.push(DnType::CommonName, "No Authority");
    let issuer_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::new(names()).expect("names");
    root.distinguished_name.push(DnType::CommonName, "Root");
    let root = Issuer::new(root, KeyPair::generate().expect("a key"));
    let issuer_pem = issuer.signed_by(&issuer_key, &root).expect("an issuer").pem();
    let issuer = Issuer::new(issuer, issuer_key);
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(names()).expect("names");
    let own = own.signed_by(&key, &issuer).expect("a certificate").pem();
    let report = certificates(&format!("{own}{issuer_pem}"), &key.serialize_pem()).await;
    assert_eq!(faults(&report), ["AK406"], "{}", report.text());
    assert!(report.text().contains("CN=No Authority"), "{}", report.text());
}

/// The server logs it, and no client asks for it.
#[tokio::test]
async fn a_tls_server_name_that_nobody_can_ask_for_is_a_warning() {
    let address = SetUp::changed(|directory| {
        change(directory, |provider| {
            provider.tls_server_name = "127.0.0.1".to_owned()
        })
    });
    let report = address.check(&[Area::Certificates]).await;
    assert!(
        matches!(seen(&report, "AK405"), Verdict::Warning(told) if told.contains("127.0.0.1 is an address")),
        "{}",
        report.text()
    );
}

/// Whoever waits for something to start is not sent away before the time is over.
#[tokio::test]
async fn waiting_lasts_as_long_as_it_was_told_to() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", refused.local_addr().expect("its address"));
    drop(refused);
    let began = std::time::Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_akldap"))
        .args(["check", "--only", "reach", "--wait", "3s"])
        .env_clear()
        .env("AUTHENTIK_HOST", url)
        .env("AUTHENTIK_TOKEN", "t")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2700), "{took:?}");
}
