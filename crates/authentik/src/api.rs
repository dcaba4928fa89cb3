//! The calls of authentik's REST API that an LDAP outpost makes.

use std::net::IpAddr;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::access::{AccessCheck, Me};
use super::certificate::CertificateKeyPair;
use super::client::{AnswerKind, Caller, Client, HttpAnswer};
use super::error::ApiError;
use super::group::Group;
use super::outpost::{OutpostChoice, OutpostInstance, RootConfig};
use super::page::{Listed, Page, Pagination, RowWarning, decode_one, decode_page, decode_pagination};
use super::provider::LdapProvider;
use super::session::Session;
use super::user::User;
use super::version::{Release, VersionAnswer};

/// Page size asked for where the list is short. authentik caps it at what its admin allows (100 by default).
const PAGE_SIZE: u32 = 100;
/// Pages read of a short list. More than 10,000 providers on one outpost mean a server that answers nonsense.
const MAX_PAGES: u64 = 100;

/// Which users to list. Fields that are `None` are left out of the query, so that the server's default applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsersQuery {
    /// Page number, from 1.
    pub page: u32,
    /// Rows per page; the server caps it.
    pub page_size: Option<u32>,
    /// Comma-separated field names, `-` for descending.
    pub ordering: Option<String>,
    /// Only users changed strictly after this ISO 8601 time.
    pub last_updated_gt: Option<String>,
    /// Whether to send the groups' objects. Leaving them out saves bytes and costs the server more.
    pub include_groups: Option<bool>,
    /// The same for roles.
    pub include_roles: Option<bool>,
    /// Exact user name. The server trims it and ignores an empty one.
    pub username: Option<String>,
    /// Exact UUID.
    pub uuid: Option<String>,
    /// Exact e-mail address.
    pub email: Option<String>,
}

/// Which groups to list. Fields that are `None` are left out of the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupsQuery {
    /// Page number, from 1.
    pub page: u32,
    /// Rows per page; the server caps it.
    pub page_size: Option<u32>,
    /// Comma-separated field names, `-` for descending.
    pub ordering: Option<String>,
    /// Whether to send the members' objects (default yes: fifty times the data). Their keys always come.
    pub include_users: Option<bool>,
    /// Whether to send the children's objects.
    pub include_children: Option<bool>,
    /// Whether to send the parents' objects.
    pub include_parents: Option<bool>,
    /// Exact name.
    pub name: Option<String>,
}

/// Appends the parameters that are set.
fn with_query(mut url: Url, parameters: &[(&str, Option<String>)]) -> Url {
    {
        let mut pairs = url.query_pairs_mut();
        for (name, value) in parameters {
            if let Some(value) = value {
                pairs.append_pair(name, value);
            }
        }
    }
    if url.query() == Some("") {
        url.set_query(None);
    }
    url
}

fn text<T: ToString>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

impl Client {
    /// The outpost this token stands for (`GET outposts/instances/`). No outpost is an error; several are reported by
    /// [`OutpostChoice::advice`].
    pub async fn outpost(&self) -> Result<OutpostChoice, ApiError> {
        let url = with_query(
            self.endpoint().api("outposts/instances/"),
            &[("page_size", text(Some(PAGE_SIZE)))],
        );
        let name = url.to_string();
        let page: Page<OutpostInstance> = self.page(url).await?;
        OutpostChoice::among(page.rows, page.pagination.count, page.skipped)
            .ok_or(ApiError::NoOutpost { url: name })
    }

    /// The server's public configuration (`GET root/config/`).
    pub async fn root_config(&self) -> Result<RootConfig, ApiError> {
        self.object("root/config/").await
    }

    /// Which release authentik is (`GET admin/version/`).
    pub async fn release(&self) -> Result<Release, ApiError> {
        let answer: VersionAnswer = self.object("admin/version/").await?;
        Ok(Release::new(&answer.version_current))
    }

