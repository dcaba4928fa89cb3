//! What the status page tells, gathered at one moment: numbers, and names that admins gave. Nothing about a person or a client.
//! Must not know how it is shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock;
use crate::metrics::{
    RefreshKind, RefreshOutcome, Refusals, SampleInterval, SlowSearch, Turns, words::Word as _,
};
use crate::outpost::status::{Load, RowsRead};
use crate::outpost::{Outpost, VERSION};
use akldap_authentik::Mode;

/// A provider.
#[derive(Debug, Clone, Default)]
pub(super) struct ProviderFacts {
    pub(super) name: String,
    pub(super) application: String,
    pub(super) base_dn: String,
    pub(super) bind_mode: &'static str,
    pub(super) has_certificate: bool,
}

/// Something that is loaded again and again.
#[derive(Debug, Clone, Default)]
pub(super) struct LoadFacts {
    pub(super) age: Option<Duration>,
    pub(super) is_stale: bool,
    pub(super) failure: Option<String>,
}

impl LoadFacts {
    fn of(load: Load, stale_after: Duration) -> Self {
        Self {
            age: load.age(),
            is_stale: load.is_stale(stale_after),
            failure: load.failure,
        }
    }
}

/// The refreshes of one kind.
#[derive(Debug, Clone)]
pub(super) struct RefreshFacts {
    pub(super) kind: RefreshKind,
    pub(super) done: u64,
    pub(super) failed: u64,
    /// Half of those that succeeded took no longer.
    pub(super) usual: Option<Duration>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(super) struct StatusFacts {
    pub(super) version: &'static str,
    pub(super) uptime: Duration,
    pub(super) searches: bool,
    pub(super) binds: bool,
    /// Since when authentik has been away, and why.
    pub(super) outage: Option<(Duration, String)>,
    pub(super) providers: Vec<ProviderFacts>,
    /// Certificates with the days that are left.
    pub(super) certificates: Vec<(String, i64)>,
    pub(super) configuration: LoadFacts,
    pub(super) directory: LoadFacts,
    /// How far the first load of the directory has come; `None` once it is done.
    pub(super) progress: Option<RowsRead>,
    pub(super) users: usize,
    pub(super) groups: usize,
    pub(super) octets: usize,
    pub(super) refreshes: Vec<RefreshFacts>,
    pub(super) cached: u64,
    pub(super) cache_part: Option<f64>,
    pub(super) turns: Turns,
    pub(super) connections: u64,
    pub(super) intervals: Vec<SampleInterval>,
    pub(super) refusals: Vec<(Refusals, Duration)>,
    pub(super) slow: Vec<(SlowSearch, Duration)>,
}

impl StatusFacts {
    /// Those of this moment.
    pub(super) fn of(outpost: &Outpost) -> Self {
        let (metrics, now) = (outpost.metrics(), SystemTime::now());
        let since = |time: SystemTime| now.duration_since(time).unwrap_or_default();
        let seconds = since(UNIX_EPOCH).as_secs().try_into().unwrap_or(i64::MAX);
        let snapshot = outpost.directory().snapshot();
        let outage = outpost.outage().under_way().map(|outage| {
            let lasted = clock::now().saturating_duration_since(outage.since);
            (lasted, outage.cause)
        });
        Self {
            version: VERSION,
            uptime: since(metrics.started()),
            searches: outpost.can_search(),
            binds: outpost.can_bind(),
            outage,
            providers: outpost
                .providers()
                .current()
                .iter()
                .map(|provider| {
                    let settings = provider.settings();
                    ProviderFacts {
                        name: settings.name.clone(),
                        application: settings.application_slug.clone(),
                        base_dn: settings.base_dn.clone(),
                        bind_mode: mode(&settings.bind_mode),
                        has_certificate: settings.certificate.is_some(),
                    }
                })
                .collect(),
            certificates: outpost
                .certificates()
                .expiries()
                .into_iter()
                .map(|(name, expires)| (name, expires.saturating_sub(seconds).div_euclid(86_400)))
                .collect(),
            configuration: LoadFacts::of(
                outpost.status().configuration(),
                outpost.schedule().configuration_stale_after(),
            ),
            directory: LoadFacts::of(
                outpost.status().directory(),
                outpost.schedule().directory_stale_after(),
            ),
            progress: outpost.status().progress(),
            users: snapshot.as_ref().map_or(0, |snapshot| snapshot.user_count()),
            groups: snapshot.as_ref().map_or(0, |snapshot| snapshot.group_count()),
            octets: outpost.directory_memory(),
            refreshes: RefreshKind::ALL
                .iter()
                .map(|kind| {
                    let of = |outcome| metrics.authentik().refreshes(*kind, outcome);
                    let done = of(RefreshOutcome::Done);
                    RefreshFacts {
                        kind: *kind,
                        done: done.count(),
                        failed: of(RefreshOutcome::Failed).count(),
                        usual: done.within(0.5),
                    }
                })
                .collect(),
            cached: outpost.cached_binds(),
            cache_part: metrics.binds().answered_part(),
            turns: outpost.binds().turns(),
            connections: metrics.clients().connections_open(),
            intervals: metrics.intervals(),
            refusals: metrics
                .refusals()
                .into_iter()
                .map(|refusals| (refusals, since(refusals.last)))
                .collect(),
            slow: metrics
                .slow_searches(now)
                .into_iter()
                .map(|search| {
                    let ago = since(search.at);
                    (search, ago)
                })
                .collect(),
        }
    }
}

fn mode(mode: &Mode) -> &'static str {
    match mode {
        Mode::Cached => "cached",
        Mode::Direct => "direct",
        Mode::Other(_) => "unknown",
    }
}
