//! Every kind of request that can be sent before a bind, as hostile as each can be made.

use akldap_ldap::ber;
use akldap_ldap::control;

/// The base of the tree that names are below.
pub(super) const BASE: &str = "dc=ldap,dc=goauthentik,dc=io";

/// A kind of request: its name, and one of about this many octets.
pub(super) type RequestKind = (String, Make);

/// Makes something of about this many octets.
pub(super) type Make = Box<dyn Fn(usize) -> Vec<u8>>;

fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_element(&mut out, tag, &contents.concat());
    out
}

fn text(octets: &[u8]) -> Vec<u8> {
    element(0x04, &[octets])
}

fn message(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &[&[0x02, 0x01, 0x01], parts.concat().as_slice()])
}

/// `piece` over and over, about `octets` in all.
fn fill(piece: &[u8], octets: usize) -> Vec<u8> {
    piece.repeat(octets / piece.len())
}

fn bind(name: &[u8], secret: &[u8]) -> Vec<u8> {
    message(&[&element(
        0x60,
        &[&[2, 1, 3], &text(name), &element(0x80, &[secret])],
    )])
}

fn search(base: &[u8], filter: &[u8], attributes: &[u8], controls: &[u8]) -> Vec<u8> {
    let limits = [0x0a, 1, 0, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
    let request = element(
        0x63,
        &[&text(base), &limits, filter, &element(0x30, &[attributes])],
    );
    message(&[&request, controls])
}

fn present() -> Vec<u8> {
    element(0x87, &[b"objectClass"])
}

fn control(oid: &str, value: &[u8]) -> Vec<u8> {
    element(0x30, &[&text(oid.as_bytes()), &text(value)])
}

/// Names as strings, as hostile as they come. `{}` stands for `BASE`.
fn names() -> Vec<(&'static str, Make)> {
    let repeated = |front: &'static str, piece: &'static str, end: &'static str| {
        Box::new(move |octets| [front.as_bytes(), &fill(piece.as_bytes(), octets), end.as_bytes()].concat())
            as Make
    };
    vec![
        ("unescaped RDNs", repeated("x", ",a=b", "")),
        (
            "unescaped RDNs below a base",
            repeated("x", ",a=b", ",dc=ldap,dc=goauthentik,dc=io"),
        ),
        ("RDNs", repeated("cn=a", ",a=b", "")),
        (
            "RDNs below a base",
            repeated("cn=a", ",a=b", ",dc=ldap,dc=goauthentik,dc=io"),
        ),
        ("bases", repeated("x", ",dc=ldap,dc=goauthentik,dc=io", "")),
        ("commas", repeated("", ",", "")),
        (
            "commas in a user name",
            repeated("cn=a", ",", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        ("semicolons", repeated("x", ";", ";dc=ldap,dc=goauthentik,dc=io")),
        (
            "a long user name",
            repeated("cn=a", "A", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        ("a long last value", repeated("x,dc=", "A", "")),
        (
            "a long first base value",
            repeated("cn=a,ou=users,dc=", "Ä", ",dc=goauthentik,dc=io"),
        ),
        (
            "a multi-valued RDN",
            repeated("cn=a", "+a=b", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "pluses",
            repeated("cn=a", "+", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "escapes",
            repeated("cn=a", "\\2c", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "bad escapes",
            repeated("x", ",a=\\zz", ",dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "backslashes",
            repeated("cn=a", "\\", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "quotes",
            repeated("cn=\"a", "\",\"", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "spaces",
            repeated("cn = a", " ", ", ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "spaces after a type",
            repeated("cn", " ", "x=a,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "spaced types",
            repeated("x", ",a a=b", ",dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "hexadecimal",
            repeated("cn=#04820100", "41", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "long types",
            repeated("", "OID.", "=a,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "compatibility characters",
            repeated("cn=", "\u{fdfa}", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
        (
            "combining marks",
            repeated("cn=a", "\u{301}\u{316}", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ),
    ]
}

pub(super) fn kinds() -> Vec<RequestKind> {
    let mut kinds: Vec<RequestKind> = Vec::new();
    let mut add = |name: &str, make: Make| kinds.push((name.to_owned(), make));
    for (name, make) in names() {
        add(
            &format!("a bind with {name}"),
            Box::new(move |octets| bind(&make(octets), b"secret")),
        );
    }
    for (name, make) in names() {
        add(
            &format!("a search below {name}"),
            Box::new(move |octets| search(&make(octets), &present(), &[], &[])),
        );
    }
    for (name, make) in names() {
        add(
            &format!("a compare of {name}"),
            Box::new(move |octets| {
                let assertion = element(0x30, &[&text(b"cn"), &text(b"x")]);
                message(&[&element(0x6e, &[&text(&make(octets)), &assertion])])
            }),
        );
    }
    add(
        "a bind with octets that are no UTF-8",
        Box::new(|octets| bind(&fill(b"cn=\xff,", octets), b"secret")),
    );
    add(
        "a long password",
        Box::new(|octets| {
            bind(
                b"cn=a,ou=users,dc=ldap,dc=goauthentik,dc=io",
                &fill(b";1", octets),
            )
        }),
    );
    add(
        "a long SASL mechanism",
        Box::new(|octets| {
            let sasl = element(0xa3, &[&text(&fill(b"\x01", octets)), &text(b"x")]);
            message(&[&element(0x60, &[&[2, 1, 3], &text(b""), &sasl])])
        }),
    );
    add(
        "long SASL credentials",
        Box::new(|octets| {
            let sasl = element(0xa3, &[&text(b"PLAIN"), &text(&fill(b"\0x", octets))]);
            message(&[&element(0x60, &[&[2, 1, 3], &text(b""), &sasl])])
        }),
    );
    add(
        "a bind under controls",
        Box::new(|octets| {
            let bind = element(0x60, &[&[2, 1, 3], &text(b"cn=a"), &element(0x80, &[b"x"])]);
            let unknown = element(0x30, &[&text(b"1.2")]);
            message(&[&bind, &element(0xa0, &[&fill(&unknown, octets)])])
        }),
    );
    add(
        "an unknown authentication choice",
        Box::new(|octets| {
            message(&[&element(
                0x60,
                &[&[2, 1, 3], &text(b""), &element(0x85, &[&fill(b"x", octets)])],
            )])
        }),
    );
    add(
        "a malformed bind",
        Box::new(|octets| message(&[&element(0x60, &[&fill(&[2, 1, 3], octets)])])),
    );
    for (place, base) in [
        ("the rootDSE", ""),
        ("the subschema", "cn=subschema"),
        ("a tree", BASE),
    ] {
        let mut add = |name: &str, filter: Make| {
            kinds.push((
                format!("{name} on {place}"),
                Box::new(move |octets| search(base.as_bytes(), &filter(octets), &[], &[])),
            ));
        };
        let equality = |attribute: &[u8], value: &[u8]| element(0xa3, &[&text(attribute), &text(value)]);
        for attribute in [
            "attributeTypes",
            "objectClass",
            "supportedControl",
            "cn",
            "member",
            "nosuch",
        ] {
            let each = equality(attribute.as_bytes(), b"x");
            add(
                &format!("an or of {attribute}"),
                Box::new(move |octets| element(0xa1, &[&fill(&each, octets)])),
            );
            add(
                &format!("a long {attribute}"),
                Box::new(move |octets| equality(attribute.as_bytes(), &fill("\u{fdfa}".as_bytes(), octets))),
            );
            add(
                &format!("many parts of {attribute}"),
                Box::new(move |octets| {
                    let parts = element(0x30, &[&fill(&[0x81, 0, 0x81, 1, b'e'], octets)]);
                    element(0xa4, &[&text(attribute.as_bytes()), &parts])
                }),
            );
        }
        let any = element(0xa9, &[&element(0x81, &[b"2.5.13.2"]), &element(0x83, &[b"x"])]);
        add(
            "an and of extensible matches",
            Box::new(move |octets| {
                let not = element(0xa2, &[&any]);
                element(0xa0, &[&fill(&not, octets)])
            }),
        );
        add(
            "empty connectives",
            Box::new(|octets| element(0xa1, &[&fill(&[0xa0, 0], octets)])),
        );
        for tag in [0xa0, 0xa1, 0xa2] {
            let cn = equality(b"cn", b"x");
            let wide = move |inner: Vec<u8>, levels: usize| {
                (0..levels).fold(inner, |inner, _| element(tag, &[&inner]))
            };
            let deep = cn.clone();
            add(
                &format!("as many of {tag:#x} in each other as fit"),
                Box::new(move |octets| wide(deep.clone(), octets / 5)),
            );
            add(
                &format!("an or in 30 of {tag:#x}"),
                Box::new(move |octets| wide(element(0xa1, &[&fill(&cn, octets)]), 30)),
            );
        }
        for (name, tag) in [
            ("greater or equal", 0xa5),
            ("less or equal", 0xa6),
            ("approximate", 0xa8),
        ] {
            let each = element(tag, &[&text(b"cn"), &text(b"x")]);
            add(
                &format!("an or of {name}"),
                Box::new(move |octets| element(0xa1, &[&fill(&each, octets)])),
            );
        }
        add(
            "a long attribute description",
            Box::new(move |octets| equality(&fill(b"a;x", octets), b"x")),
        );
        for (what, piece) in [
            ("names", "cn,"),
            ("unknown names", "zz,"),
            ("classes", "@inetOrgPerson,"),
            ("commas", ","),
        ] {
            kinds.push((
                format!("{what} asked of {place}"),
                Box::new(move |octets| {
                    search(
                        base.as_bytes(),
                        &present(),
                        &text(&fill(piece.as_bytes(), octets)),
                        &[],
                    )
                }),
            ));
        }
        kinds.push((
            format!("a list of attributes asked of {place}"),
            Box::new(move |octets| {
                search(base.as_bytes(), &present(), &fill(&text(b"@person"), octets), &[])
            }),
        ));
        let mut with_controls = |name: &str, controls: Make| {
            kinds.push((
                format!("{name} on {place}"),
                Box::new(move |octets| {
                    let controls = element(0xa0, &[&controls(octets)]);
                    search(base.as_bytes(), &present(), &[], &controls)
                }),
            ));
        };
        let key = |name: &[u8]| element(0x30, &[&element(0x30, &[&text(name)])]);
        with_controls(
            "unknown controls",
            Box::new(|octets| fill(&element(0x30, &[&text(b"1.2")]), octets)),
        );
        with_controls(
            "an assertion",
            Box::new(|octets| {
                let each = element(0xa3, &[&text(b"cn"), &text(b"x")]);
                control("1.3.6.1.1.12", &element(0xa1, &[&fill(&each, octets)]))
            }),
        );
        with_controls(
            "somebody else's authorisation",
            Box::new(|octets| {
                let name = [b"dn:x", fill(b",a=b", octets).as_slice()].concat();
                control("2.16.840.1.113730.3.4.18", &name)
            }),
        );
        for oid in [
            control::SD_FLAGS,
            control::SEARCH_OPTIONS,
            control::SUBENTRIES,
            control::MANAGE_DSA_IT,
            control::DOMAIN_SCOPE,
            control::PASSWORD_POLICY,
        ] {
            with_controls(
                &format!("a long value of {oid}"),
                Box::new(move |octets| control(oid, &element(0x30, &[&fill(&[2, 1, 5], octets)]))),
            );
        }
        with_controls(
            "paged results",
            Box::new(|octets| {
                let value = element(0x30, &[&[2, 1, 1], &text(&fill(b"x", octets))]);
                control(control::PAGED_RESULTS, &value)
            }),
        );
        with_controls(
            "repeated paged results",
            Box::new(|octets| {
                let value = element(0x30, &[&[2, 1, 1], &text(b"")]);
                fill(&control(control::PAGED_RESULTS, &value), octets)
            }),
        );
        with_controls(
            "sort keys",
            Box::new(|octets| {
                let value = element(0x30, &[&fill(&element(0x30, &[&text(b"cn")]), octets)]);
                control(control::SORT_REQUEST, &value)
            }),
        );
        with_controls(
            "a long sort key",
            Box::new(move |octets| control(control::SORT_REQUEST, &key(&fill(b"a", octets)))),
        );
        with_controls(
            "a long list view target",
            Box::new(move |octets| {
                let target = element(0x81, &[&fill("\u{fdfa}".as_bytes(), octets)]);
                let view = element(0x30, &[&[2, 1, 0, 2, 1, 0], &target]);
                [
                    control(control::SORT_REQUEST, &key(b"cn")),
                    control(control::VLV_REQUEST, &view),
                ]
                .concat()
            }),
        );
        with_controls(
            "attributes to dereference",
            Box::new(|octets| {
                let names = element(0x30, &[&text(&fill(b"@account,", octets))]);
                control(
                    control::DEREF,
                    &element(0x30, &[&element(0x30, &[&text(b"member"), &names])]),
                )
            }),
        );
    }
    let mut add = |name: &str, make: Make| kinds.push((name.to_owned(), make));
    add(
        "an unknown extended operation",
        Box::new(|octets| message(&[&element(0x77, &[&element(0x80, &[&fill(b"\x01", octets)])])])),
    );
    for oid in [
        "1.3.6.1.4.1.4203.1.11.3",
        "1.3.6.1.1.8",
        "1.3.6.1.4.1.1466.20037",
        "1.3.6.1.4.1.4203.1.11.1",
    ] {
        add(
            &format!("a value for {oid}"),
            Box::new(move |octets| {
                let value = element(0x81, &[&element(0x30, &[&fill(&[2, 1, 5], octets)])]);
                message(&[&element(0x77, &[&element(0x80, &[oid.as_bytes()]), &value])])
            }),
        );
    }
    add(
        "a compare with a long value",
        Box::new(|octets| {
            let assertion = element(0x30, &[&text(b"cn"), &text(&fill(b"x", octets))]);
            message(&[&element(0x6e, &[&text(BASE.as_bytes()), &assertion])])
        }),
    );
    for entry in ["", "cn=subschema"] {
        for attribute in ["attributeTypes", "supportedControl", "cn", "description"] {
            add(
                &format!("a compare of a long {attribute} with {entry:?}"),
                Box::new(move |octets| {
                    let value = text(&fill("\u{fdfa}".as_bytes(), octets));
                    let assertion = element(0x30, &[&text(attribute.as_bytes()), &value]);
                    message(&[&element(0x6e, &[&text(entry.as_bytes()), &assertion])])
                }),
            );
        }
    }
    add(
        "a modify",
        Box::new(|octets| {
            let change = element(
                0x30,
                &[&[0x0a, 1, 0], &element(0x30, &[&text(b"a"), &element(0x31, &[])])],
            );
            message(&[&element(
                0x66,
                &[&text(b"cn=a"), &element(0x30, &[&fill(&change, octets)])],
            )])
        }),
    );
    add(
        "an add",
        Box::new(|octets| {
            let attribute = element(0x30, &[&text(b"a"), &element(0x31, &[&text(b"b")])]);
            message(&[&element(
                0x68,
                &[&text(b"cn=a"), &element(0x30, &[&fill(&attribute, octets)])],
            )])
        }),
    );
    add(
        "a delete",
        Box::new(|octets| message(&[&element(0x4a, &[&fill(b"cn=a,", octets)])])),
    );
    add(
        "a rename",
        Box::new(|octets| {
            message(&[&element(
                0x6c,
                &[&text(&fill(b"cn=a,", octets)), &text(b"cn=b"), &[1, 1, 0]],
            )])
        }),
    );
    add(
        "nested elements",
        Box::new(|octets| {
            let nested = (0..octets / 4).fold(Vec::new(), |inner: Vec<u8>, _| element(0x30, &[&inner]));
            message(&[&element(0x66, &[&nested])])
        }),
    );
    add(
        "an unbind with contents",
        Box::new(|octets| message(&[&element(0x42, &[&fill(b"x", octets)])])),
    );
    add(
        "an abandon with contents",
        Box::new(|octets| message(&[&element(0x50, &[&fill(b"x", octets)])])),
    );
    add(
        "an unknown operation",
        Box::new(|octets| message(&[&element(0x7e, &[&fill(b"x", octets)])])),
    );
    add(
        "no envelope",
        Box::new(|octets| element(0x30, &[&fill(&[2, 1, 1], octets)])),
    );
    kinds
}
