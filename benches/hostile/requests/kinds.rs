//! Every kind of request there is before a bind, as large as a stranger may send one. Each is made by hand: most could not
//! be made by a client that means well.

use std::sync::LazyLock;

use akldap::config::{Config, StringMap};
use akldap_ldap::ber;
use akldap_ldap::control;

use akldap_testing::released::BASE;

/// Octets of the largest message that a server takes before a bind.
static LIMIT: LazyLock<usize> = LazyLock::new(|| {
    let required = [
        ("AUTHENTIK_HOST", "http://127.0.0.1:9"),
        ("AUTHENTIK_TOKEN", "token"),
    ];
    let config = Config::read(&required.into_iter().collect::<StringMap>());
    config
        .expect("the rest has defaults")
        .limits
        .max_message_size_unbound
});
/// Octets of the part of a request that is made long: what is around it fits into the rest.
static LONG: LazyLock<usize> = LazyLock::new(|| *LIMIT - 512);
/// The shortest message that is called large.
const LARGE: usize = 60_000;

/// Where a request goes.
#[derive(Clone, Copy, PartialEq)]
pub enum Port {
    /// The LDAP port.
    Ldap,
    /// The port of health checks and metrics.
    Http,
}

/// A kind of request.
pub struct RequestKind {
    /// What it is called in the table.
    pub name: String,
    /// Where it goes.
    pub port: Port,
    /// All of it.
    pub octets: Vec<u8>,
}

impl RequestKind {
    /// One large message.
    fn message(name: &str, parts: &[&[u8]]) -> Self {
        let octets = message(1, parts);
        assert!(
            (LARGE..=*LIMIT).contains(&octets.len()),
            "{name}: {} octets",
            octets.len()
        );
        Self {
            name: name.to_owned(),
            port: Port::Ldap,
            octets,
        }
    }
}

fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_element(&mut out, tag, &contents.concat());
    out
}

fn text(octets: &[u8]) -> Vec<u8> {
    element(ber::OCTET_STRING, &[octets])
}

fn sequence(contents: &[&[u8]]) -> Vec<u8> {
    element(ber::SEQUENCE, contents)
}

fn message(id: u8, parts: &[&[u8]]) -> Vec<u8> {
    sequence(&[&[0x02, 0x01, id], &parts.concat()])
}

/// `piece` over and over.
fn fill(piece: &[u8]) -> Vec<u8> {
    piece.repeat(*LONG / piece.len())
}

/// The tail of a name or a text in front of `end`.
fn long(front: &str, piece: &str, end: &str) -> Vec<u8> {
    [front.as_bytes(), &fill(piece.as_bytes()), end.as_bytes()].concat()
}

fn bind_request(name: &[u8], credentials: &[u8]) -> Vec<u8> {
    element(0x60, &[&[2, 1, 3], &text(name), credentials])
}

fn password(secret: &[u8]) -> Vec<u8> {
    element(0x80, &[secret])
}

fn search_request(base: &[u8], filter: &[u8], attributes: &[u8]) -> Vec<u8> {
    let limits = [0x0a, 1, 0, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
    element(0x63, &[&text(base), &limits, filter, &sequence(&[attributes])])
}

fn present() -> Vec<u8> {
    element(0x87, &[b"objectClass"])
}

fn equality(attribute: &[u8], value: &[u8]) -> Vec<u8> {
    element(0xa3, &[&text(attribute), &text(value)])
}

fn a_control(oid: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[&text(oid.as_bytes()), &text(value)])
}

fn compare(entry: &[u8], value: &[u8]) -> Vec<u8> {
    element(0x6e, &[&text(entry), &sequence(&[&text(b"cn"), &text(value)])])
}

fn extended(oid: &str, value: &[u8]) -> Vec<u8> {
    element(
        0x77,
        &[&element(0x80, &[oid.as_bytes()]), &element(0x81, &[value])],
    )
}

/// A search that costs next to nothing.
pub fn small_search(id: u8) -> Vec<u8> {
    message(id, &[&search_request(b"", &present(), &text(b"1.1"))])
}

