//! The flows of the installation that was recorded; no recording contains the flows themselves.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::directory::Directory;
use super::flows::{Flow, Identification, NewPassword, NotConfigured, Requirement, Stage, UserLogin};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn login(session: Duration, remember_me: Duration, remember_device: bool) -> Stage {
    Stage::UserLogin(UserLogin {
        session_duration: session,
        remember_me_offset: remember_me,
        remember_device,
        terminate_other_sessions: false,
    })
}

/// Adds these flows; `pks` are their recorded keys by slug.
pub(crate) fn add(directory: &mut Directory, pks: &HashMap<String, Uuid>) {
    let embedded = Stage::identification_with_password;
    let separate = Stage::identification;
    let no_pretence = Stage::Identification(Identification {
        pretend_user_exists: false,
        ..Identification::default()
    });
    let email_first = Stage::Identification(Identification {
        user_fields: vec!["email".into(), "username".into()],
        ..Identification::default()
    });
    let hour = || login(HOUR, Duration::ZERO, true);
    let flows = vec![
        Flow::new(
            "ldap-authentication-flow",
            "LDAP authentication",
            vec![embedded(), Stage::login()],
        ),
        Flow::new(
            "ldap-separate-password-flow",
            "LDAP separate password",
            vec![separate(), Stage::password(), Stage::login()],
        ),
        Flow::new(
            "ldap-separate-password-nopretend-flow",
            "LDAP separate password, no pretend",
            vec![no_pretence, Stage::password(), Stage::login()],
        ),
        Flow::new(
            "ldap-separate-mfa-flow",
            "LDAP separate password + MFA",
            vec![
                separate(),
                Stage::password(),
                Stage::mfa(NotConfigured::Skip),
                Stage::login(),
            ],
        ),
        Flow::new(
            "ldap-embedded-mfa-deny-flow",
            "LDAP embedded password + MFA required",
            vec![embedded(), Stage::mfa(NotConfigured::Deny), hour()],
        ),
        Flow::new(
            "ldap-remember-me-flow",
            "LDAP remember me",
            vec![embedded(), login(HOUR, DAY, false)],
        ),
        Flow::new(
            "ldap-consent-flow",
            "LDAP with a stage the outpost can't solve",
            vec![embedded(), Stage::Consent, Stage::login()],
        ),
        Flow::new(
            "ldap-3s-flow",
            "3s",
            vec![embedded(), login(Duration::from_secs(3), Duration::ZERO, true)],
        ),
        Flow::new(
            "default-authentication-flow",
            "Welcome to authentik!",
            vec![
                email_first,
                Stage::password(),
                Stage::mfa(NotConfigured::Skip),
                Stage::login(),
            ],
        ),
        Flow::new("ldap-empty-flow", "LDAP empty", Vec::new()),
        refused(
            "ldap-flow-policy-denied",
            "LDAP flow denied by policy",
            "Denied by the flow policy",
        ),
        requiring(
            "ldap-require-outpost-flow",
            "LDAP require outpost",
            Requirement::Outpost,
            hour(),
        ),
        requiring(
            "ldap-require-authenticated-flow",
            "LDAP require authenticated",
            Requirement::Authenticated,
            Stage::login(),
        ),
        Flow::password_change(NewPassword::default()),
        logout("default-provider-invalidation-flow", Vec::new()),
        logout("default-invalidation-flow", vec![Stage::UserLogout]),
    ];
    directory.offer_default_settings();
    for mut flow in flows {
        flow.pk = pks.get(&flow.slug).copied().unwrap_or(flow.pk);
        directory.flows.insert(flow.slug.clone(), flow);
    }
}

fn refused(slug: &str, title: &str, message: &str) -> Flow {
    let stages = vec![Stage::identification_with_password(), Stage::login()];
    Flow {
        denied: Some(message.into()),
        ..Flow::new(slug, title, stages)
    }
}

fn requiring(slug: &str, title: &str, requirement: Requirement, login: Stage) -> Flow {
    Flow {
        requirement,
        ..Flow::new(slug, title, vec![Stage::identification_with_password(), login])
    }
}

fn logout(slug: &str, stages: Vec<Stage>) -> Flow {
    Flow {
        designation: "invalidation".into(),
        ..Flow::new(slug, "Logout", stages)
    }
}
