//! Who may vouch that a machine is off where its BMC is silent: fence agents and people.

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A fence agent (ClusterLabs FenceAgentAPI) and what it is told of one machine. The action is never among the options:
/// it is always named by whoever calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCall {
    /// The program: `fence_apc_snmp`, or a path.
    pub name: String,
    pub options: BTreeMap<String, Sensitive>,
}

/// Old names of options and the ones that replaced them, as the agents' own metadata has them (`deprecated`, `obsoletes`).
const RENAMED: [(&str, &str); 6] =
    [("port", "plug"), ("ipaddr", "ip"), ("login", "username"), ("passwd", "password"), ("secure", "ssh"), ("option", "action")];

/// Options that say how a device is spoken to, and nothing of which outlet or machine is meant.
const MANNERS: [&str; 20] = [
    "username",
    "password",
    "password_script",
    "passwd_script",
    "ssl",
    "ssl_secure",
    "ssl_insecure",
    "notls",
    "tls1.0",
    "ssh",
    "ssh_options",
    "auth",
    "cipher",
    "lanplus",
    "privlvl",
    "snmp_version",
    "community",
    "quiet",
    "verbose",
    "verbose_level",
];

/// Options that would make an agent do something else than what it is called for, write down what it is told, or take a
/// plug that is not there for one that is off.
pub const FORBIDDEN_OPTIONS: [&str; 10] =
    ["action", "option", "help", "version", "debug", "debug_file", "list", "status", "metadata", "missing_as_off"];

/// The options that say which outlet of which device is meant, by their names of today. Blank they name none, and an agent
/// that is told of none takes whichever its device thinks of first.
pub const NAMING_OPTIONS: [&str; 3] = ["plug", "nodename", "ip"];

/// An option's name as it is written today.
pub fn option_name(name: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
}

impl AgentCall {
    fn plain(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().find(|(n, _)| option_name(n) == name)?;
        if let Sensitive::Plain(text) = found.1 { Some(text) } else { None }
    }

    /// What it switches, for people: `7 at 10.0.0.9`.
    pub fn plug(&self) -> String {
        match (self.plain("plug").or(self.plain("nodename")), self.plain("ip")) {
            (Some(plug), Some(ip)) => format!("{plug} at {ip}"),
            (Some(text), None) | (None, Some(text)) => text.to_owned(),
            (None, None) => {
                let (options, _) = self.meant();
                options.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// The options that say which outlet or machine is meant, and the names of those that are secret. Two calls of one
    /// agent that agree in them switch the same thing.
    fn meant(&self) -> (BTreeMap<String, String>, BTreeSet<String>) {
        let manner = |n: &str| MANNERS.contains(&n) || n.ends_with("timeout") || n.ends_with("wait") || n.starts_with("retry");
        let (mut plain, mut hidden) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in self.options.iter().map(|(n, v)| (option_name(n), v)).filter(|(n, _)| !manner(n) && *n != "delay") {
            match value {
                Sensitive::Plain(text) => drop(plain.insert(name.to_owned(), text.trim().to_lowercase())),
                Sensitive::Secret(_) => drop(hidden.insert(name.to_owned())),
            }
        }
        (plain, hidden)
    }

    /// Would this call switch what `other` switches?
    pub fn switches_the_same(&self, other: &AgentCall) -> bool {
        let program = |call: &AgentCall| call.name.rsplit('/').next().unwrap_or_default().to_owned();
        program(self) == program(other) && self.meant() == other.meant()
    }
}

impl fmt::Display for AgentCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.plug())
    }
}

/// What an agent says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentMetadata {
    pub parameters: Vec<AgentParameter>,
    pub actions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentParameter {
    pub name: String,
    pub required: bool,
    pub deprecated: bool,
}

/// What an agent's `status` says. Anything else is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlugState {
    On,
    Off,
}

impl fmt::Display for PlugState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == PlugState::Off { "off" } else { "on" })
    }
}

/// A person's word that a machine is off. Single use: bound to the switchover that uses it first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    pub id: u64,
    pub node: NodeId,
    /// Who says so.
    pub by: String,
    /// How they know.
    pub reason: String,
    pub at: Time,
    pub expires_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Holder>,
}

