//! A directory read from recordings of a real authentik: users, groups, providers, outposts and certificates as
//! its API gave them, with the passwords and flows of the installation that was recorded.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value indexed by a name that it does not have is null"
)]

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::access::{Application, Binding, Outpost, Provider, Role};
use super::attributes::Attributes;
use super::certificates::Certificate;
use super::clock::parse_iso;
use super::devices::Device;
use super::directory::Directory;
use super::recorded_flows;
use super::users::{Password, User, UserType};

/// Why recordings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    /// One of them is not there.
    #[error("there is no recording {0}")]
    Missing(String),
    /// The body of an answer is not JSON.
    #[error("{0} is not a recording: {1}")]
    Form(String, serde_json::Error),
    /// One lacks something.
    #[error("{0} lacks {1}")]
    Lacks(String, &'static str),
}

/// The recordings by name.
struct Recordings<'a>(&'a BTreeMap<String, Value>);

impl Recordings<'_> {
    fn json(&self, name: &str) -> Result<&Value, RecordingsError> {
        self.0
            .get(name)
            .ok_or_else(|| RecordingsError::Missing(name.into()))
    }

    /// The recorded answer of one exchange.
    fn answer(&self, name: &str) -> Result<Value, RecordingsError> {
        let exchange = self.json(name)?;
        let body = exchange["response"]["body"]
            .as_str()
            .ok_or(RecordingsError::Lacks(name.into(), "a body"))?;
        serde_json::from_str(body).map_err(|error| RecordingsError::Form(name.into(), error))
    }

    fn rows(&self, name: &str) -> Result<Vec<Value>, RecordingsError> {
        let mut answer = self.answer(name)?;
        match answer.get_mut("results").map(Value::take) {
            Some(Value::Array(rows)) => Ok(rows),
            _ => Err(RecordingsError::Lacks(name.into(), "results")),
        }
    }

    /// The Bearer token an exchange was made with.
    fn token(&self, name: &str) -> Result<String, RecordingsError> {
        let exchange = self.json(name)?;
        list(&exchange["request"]["headers"])
            .iter()
            .find(|header| text(&header[0]).eq_ignore_ascii_case("authorization"))
            .and_then(|header| text(&header[1]).strip_prefix("Bearer ").map(str::to_owned))
            .ok_or(RecordingsError::Lacks(name.into(), "a token"))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn uuid(value: &Value) -> Uuid {
    text(value).parse().unwrap_or_default()
}

fn uuids(value: &Value) -> Vec<Uuid> {
    list(value).iter().map(uuid).collect()
}

fn number(value: &Value) -> i32 {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .unwrap_or_default()
}

fn time(value: &Value) -> i64 {
    parse_iso(text(value)).unwrap_or_default()
}

fn object(value: &Value) -> Attributes {
    value.as_object().cloned().unwrap_or_default()
}

impl Directory {
    /// The directory that was recorded: exchanges by name, and `fixtures.json`, which says how the installation was set up.
    ///
    /// # Errors
    ///
    /// When one is missing or has a different form.
    pub fn from_recordings(recordings: &BTreeMap<String, Value>) -> Result<Self, RecordingsError> {
        let recordings = Recordings(recordings);
        let fixtures = recordings.json("fixtures.json")?;
        let mut directory = Self::new();
        directory.root_config = recordings.answer("A-bootstrap/10-root-config.json")?;
        load_groups(
            &mut directory,
            &recordings.rows("C-groups/07-list-inherited-roles.json")?,
        );
        load_users(
            &mut directory,
            &recordings.rows("B-users/02-list-p1-100.json")?,
            fixtures,
        );
        load_roles(&mut directory, fixtures);
        load_devices(&mut directory, fixtures);
        load_certificates(&mut directory, &recordings)?;
        load_providers(&mut directory, &recordings)?;
        load_outposts(&mut directory, &recordings, fixtures)?;
        load_applications(&mut directory, fixtures);
        let outposts = recordings.rows("A-bootstrap/01-outposts-instances.json")?;
        let mut flows: HashMap<String, Uuid> = object(&fixtures["flows"])
            .iter()
            .map(|(slug, pk)| (slug.clone(), uuid(pk)))
            .collect();
        if let Some(outpost) = outposts.first() {
            let unbind = uuid(&outpost["providers_obj"][0]["invalidation_flow"]);
            flows.insert("default-provider-invalidation-flow".into(), unbind);
        }
        recorded_flows::add(&mut directory, &flows);
        Ok(directory)
    }
}

fn load_groups(directory: &mut Directory, rows: &[Value]) {
    for row in rows {
        let pk = directory.add_group(uuid(&row["pk"]), text(&row["name"]));
        for role in list(&row["roles_obj"]) {
            let role = Role::new(uuid(&role["pk"]), text(&role["name"]));
            directory.roles.insert(role.pk, role);
        }
        directory.change_group(pk, |group| {
            group.is_superuser = row["is_superuser"].as_bool().unwrap_or_default();
            group.set_attributes(&object(&row["attributes"]));
            group.roles = uuids(&row["roles"]);
        });
    }
    for row in rows {
        directory.set_parents(uuid(&row["pk"]), &uuids(&row["parents"]));
    }
}

fn load_users(directory: &mut Directory, rows: &[Value], fixtures: &Value) {
    for row in rows {
        let mut user = User::new(
            number(&row["pk"]),
            text(&row["username"]),
            text(&row["name"]),
            text(&row["email"]),
        );
        user.is_active = row["is_active"].as_bool().unwrap_or_default();
        user.last_login = row["last_login"].as_str().and_then(parse_iso);
        user.date_joined = time(&row["date_joined"]);
        user.password_change_date = time(&row["password_change_date"]);
        user.last_updated = time(&row["last_updated"]);
        user.uuid = uuid(&row["uuid"]);
        user.uid = uid(text(&row["uid"]));
        user.path = text(&row["path"]).into();
        user.kind = UserType::parse(text(&row["type"])).unwrap_or_default();
        user.roles = uuids(&row["roles"]);
        user.set_attributes(&object(&row["attributes"]));
        if let Some(password) = fixtures["passwords"][&*user.username].as_str() {
            // The API trims passwords when it stores them.
            user.password = Password::Text(password.trim().into());
        }
        for role in list(&row["roles_obj"]) {
            let role = Role::new(uuid(&role["pk"]), text(&role["name"]));
            directory.roles.insert(role.pk, role);
        }
        let pk = user.pk;
        directory.add_user(user);
        for group in uuids(&row["groups"]) {
            directory.join(pk, group);
        }
    }
    for account in ["service_account", "service_account2"] {
        let account = &fixtures[account];
        directory.app_passwords.insert(
            number(&account["user_pk"]),
            vec![text(&account["token"]).to_owned()],
        );
    }
}

fn uid(hex: &str) -> [u8; 32] {
    let mut out = [0; 32];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = hex
            .get(at * 2..at * 2 + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .unwrap_or_default();
    }
    out
}

fn load_roles(directory: &mut Directory, fixtures: &Value) {
    let providers =
        ["ldap-main", "ldap-mfa", "ldap-backchannel"].map(|name| number(&fixtures["providers"][name]));
    for role in directory.roles.values_mut() {
        let pk = role.pk.to_string();
        if fixtures["roles"]["ldap_search"] == *pk || fixtures["roles"]["group_role"] == *pk {
            role.search = providers.to_vec();
        }
        role.search_everywhere = fixtures["roles"]["global"] == *pk;
    }
}

fn load_devices(directory: &mut Directory, fixtures: &Value) {
    let hex = text(&fixtures["totp_key_hex"]);
    let key: Vec<u8> = (0..hex.len() / 2)
        .filter_map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    let tokens = |user: &str| {
        list(&fixtures["static_tokens"][user])
            .iter()
            .map(text)
            .collect::<Vec<_>>()
    };
    let pk = |user: &str| number(&fixtures["users"][user]);
    directory
        .devices
        .insert(pk("totp.user"), vec![Device::totp(1, &key)]);
    directory.devices.insert(
        pk("static.user"),
        vec![Device::static_tokens(1, &tokens("static.user"))],
    );
    directory.devices.insert(
        pk("both.user"),
        vec![
            Device::static_tokens(2, &tokens("both.user")),
            Device::totp(2, &key),
        ],
    );
}

fn load_certificates(directory: &mut Directory, recordings: &Recordings<'_>) -> Result<(), RecordingsError> {
    for (row, certificate, key) in [
        (
            "30-crypto-retrieve",
            "31-crypto-view-certificate",
            "32-crypto-view-private-key",
        ),
        (
            "33-crypto-retrieve-ec",
            "34-crypto-view-certificate-ec",
            "35-crypto-view-private-key-ec",
        ),
    ] {
        let row = recordings.answer(&format!("A-bootstrap/{row}.json"))?;
        let data = |name| recordings.answer(&format!("A-bootstrap/{name}.json"));
        let pair = Certificate {
            pk: uuid(&row["pk"]),
            name: text(&row["name"]).into(),
            certificate_pem: text(&data(certificate)?["data"]).into(),
            key_pem: text(&data(key)?["data"]).into(),
        };
        directory.certificates.insert(pair.pk, pair);
    }
    Ok(())
}

fn load_providers(directory: &mut Directory, recordings: &Recordings<'_>) -> Result<(), RecordingsError> {
    for name in [
        "A-bootstrap/20-outposts-ldap.json",
        "A-bootstrap/21-outposts-ldap-second-outpost.json",
    ] {
        for row in recordings.rows(name)? {
            let mut provider = Provider::new(
                number(&row["pk"]),
                text(&row["name"]),
                text(&row["base_dn"]),
                text(&row["bind_flow_slug"]),
                row["application_slug"].as_str(),
            );
            provider.unbind_flow = row["unbind_flow_slug"].as_str().map(str::to_owned);
            provider.certificate = row["certificate"].as_str().and_then(|pk| pk.parse().ok());
            provider.tls_server_name = text(&row["tls_server_name"]).into();
            provider.uid_start_number = number(&row["uid_start_number"]);
            provider.gid_start_number = number(&row["gid_start_number"]);
            provider.search_mode = text(&row["search_mode"]).into();
            provider.bind_mode = text(&row["bind_mode"]).into();
            provider.mfa_support = row["mfa_support"].as_bool().unwrap_or_default();
            directory.providers.insert(provider.pk, provider);
        }
    }
    Ok(())
}

fn load_outposts(
    directory: &mut Directory,
    recordings: &Recordings<'_>,
    fixtures: &Value,
) -> Result<(), RecordingsError> {
    for (name, fixture) in [
        ("A-bootstrap/01-outposts-instances.json", "main"),
        ("A-bootstrap/03-outposts-instances-second-outpost.json", "second"),
    ] {
        let rows = recordings.rows(name)?;
        let row = rows
            .first()
            .ok_or(RecordingsError::Lacks(name.into(), "an outpost"))?;
        let pk = uuid(&row["pk"]);
        let account = directory
            .user_named(&format!("ak-outpost-{}", pk.simple()))
            .map(|user| user.pk);
        let account = account.ok_or(RecordingsError::Lacks(name.into(), "its account among the users"))?;
        let providers = list(&row["providers"]).iter().map(number).collect();
        let mut outpost = Outpost::new(pk, text(&row["name"]), account, providers);
        outpost.config = object(&row["config"]);
        outpost.refresh_interval_s = row["refresh_interval_s"].as_u64().unwrap_or_default();
        directory.outposts.insert(pk, outpost);
        directory.tokens.insert(recordings.token(name)?, account);
        directory
            .tokens
            .insert(text(&fixtures["outpost_tokens"][fixture]).into(), account);
        if fixture == "main" {
            directory.outpost = pk;
        }
        for row in list(&row["providers_obj"]) {
            adopt(directory, row);
        }
    }
    Ok(())
}

/// What a row of an outpost adds to a provider: the application's side, and providers without one.
fn adopt(directory: &mut Directory, row: &Value) {
    let pk = number(&row["pk"]);
    let provider = directory
        .providers
        .entry(pk)
        .or_insert_with(|| Provider::new(pk, text(&row["name"]), "", "ldap-authentication-flow", None));
    provider.backchannel = row["assigned_backchannel_application_slug"].is_string();
    for kind in ["", "backchannel_"] {
        let slug = &row[format!("assigned_{kind}application_slug")];
        if let Some(slug) = slug.as_str() {
            let name = text(&row[format!("assigned_{kind}application_name")]).to_owned();
            let application = Application {
                slug: slug.to_owned(),
                name,
                bindings: Vec::new(),
            };
            directory.applications.insert(slug.to_owned(), application);
        }
    }
}

fn load_applications(directory: &mut Directory, fixtures: &Value) {
    let open = number(&fixtures["providers"]["ldap-open"]);
    let provider = Provider::new(
        open,
        "ldap-open",
        "DC=open",
        "ldap-authentication-flow",
        Some("ldap-open"),
    );
    directory.providers.insert(open, provider);
    let application = Application {
        slug: "ldap-open".into(),
        name: "LDAP open".into(),
        bindings: Vec::new(),
    };
    directory.applications.insert("ldap-open".into(), application);
    let refused = vec![number(&fixtures["users"]["denied.user"])];
    if let Some(application) = directory.applications.get_mut("ldap-main") {
        application.bindings = vec![Binding::AllBut(refused)];
    }
    let members = uuid(&fixtures["groups"]["ldap-users"]);
    if let Some(application) = directory.applications.get_mut("ldap-mfa") {
        application.bindings = vec![Binding::Group(members)];
    }
}
