//! What is asked, with its units, and whether it can be asked at all.

use super::YEAR_MS;
use crate::model::Span;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// What is wrong with a question, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub message: String,
    pub hint: String,
}

fn wrong<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { message: message.into(), hint: hint.into() })
}

/// Text with a hint, as a reader of arguments shows it.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl std::error::Error for Wrong {}

/// `5%` or `0.05`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |share| (share, 100.0));
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    digits.parse::<f64>().ok().filter(|n| plain && n.is_finite()).map(|n| n / scale)
}

/// Failures per node (or losses per domain) and year. More than one is possible: `0.05` and `5%` are the same, `1.4`
/// is seven failures in five years.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct YearlyRate(pub f64);

impl FromStr for YearlyRate {
    type Err = Wrong;
    fn from_str(text: &str) -> Result<YearlyRate, Wrong> {
        match number(text) {
            Some(rate) => YearlyRate(rate).check("rate"),
            None => wrong(format!("`{text}` is not a rate per year"), "write a share like `5%` or a number like `0.05`"),
        }
    }
}

impl YearlyRate {
    fn check(self, what: &str) -> Result<YearlyRate, Wrong> {
        let rate = self.0;
        if !rate.is_finite() || rate <= 0.0 {
            return wrong(format!("a {what} of {rate} a year needs no spares"), "write what is expected, like `5%`");
        }
        if rate > 365.0 {
            return wrong(format!("a {what} of {rate} a year is more than one a day"), "write it per node and year: `5%` or `0.05`");
        }
        Ok(self)
    }
}

/// More than nothing and less than the whole: `99.9%` or `0.999`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Share(pub f64);

impl FromStr for Share {
    type Err = Wrong;
    fn from_str(text: &str) -> Result<Share, Wrong> {
        match number(text) {
            Some(share) if share > 1.0 && !text.contains('%') => {
                wrong(format!("`{text}` is more than the whole"), format!("write `{text}%` for hundredths"))
            }
            Some(share) => Share(share).check(),
            None => wrong(format!("`{text}` is not a share"), "write `99.9%` or `0.999`"),
        }
    }
}

impl fmt::Display for Share {
    /// In hundredths, as it was written: a double has more digits than anybody asks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.10}", self.0 * 100.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Share {
    fn check(self) -> Result<Share, Wrong> {
        let Share(share) = self;
        if share.is_nan() || share <= 0.0 {
            return wrong(format!("a target of {share} is met without spares"), "write `99%` or more");
        }
        if share >= 1.0 {
            return wrong("no number of spares is enough always", "write a target below 100%, like `99.9%`");
        }
        // Where doubles end: the target itself could not be told from the whole.
        if share > 1.0 - 1e-12 {
            return wrong("a target so close to 100% is beyond any model of failures", "write at most `99.9999999999%`");
        }
        Ok(self)
    }
}

/// How long a machine that failed is away: until it, or its replacement, is a spare.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "distribution", rename_all = "kebab-case")]
pub enum Repair {
    /// Memoryless, with this mean.
    Exponential {
        #[serde(rename = "mean_days", serialize_with = "days")]
        #[schemars(with = "f64")]
        mean: Span,
    },
    /// The logarithm is normal with this deviation; `mean` is of the time itself.
    Lognormal {
        #[serde(rename = "mean_days", serialize_with = "days")]
        #[schemars(with = "f64")]
        mean: Span,
        sigma: f64,
    },
}

fn days<S: serde::Serializer>(span: &Span, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(span.0 as f64 / 86_400_000.0)
}

/// The 95th percentile of the normal distribution.
const Z95: f64 = 1.644_853_626_951_472_7;

impl Repair {
    /// Half of the repairs take at most `p50`, all but one in twenty at most `p95`.
    ///
    /// # Errors
    /// [`Wrong`] unless 0 < p50 < p95.
    pub fn of_percentiles(p50: Span, p95: Span) -> Result<Repair, Wrong> {
        if p50.0 == 0 || p95 <= p50 {
            let message = format!("half of the repairs within {p50} and 95% within {p95} is no distribution");
            return wrong(message, "write a median above zero, and a 95th percentile above the median");
        }
        let sigma = (p95.0 as f64 / p50.0 as f64).ln() / Z95;
        let mean = p50.0 as f64 * (sigma * sigma / 2.0).exp();
        if mean > u64::MAX as f64 / 2.0 {
            return wrong(format!("repairs with a median of {p50} and a 95th percentile of {p95} have no usable mean"), "check the units");
        }
        Ok(Repair::Lognormal { mean: Span(mean.round() as u64), sigma })
    }

    pub fn mean(self) -> Span {
        match self {
            Repair::Exponential { mean } | Repair::Lognormal { mean, .. } => mean,
        }
    }

    pub(super) fn mean_years(self) -> f64 {
        years(self.mean())
    }