    /// Every LDAP provider of the outpost that has an application (`GET outposts/ldap/`, all pages).
    pub async fn ldap_providers(&self) -> Result<(Vec<LdapProvider>, Vec<RowWarning>), ApiError> {
        let (mut providers, mut warnings) = (Vec::<LdapProvider>::new(), Vec::new());
        for number in 1..=MAX_PAGES {
            let parameters = [
                ("page", text(Some(number))),
                ("page_size", text(Some(PAGE_SIZE))),
                ("ordering", text(Some("pk"))),
            ];
            let url = with_query(self.endpoint().api("outposts/ldap/"), &parameters);
            let page: Page<LdapProvider> = self.page(url).await?;
            for provider in page.rows {
                if !providers.iter().any(|known| known.pk == provider.pk) {
                    providers.push(provider);
                }
            }
            warnings.extend(page.skipped);
            if page.pagination.next == 0 || number >= page.pagination.total_pages {
                return Ok((providers, warnings));
            }
        }
        let url = self.endpoint().api("outposts/ldap/").to_string();
        Err(ApiError::Malformed {
            url,
            problem: format!("it has more than {MAX_PAGES} pages"),
            is_page: false,
            request_id: None,
        })
    }

    /// A key pair without its material. 404 also means "not permitted".
    pub async fn certificate(&self, uuid: &str) -> Result<CertificateKeyPair, ApiError> {
        self.object(&certificate_path(uuid, "")?).await
    }

    /// The certificate chain in PEM.
    pub async fn view_certificate(&self, uuid: &str) -> Result<String, ApiError> {
        Ok(self
            .object::<Material>(&certificate_path(uuid, "view_certificate/")?)
            .await?
            .data)
    }

    /// The private key in PEM (PKCS#1, PKCS#8 or SEC1); empty when the pair has none.
    pub async fn view_private_key(&self, uuid: &str) -> Result<SecretString, ApiError> {
        let url = self.endpoint().api(&certificate_path(uuid, "view_private_key/")?);
        let mut answer = self.get_json(url, Caller::Outpost, AnswerKind::Object).await?;
        let body = Zeroizing::new(std::mem::take(&mut answer.body));
        let material: Material = serde_json::from_slice(&body).map_err(|_| {
            // The decoder's own words might quote the key.
            answer.malformed("it holds no key".to_owned())
        })?;
        Ok(SecretString::from(material.data))
    }

    /// One page of users (`GET core/users/`).
    pub async fn users_page(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        let parameters = [
            ("page", text(Some(query.page.max(1)))),
            ("page_size", text(query.page_size)),
            ("ordering", query.ordering.clone()),
            ("last_updated__gt", query.last_updated_gt.clone()),
            ("include_groups", text(query.include_groups)),
            ("include_roles", text(query.include_roles)),
            ("username", query.username.clone()),
            ("uuid", query.uuid.clone()),
            ("email", query.email.clone()),
        ];
        self.page(with_query(self.endpoint().api("core/users/"), &parameters))
            .await
    }

