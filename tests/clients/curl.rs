//! curl speaks LDAP too.

use crate::exercise::{Need, exercise};
use crate::program::{command, run};
use crate::setting::{USERS, demo};
use crate::stage::{BASE, SUFFIX, user_dn};

#[tokio::test]
async fn curl_reads_an_entry_over_ldap_and_ldaps() {
    let Some(_exercise) = exercise(&[Need::Program("curl")]) else {
        return;
    };
    if !run(command("curl").arg("--version"))
        .await
        .text
        .contains(" ldap ")
    {
        println!("skipped: curl was built without LDAP");
        return;
    }
    let stage = demo().await;
    let user = format!("{}:demo-ldapservice", user_dn("ldapservice"));
    let query = format!(
        "{}/{BASE}?cn,mail?sub?(%26(objectClass=user)(cn=alice))",
        stage.uri()
    );
    let ldaps = query.replace(
        &stage.uri(),
        &format!("ldaps://127.0.0.1:{}", stage.ldaps().port()),
    );
    // An upper bound for a hang, which the busiest machine does not reach.
    let options = ["-sS", "-m", "60", "--cacert", "certs/ca.pem", "-u", &user];
    // Not StartTLS: curl 7.88 sends its bind in clear after the answer to StartTLS, and is disconnected.
    for uri in [&query, &ldaps] {
        let output = run(command("curl").args(options).arg(uri)).await.expect(0);
        assert!(
            output
                .text
                .starts_with(&format!("DN: cn=alice,ou=users,{SUFFIX}\n")),
            "{output:?}"
        );
        assert!(output.text.contains("\tmail: alice@example.com\n"), "{output:?}");
        assert_eq!(output.text.matches("DN: ").count(), 1);
        // More than a record holds, and more than is written at once.
        let everybody = uri
            .replace("(%26(objectClass=user)(cn=alice))", "(objectClass=user)")
            .replace("cn,mail", "*");
        let output = run(command("curl").args(options).arg(&everybody)).await.expect(0);
        assert_eq!(output.text.matches("DN: ").count(), USERS, "{uri}");
    }
    let root = run(command("curl").args(["-sS", &format!("{}/?namingContexts?base", stage.uri())]))
        .await
        .expect(0);
    assert!(
        root.text.contains(&format!("namingContexts: {SUFFIX}")),
        "{root:?}"
    );
    let wrong = format!("{}:wrong", user_dn("ldapservice"));
    let refused = run(command("curl").args(["-sS", "-u", &wrong, &query])).await;
    assert!(refused.code != 0 && refused.text.is_empty(), "{refused:?}");
}