/// Every kind of request.
pub fn all() -> Vec<RequestKind> {
    let mut kinds = vec![RequestKind {
        name: "nothing but the small search behind each".to_owned(),
        port: Port::Ldap,
        octets: Vec::new(),
    }];
    let mut add = |name: &str, operation: Vec<u8>| kinds.push(RequestKind::message(name, &[&operation]));
    for (what, name) in names() {
        add(
            &format!("bind: {what}"),
            bind_request(&name, &password(b"secret")),
        );
        add(
            &format!("search: base of {what}"),
            search_request(&name, &present(), &[]),
        );
        add(&format!("compare: {what}"), compare(&name, b"x"));
    }
    let user = format!("cn=alice,ou=users,{BASE}");
    let sasl = |mechanism: &[u8], credentials: &[u8]| element(0xa3, &[&text(mechanism), &text(credentials)]);
    add(
        "bind: password",
        bind_request(user.as_bytes(), &password(&fill(b";1"))),
    );
    add(
        "bind: SASL mechanism",
        bind_request(b"", &sasl(&fill(b"X"), b"x")),
    );
    add(
        "bind: SASL credentials",
        bind_request(b"", &sasl(b"PLAIN", &fill(b"\0x"))),
    );
    add("bind: malformed", element(0x60, &[&fill(&[2, 1, 3])]));
    for (what, filter) in filters() {
        for (place, base) in [("rootDSE", ""), ("schema", "cn=subschema"), ("tree", BASE)] {
            add(
                &format!("search: {what}, {place}"),
                search_request(base.as_bytes(), &filter, &[]),
            );
        }
    }
    for attribute in ["cn", "nosuch", "@inetOrgPerson"] {
        add(
            &format!("search: list of {attribute}"),
            search_request(b"cn=subschema", &present(), &fill(&text(attribute.as_bytes()))),
        );
    }
    add(
        "compare: value",
        compare(BASE.as_bytes(), &fill("\u{fdfa}".as_bytes())),
    );
    for (what, oid) in [
        ("who am I", "1.3.6.1.4.1.4203.1.11.3"),
        ("password modify", "1.3.6.1.4.1.4203.1.11.1"),
        ("StartTLS", "1.3.6.1.4.1.1466.20037"),
        ("cancel", "1.3.6.1.1.8"),
        ("unknown", "1.2.3.4"),
    ] {
        add(
            &format!("extended: {what}"),
            extended(oid, &sequence(&[&fill(&[2, 1, 5])])),
        );
    }
    add(
        "extended: long name",
        element(0x77, &[&element(0x80, &[&fill(b"1.")])]),
    );
    for (what, operation) in operations() {
        add(what, operation);
    }
    for (what, controls) in controls() {
        let search = search_request(BASE.as_bytes(), &present(), &[]);
        let controls = element(0xa0, &[&controls]);
        kinds.push(RequestKind::message(
            &format!("control: {what}"),
            &[&search, &controls],
        ));
    }
    kinds.extend(headers());
    kinds
}

fn names() -> Vec<(&'static str, Vec<u8>)> {
    let (below, user) = (format!(",{BASE}"), format!(",ou=users,{BASE}"));
    vec![
        ("x,a=b,a=b…", long("x", ",a=b", "")),
        ("x,a=b,a=b… below a base", long("x", ",a=b", &below)),
        ("cn=a,a=b,a=b… below a base", long("cn=a", ",a=b", &below)),
        ("bases over and over", long("x", &below, "")),
        ("a user's name with commas", long("cn=a", ",", &user)),
        ("a user's name with escapes", long("cn=a", "\\2c", &user)),
        ("a user's name, full of ligatures", long("cn=", "\u{fdfa}", &user)),
        ("many values in one RDN", long("cn=a", "+a=b", &user)),
        ("hexadecimal", long("cn=#04820100", "41", &user)),
        ("no UTF-8", fill(b"cn=\xff,")),
    ]
}