    fn check(self) -> Result<(), Wrong> {
        check_time(self.mean(), "repair", "`14d`")?;
        match self {
            Repair::Lognormal { sigma, .. } if !(sigma > 0.0 && sigma <= 4.0) => {
                let message = format!("a sigma of {sigma} is no spread of repair times that anybody has seen");
                wrong(message, "write a number above 0 and at most 4: with 1, one repair in twenty takes five times the median")
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn years(span: Span) -> f64 {
    span.0 as f64 / YEAR_MS
}

fn check_time(span: Span, what: &str, example: &str) -> Result<(), Wrong> {
    if span.0 == 0 {
        return wrong(
            format!("a {what} that takes no time needs no spares"),
            format!("write how long it takes on average, like {example}"),
        );
    }
    if years(span) > 10.0 {
        return wrong(format!("a {what} of {span} is more than ten years"), format!("write how long it takes on average, like {example}"));
    }
    Ok(())
}

/// What a spare is while it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standby {
    /// Off, and not failing.
    #[default]
    Cold,
    /// Failing as often as a node that runs.
    Warm,
}

/// All machines of a domain are lost at once: a rack, a power feed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DomainLoss {
    /// Machines that stand in one domain, spares included. Of more than there are, one domain holds all.
    pub size: u32,
    /// Losses per domain and year.
    pub rate: YearlyRate,
    /// Mean time until its machines are back, exponential; it takes no repairer.
    #[serde(rename = "repair_days", serialize_with = "days")]
    #[schemars(with = "f64")]
    pub repair: Span,
}

/// How the answer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    Poisson,
    BirthDeath,
    MonteCarlo,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Model::Poisson => "poisson",
            Model::BirthDeath => "birth-death",
            Model::MonteCarlo => "monte-carlo",
        })
    }
}

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Simulation {
    pub seed: u64,
    /// Lost nodes that are simulated for each number of spares, about.
    pub failures: u64,
}

impl Default for Simulation {
    fn default() -> Simulation {
        Simulation { seed: 1, failures: 200_000 }
    }
}

/// Everything that an answer rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Question {
    /// Nodes that must run.
    pub nodes: u32,
    /// Failures per node and year.
    pub failure_rate: YearlyRate,
    pub repair: Repair,
    /// Repairs that go on at the same time; absent: as many as there are machines to repair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repairers: Option<u32>,
    pub standby: Standby,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainLoss>,
    /// Wanted for both questions.
    pub target: Share,
    /// A number of spares to be judged as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spares: Option<u32>,
    pub simulation: Simulation,
}

/// More nodes, or spares, than this are refused: the figures stay exact and quick up to here.
const NODES_MAX: u32 = 100_000;

impl Question {
    /// Nodes in repair on average, if none had to wait for a repairer.
    pub fn load(&self) -> f64 {
        f64::from(self.nodes) * self.failure_rate.0 * self.repair.mean_years()
    }

    /// # Errors
    /// [`Wrong`]: what makes no sense, and what to write.
    pub fn check(&self) -> Result<(), Wrong> {
        if self.nodes == 0 {
            return wrong("without nodes no spares are needed", "write how many nodes must run, like `--nodes 100`");
        }
        if self.nodes > NODES_MAX {
            let hint = format!("size parts of up to {NODES_MAX} nodes that share no spares");
            return wrong(format!("{} nodes are more than this can size", self.nodes), hint);
        }
        if self.spares.is_some_and(|s| s > NODES_MAX) {
            return wrong(format!("more than {NODES_MAX} spares cannot be judged"), "leave `--spares` out: the smallest number is found");
        }
        self.failure_rate.check("failure rate")?;
        self.target.check()?;
        self.repair.check()?;
        if self.repairers == Some(0) {
            let hint = "write how many repairs go on at the same time, or leave it out: as many as are needed";
            return wrong("with nobody who repairs, any number of spares is used up", hint);
        }
        if let Some(domain) = self.domain {
            self.check_domain(domain)?;
        }
        match self.simulation.failures {
            1_000..=100_000_000 => Ok(()),
            n => wrong(format!("{n} simulated failures are not between 1000 and 100000000"), "200000 serves most targets"),
        }
    }

    fn check_domain(&self, domain: DomainLoss) -> Result<(), Wrong> {
        domain.rate.check("domain's rate of loss")?;
        check_time(domain.repair, "domain's repair", "`6h`")?;
        if domain.size == 0 || domain.size > NODES_MAX {
            let message = format!("{} machines are no domain", domain.size);
            return wrong(message, "write how many stand in one rack or on one feed");
        }
        Ok(())
    }

    /// The simplest model that holds for this, and why; or the `wanted` one.
    ///
    /// # Errors
    /// [`Wrong`] where the wanted one leaves out something that was given.
    pub fn model(&self, wanted: Option<Model>) -> Result<(Model, String), Wrong> {
        let lognormal = matches!(self.repair, Repair::Lognormal { .. });
        let (least, why) = match (self.domain, self.repairers, self.standby) {
            (Some(_), ..) => (Model::MonteCarlo, "nodes of a domain are lost together"),
            (_, Some(_), _) if lognormal => (Model::MonteCarlo, "repairs that are not exponential queue for the repairers"),
            (_, Some(_), _) => (Model::BirthDeath, "repairs queue for the repairers"),
            (_, None, Standby::Warm) => (Model::BirthDeath, "spares fail as well, so failures depend on how many are left"),
            (_, None, Standby::Cold) => (Model::Poisson, "every repair begins at once, so only its mean counts"),
        };
        match wanted {
            Some(wanted) if (wanted as u8) < (least as u8) => {
                wrong(format!("the {wanted} model does not fit: {why}"), format!("leave `--model` out, or write `--model {least}`"))
            }
            Some(wanted) if wanted != least => Ok((wanted, "asked for".into())),
            _ => Ok((least, why.into())),
        }
    }
}