    /// One user (`GET core/users/{pk}/`); `None` when there is no such user.
    pub async fn user(&self, pk: i64) -> Result<Option<(User, Vec<RowWarning>)>, ApiError> {
        let url = self.endpoint().api(&format!("core/users/{pk}/"));
        match self.get_json(url, Caller::Outpost, AnswerKind::Object).await {
            Ok(answer) => decode_one(&answer.body)
                .map(Some)
                .map_err(|problem| answer.malformed(problem)),
            // Only authentik's own JSON 404 is an answer to the question; a proxy's error page is not.
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of groups (`GET core/groups/`).
    pub async fn groups_page(&self, query: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        self.raw_groups_page(query).await?.decode()
    }

    /// One page of groups, not yet decoded: a list that has not changed need not be decoded.
    pub async fn raw_groups_page(&self, query: &GroupsQuery) -> Result<RawPage, ApiError> {
        let parameters = [
            ("page", text(Some(query.page.max(1)))),
            ("page_size", text(query.page_size)),
            ("ordering", query.ordering.clone()),
            ("include_users", text(query.include_users)),
            ("include_children", text(query.include_children)),
            ("include_parents", text(query.include_parents)),
            ("name", query.name.clone()),
        ];
        self.raw_page(with_query(self.endpoint().api("core/groups/"), &parameters))
            .await
    }

    /// Asks, as the session's user, whether the application may be used (`GET outposts/ldap/{id}/check_access/`).
    /// The answer is valid only together with the session's proof of login: authentik answers anonymous callers too.
    /// Unlike `users/me`, it does not save the session, which would put off its end.
    pub async fn check_access(
        &self,
        session: &Session,
        provider_pk: i64,
        app_slug: &str,
        client_ip: Option<IpAddr>,
    ) -> Result<AccessCheck, ApiError> {
        let url = self
            .endpoint()
            .api(&format!("outposts/ldap/{provider_pk}/check_access/"));
        let url = with_query(url, &[("app_slug", Some(app_slug.to_owned()))]);
        let caller = Caller::User {
            cookies: session.cookies(),
            client_ip,
        };
        let answer = self.get_json(url, caller, AnswerKind::Object).await?;
        let check = AccessCheck::decode(&answer.body).map_err(|error| answer.malformed(error.to_string()))?;
        Ok(AccessCheck {
            session_ended: session.is_ended_by(&answer.headers),
            ..check
        })
    }

    /// Asks who the session belongs to (`GET core/users/me/`).
    pub async fn users_me(&self, session: &Session, client_ip: Option<IpAddr>) -> Result<Me, ApiError> {
        self.me(Caller::User {
            cookies: session.cookies(),
            client_ip,
        })
        .await
    }

    pub(crate) async fn me(&self, caller: Caller<'_>) -> Result<Me, ApiError> {
        let answer = self
            .get_json(self.endpoint().api("core/users/me/"), caller, AnswerKind::Object)
            .await?;
        Me::decode(&answer.body).map_err(|error| answer.malformed(error.to_string()))
    }

    async fn page<T: Listed>(&self, url: Url) -> Result<Page<T>, ApiError> {
        self.raw_page(url).await?.decode()
    }

    async fn raw_page(&self, url: Url) -> Result<RawPage, ApiError> {
        let answer = self.get_json(url, Caller::Outpost, AnswerKind::List).await?;
        let pagination = decode_pagination(&answer.body).map_err(|problem| answer.malformed(problem))?;
        Ok(RawPage { answer, pagination })
    }

    async fn object<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, ApiError> {
        let answer: HttpAnswer = self
            .get_json(self.endpoint().api(path), Caller::Outpost, AnswerKind::Object)
            .await?;
        serde_json::from_slice(&answer.body).map_err(|error| answer.malformed(error.to_string()))
    }
}

/// A page as it came.
pub struct RawPage {
    answer: HttpAnswer,
    pagination: Pagination,
}

impl RawPage {
    /// A page with these octets, for tests that play a server.
    #[cfg(any(test, feature = "fixtures"))]
    pub fn of(url: Url, body: Vec<u8>) -> Self {
        let pagination = decode_pagination(&body).unwrap_or_default();
        let answer = HttpAnswer {
            url,
            status: 200,
            headers: reqwest::header::HeaderMap::new(),
            body,
            time_of_day: std::time::SystemTime::now,
            sent: crate::client::Sent::default(),
        };
        Self { answer, pagination }
    }

    /// Its position in the list.
    pub fn pagination(&self) -> Pagination {
        self.pagination
    }

    /// Equal for two pages exactly if the server sent the same octets.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.answer.body).as_bytes()
    }

    /// Its rows.
    ///
    /// # Errors
    /// When it is not a page.
    pub fn decode<T: Listed>(&self) -> Result<Page<T>, ApiError> {
        let mut page = decode_page(&self.answer.body).map_err(|problem| self.answer.malformed(problem))?;
        page.served = self.served();
        Ok(page)
    }

    /// The server's clock when it answered, to the second, if it said.
    pub fn served(&self) -> Option<std::time::SystemTime> {
        self.answer.served()
    }
}

#[derive(Deserialize)]
struct Material {
    data: String,
}

/// The path of a key pair. The id comes from the server and goes into a URL, so it has to be a UUID.
fn certificate_path(uuid: &str, view: &str) -> Result<String, ApiError> {
    let uuid = uuid::Uuid::parse_str(uuid)
        .map_err(|_| ApiError::Settings(format!("the provider's certificate {uuid:?} is not a UUID")))?;
    Ok(format!("crypto/certificatekeypairs/{}/{view}", uuid.hyphenated()))
}