/// A filter nested in this many others.
fn nested(levels: usize, tag: u8, inner: Vec<u8>) -> Vec<u8> {
    (0..levels).fold(inner, |inner, _| element(tag, &[&inner]))
}

fn filters() -> Vec<(&'static str, Vec<u8>)> {
    let cn = equality(b"cn", b"x");
    let any = element(0xa9, &[&element(0x81, &[b"2.5.13.2"]), &element(0x83, &[b"x"])]);
    let chain = element(
        0xa9,
        &[
            &element(0x81, &[b"1.2.840.113556.1.4.1941"]),
            &element(0x82, &[b"memberOf"]),
            &element(0x83, &[&long("cn=a", ",a=b", "")]),
        ],
    );
    let parts = sequence(&[&fill(&[0x81, 1, b'e'])]);
    let wide = element(0xa1, &[&fill(&cn)]);
    vec![
        ("many ors", wide.clone()),
        ("many ands", element(0xa0, &[&fill(&cn)])),
        ("many nots", element(0xa0, &[&fill(&element(0xa2, &[&cn]))])),
        ("many ors, nested 30 deep in nots", nested(30, 0xa2, wide.clone())),
        ("many ors, nested 30 deep in ands", nested(30, 0xa0, wide)),
        ("nots as deep as they fit", nested(15_500, 0xa2, cn.clone())),
        ("ands as deep as they fit", nested(15_500, 0xa0, cn.clone())),
        ("ors as deep as they fit", nested(15_500, 0xa1, cn)),
        ("empty connectives", element(0xa1, &[&fill(&[0xa0, 0])])),
        (
            "substrings of many parts",
            element(0xa4, &[&text(b"attributeTypes"), &parts]),
        ),
        ("extensible matches", element(0xa1, &[&fill(&any)])),
        ("in-chain", chain),
        (
            "long value",
            equality(b"objectClass", &fill("\u{fdfa}".as_bytes())),
        ),
        ("long attribute", equality(&fill(b"a;x"), b"x")),
        ("presence", element(0xa1, &[&fill(&present())])),
        (
            "greater or equal",
            element(0xa1, &[&fill(&element(0xa5, &[&text(b"cn"), &text(b"x")]))]),
        ),
        (
            "approximate",
            element(0xa1, &[&fill(&element(0xa8, &[&text(b"cn"), &text(b"x")]))]),
        ),
    ]
}

/// What this server carries out for nobody, and what has no answer.
fn operations() -> Vec<(&'static str, Vec<u8>)> {
    let change = sequence(&[
        &[0x0a, 1, 0],
        &sequence(&[&text(b"a"), &element(ber::SET, &[&text(b"b")])]),
    ]);
    let attribute = sequence(&[&text(b"a"), &element(ber::SET, &[&text(b"b")])]);
    vec![
        (
            "modify",
            element(0x66, &[&text(b"cn=a"), &sequence(&[&fill(&change)])]),
        ),
        (
            "add",
            element(0x68, &[&text(b"cn=a"), &sequence(&[&fill(&attribute)])]),
        ),
        ("delete", element(0x4a, &[&fill(b"cn=a,")])),
        (
            "modify DN",
            element(0x6c, &[&text(&fill(b"cn=a,")), &text(b"cn=b"), &[1, 1, 0]]),
        ),
        ("unbind", element(0x42, &[&fill(b"x")])),
        ("abandon", element(0x50, &[&fill(b"\x01")])),
        ("unknown operation", element(0x7e, &[&fill(b"x")])),
    ]
}