impl Attestation {
    /// Until when it counts where a runbook lets a person's word count for `expires`.
    pub fn counts_until(&self, expires: Span) -> Time {
        self.expires_at.min(self.at + expires)
    }

    /// Bind it to a switchover: compare and set. Binding it again to the same one changes nothing. `mark`: the last power
    /// command that any run sent to the machine.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] where it has ended, another switchover has used it, the machine was told On since, or it was
    /// given later than now: then a clock was set back, and nobody can tell what came first.
    pub fn bind(&mut self, holder: &Holder, now: Time, mark: Option<PowerMark>) -> Result<(), Fault> {
        if let Some(mark) = mark.filter(|mark| mark.reset.starts() && self.at <= mark.sent_at) {
            let text = format!("the attestation of {} is older than the {} that was sent at {}", self.by, mark.reset, mark.sent_at);
            return Err(Fault::refused(text));
        }
        match &self.used_by {
            Some(used) if used == holder => return Ok(()),
            Some(used) => return Err(Fault::refused(format!("the attestation of {} was used by {used} already", self.by))),
            None => {}
        }
        if self.expires_at <= now {
            return Err(Fault::refused(format!("the attestation of {} ended at {}", self.by, self.expires_at)));
        }
        if self.at > now {
            return Err(Fault::refused(format!("the attestation of {} was given at {}, and it is {now} now", self.by, self.at)));
        }
        self.used_by = Some(holder.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, options: &[(&str, &str)]) -> AgentCall {
        let options = options.iter().map(|(n, v)| ((*n).to_owned(), Sensitive::Plain((*v).to_owned()))).collect();
        AgentCall { name: name.into(), options }
    }

    #[test]
    fn one_outlet_is_told_by_what_names_it_and_not_by_how_it_is_asked() {
        let a = call("fence_apc_snmp", &[("ip", "10.0.0.9"), ("plug", "7"), ("username", "apc"), ("power_timeout", "20")]);
        let old = call("/usr/sbin/fence_apc_snmp", &[("ipaddr", "10.0.0.9 "), ("port", "7"), ("login", "cyber")]);
        assert!(a.switches_the_same(&old));
        assert!(!a.switches_the_same(&call("fence_apc_snmp", &[("ip", "10.0.0.9"), ("plug", "8")])));
        assert!(!a.switches_the_same(&call("fence_apc", &[("ip", "10.0.0.9"), ("plug", "7")])));
        assert_eq!(a.to_string(), "fence_apc_snmp 7 at 10.0.0.9");
        assert_eq!(call("fence_dummy", &[("status_file", "/x")]).plug(), "status_file=/x");
    }

    #[test]
    fn an_attestation_is_bound_once_and_not_after_its_end() {
        let holder = |run: &str| Holder { run: run.into(), switchover: SwitchoverId(1) };
        let mut word = Attestation {
            id: 1,
            node: NodeId::derived("web"),
            by: "Kim".into(),
            reason: "pulled both cords".into(),
            at: Time(0),
            expires_at: Time(10),
            used_by: None,
        };
        assert!(word.clone().bind(&holder("r-1"), Time(10), None).is_err());
        let mark = |reset, at| Some(PowerMark { reset, sent_at: Time(at), lands_by: Time(at) });
        assert!(word.clone().bind(&holder("r-1"), Time(9), mark(ResetType::On, 0)).expect_err("told On").detail.contains("older"));
        word.bind(&holder("r-1"), Time(9), mark(ResetType::ForceOff, 5)).expect("an off proves it no lie");
        word.bind(&holder("r-1"), Time(99), mark(ResetType::On, -1)).expect("its own again");
        assert!(word.clone().bind(&holder("r-1"), Time(9), mark(ResetType::ForceOn, 3)).is_err(), "its own, and told On since");
        assert!(word.bind(&holder("r-2"), Time(9), None).expect_err("used").detail.contains("r-1"));
        assert_eq!(word.counts_until(Span::secs(30)), Time(10));
    }
}