fn controls() -> Vec<(&'static str, Vec<u8>)> {
    let key = |name: &[u8]| sequence(&[&sequence(&[&text(name)])]);
    let sorted = a_control(control::SORT_REQUEST, &key(b"cn"));
    let target = element(0x81, &[&fill("\u{fdfa}".as_bytes())]);
    let view = sequence(&[&[2, 1, 0, 2, 1, 0], &target]);
    let names = sequence(&[&text(&fill(b"@account,"))]);
    vec![
        ("unknown ones", fill(&sequence(&[&text(b"1.2")]))),
        ("unknown, long value", a_control("1.2.3.4", &fill(b"x"))),
        (
            "assertion",
            a_control("1.3.6.1.1.12", &element(0xa1, &[&fill(&equality(b"cn", b"x"))])),
        ),
        (
            "proxied authorisation",
            a_control("2.16.840.1.113730.3.4.18", &long("dn:x", ",a=b", "")),
        ),
        (
            "paged results, long cookie",
            a_control(
                control::PAGED_RESULTS,
                &sequence(&[&[2, 1, 1], &text(&fill(b"x"))]),
            ),
        ),
        (
            "paged results, over and over",
            fill(&a_control(
                control::PAGED_RESULTS,
                &sequence(&[&[2, 1, 1], &text(b"")]),
            )),
        ),
        (
            "sort keys",
            a_control(
                control::SORT_REQUEST,
                &sequence(&[&fill(&sequence(&[&text(b"cn")]))]),
            ),
        ),
        (
            "long sort key",
            a_control(control::SORT_REQUEST, &key(&fill(b"a"))),
        ),
        (
            "list view",
            [sorted, a_control(control::VLV_REQUEST, &view)].concat(),
        ),
        (
            "dereference",
            a_control(
                control::DEREF,
                &sequence(&[&sequence(&[&text(b"member"), &names])]),
            ),
        ),
        (
            "flags, long value",
            a_control(control::SD_FLAGS, &sequence(&[&fill(&[2, 1, 5])])),
        ),
        (
            "search options, long value",
            a_control(control::SEARCH_OPTIONS, &sequence(&[&fill(&[2, 1, 5])])),
        ),
        (
            "subentries, long value",
            a_control(control::SUBENTRIES, &fill(&[1, 1, 0])),
        ),
    ]
}

/// Headers of the PROXY protocol as long as they may be and longer, and HTTP.
fn headers() -> Vec<RequestKind> {
    let version_1 = b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec();
    let version_2 = |extensions: usize| {
        // HAProxy's proxy-protocol.txt, section 2.2: signature, command, family, length, addresses, then TLVs (PP2_TYPE_NOOP).
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
        header.extend_from_slice(&u16::try_from(12 + extensions).unwrap_or(u16::MAX).to_be_bytes());
        header.extend_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 1, 0x85]);
        header.extend(b"\x04\0\0".iter().cycle().take(extensions));
        header
    };
    let http = |path: &str, headers: &str| {
        format!("GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes()
    };
    let path = |octets: usize| "a/".repeat(octets / 2);
    [
        ("PROXY v1", Port::Ldap, version_1),
        (
            "PROXY v1 without an end",
            Port::Ldap,
            [b"PROXY ".as_slice(), &fill(b"1")].concat(),
        ),
        ("PROXY v2, as long as allowed", Port::Ldap, version_2(3 * 1300)),
        ("PROXY v2, longer", Port::Ldap, version_2(3 * 20_000)),
        ("no LDAP", Port::Ldap, fill(b"GET / HTTP/1.1\r\n")),
        (
            "HTTP: path, as long as allowed",
            Port::Http,
            http(&path(1000), ""),
        ),
        ("HTTP: longer path", Port::Http, http(&path(8_000), "")),
        ("HTTP: path of 64 kB", Port::Http, http(&path(*LONG), "")),
        (
            "HTTP: many headers",
            Port::Http,
            http("", &"a: b\r\n".repeat(*LONG / 6)),
        ),
        (
            "HTTP: long header",
            Port::Http,
            http("", &format!("a: {}\r\n", "b".repeat(*LONG))),
        ),
        (
            "HTTP: query for metrics",
            Port::Http,
            http(&format!("metrics?{}", path(900)), ""),
        ),
    ]
    .into_iter()
    .map(|(name, port, octets)| RequestKind {
        name: name.to_owned(),
        port,
        octets,
    })
    .collect()
}
