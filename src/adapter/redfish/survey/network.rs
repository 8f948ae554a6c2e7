//! Network adapters, their ports, and those of them that are Fibre Channel adapters.

use super::Subject;
use super::part::{Part, models};
use super::walk::{Found, Miss, Walk};
use crate::adapter::redfish::facts::count;
use crate::model::{Facts, HbaFacts, NetworkFacts};
use serde_json::Value;

/// One port as it was read.
#[derive(Debug, Default, PartialEq)]
struct Port {
    fibre_channel: bool,
    /// None: it does not say.
    up: Option<bool>,
    /// Mbit/s, at most and now.
    most: Option<f64>,
    now: Option<f64>,
}

struct Adapter {
    model: Option<String>,
    fibre_channel: bool,
    /// None: there is nothing to count them by.
    ports: Option<u32>,
    /// Empty where ports are only counted.
    read: Vec<Port>,
}

/// Port, and NetworkPort as it was before.
fn port(body: Part<'_>) -> Port {
    let capabilities = body.list("SupportedLinkCapabilities").unwrap_or_default();
    let technologies = capabilities.iter().filter_map(|c| c.text("LinkNetworkTechnology"));
    let protocols = ["PortProtocol", "LinkNetworkTechnology", "ActiveLinkTechnology"].into_iter().filter_map(|key| body.text(key));
    let fibre_channel = protocols.chain(technologies).any(|p| matches!(p.as_str(), "FC" | "FCP" | "FibreChannel"));
    let disabled = body.at("Status").text("State").as_deref() == Some("Disabled") || body.text("LinkState").as_deref() == Some("Disabled");
    let up = match body.text("LinkStatus").as_deref() {
        Some("LinkUp" | "Up") => Some(true),
        Some(_) => Some(false),
        None => disabled.then_some(false),
    };
    let positive = |n: Option<f64>| n.filter(|n| *n > 0.0);
    let gbps = |key| positive(body.number(key)).map(|n| n * 1000.0);
    let supported = capabilities.iter().filter_map(|c| positive(c.number("LinkSpeedMbps"))).reduce(f64::max);
    Port {
        fibre_channel,
        up,
        most: gbps("MaxSpeedGbps").or(supported),
        now: gbps("CurrentSpeedGbps").or_else(|| positive(body.number("CurrentLinkSpeedMbps"))),
    }
}

fn mbps(n: Option<f64>) -> Option<u64> {
    n.filter(|n| *n >= 1.0 && *n < 1e12).map(|n| n.round() as u64)
}

/// The links that are up, and the fastest of them. Unknown where a port does not say.
fn links(ports: &[&Port]) -> (Option<u32>, Option<u64>) {
    let Some(states) = ports.iter().map(|p| p.up).collect::<Option<Vec<bool>>>() else { return (None, None) };
    let up = states.iter().filter(|up| **up).count();
    let speeds = ports.iter().filter(|p| p.up == Some(true)).map(|p| p.now).collect::<Option<Vec<f64>>>();
    (u32::try_from(up).ok(), mbps(speeds.and_then(|s| s.into_iter().reduce(f64::max))))
}

impl Walk<'_> {
    pub(super) async fn network(&mut self, subject: &Subject<'_>, facts: &mut Facts) {
        let adapters = self.adapters(subject).await;
        let Some(adapters) = self.keep("network", adapters) else { return };
        match adapters {
            Some(adapters) => tell(&adapters, facts),
            None => {
                let ports = self.ethernet(subject.system).await;
                let Some(Some(ports)) = self.keep("network", ports) else { return };
                let (ports_up, link_mbps) = links(&ports.iter().collect::<Vec<_>>());
                facts.network = NetworkFacts { ports: u32::try_from(ports.len()).ok(), ports_up, link_mbps, ..NetworkFacts::default() };
            }
        }
    }

    /// `None`: the BMC shows no adapters, or an empty list of them.
    async fn adapters(&mut self, subject: &Subject<'_>) -> Found<Option<Vec<Adapter>>> {
        let mut bodies = Vec::new();
        if let Some(path) = subject.system.link("NetworkInterfaces") {
            match self.of_interfaces(&path).await {
                Err(miss) if miss.absent => {}
                found => bodies = found?,
            }
        }
        if bodies.is_empty() {
            for chassis in &subject.chassis {
                if let Some(path) = Part::of(chassis).link("NetworkAdapters") {
                    match self.all(&path).await {
                        Err(miss) if miss.absent => {}
                        found => bodies.extend(found?),
                    }
                }
            }
        }
        let mut adapters = Vec::new();
        for body in bodies.iter().map(Part::of).filter(|b| b.is_present()) {
            adapters.push(self.adapter(body).await?);
        }
        Ok((!adapters.is_empty()).then_some(adapters))
    }

    /// The adapters behind the system's interfaces, each once; an interface without one stands for it.
    async fn of_interfaces(&mut self, path: &str) -> Found<Vec<Value>> {
        let interfaces = self.all(path).await?;
        let mut seen = Vec::new();
        let mut bodies = Vec::new();
        for interface in interfaces {
            match Part::of(&interface).at("Links").link("NetworkAdapter") {
                Some(path) if seen.contains(&path) => {}
                Some(path) => {
                    bodies.extend(self.bodies(std::slice::from_ref(&path)).await?);
                    seen.push(path);
                }
                None => bodies.push(interface),
            }
        }
        Ok(bodies)
    }

    async fn adapter(&mut self, body: Part<'_>) -> Found<Adapter> {
        let model = body.said("Model");
        let mut read = None;
        for key in ["Ports", "NetworkPorts"] {
            if let (None, Some(path)) = (&read, body.link(key)) {
                read = match self.all(&path).await {
                    Err(miss) if miss.absent => None,
                    found => Some(found?).filter(|ports| !ports.is_empty()),
                };
            }
        }
        if let Some(ports) = read {
            let read: Vec<Port> = ports.iter().map(Part::of).filter(|p| p.is_present()).map(port).collect();
            let fibre_channel = read.iter().any(|p| p.fibre_channel);
            return Ok(Adapter { model, fibre_channel, ports: u32::try_from(read.len()).ok(), read });
        }
        let controllers = body.list("Controllers").unwrap_or_default();
        let counts = controllers.iter().map(|c| c.at("ControllerCapabilities").number("NetworkPortCount"));
        let ports = count(counts.sum::<Option<f64>>());
        Ok(Adapter { model, fibre_channel: self.by_functions(body).await?, ports, read: Vec::new() })
    }

    /// What kind of adapter it is, where its ports do not say (`adapter_without_ports`).
    async fn by_functions(&mut self, adapter: Part<'_>) -> Found<bool> {
        let Some(path) = adapter.link("NetworkDeviceFunctions") else {
            let name = adapter.text("Id").unwrap_or_default();
            return Err(Miss::broken(format!("adapter `{name}` shows neither ports nor functions")));
        };
        let functions = self.all(&path).await?;
        Ok(functions.iter().map(Part::of).any(|f| f.text("NetDevFuncType").is_some_and(|kind| kind.starts_with("FibreChannel"))))
    }

    /// `None`: it has no EthernetInterfaces.
    async fn ethernet(&mut self, system: Part<'_>) -> Found<Option<Vec<Port>>> {
        let Some(path) = system.link("EthernetInterfaces") else { return Ok(None) };
        let all = self.all(&path).await?;
        let physical = all.iter().map(Part::of).filter(|e| e.is_present() && e.text("EthernetInterfaceType").as_deref() != Some("Virtual"));
        let one = |e: Part<'_>| {
            let speed = e.number("SpeedMbps").filter(|n| *n > 0.0);
            let off = e.at("InterfaceEnabled").0.and_then(Value::as_bool) == Some(false);
            Port { now: speed, up: if off { Some(false) } else { port(e).up }, ..Port::default() }
        };
        Ok(Some(physical.map(one).collect()))
    }
}

fn tell(adapters: &[Adapter], facts: &mut Facts) {
    let (hbas, network): (Vec<&Adapter>, Vec<&Adapter>) = adapters.iter().partition(|a| a.fibre_channel);
    let ports = |of: &[&Adapter]| of.iter().map(|a| a.ports).sum::<Option<u32>>();
    let named = |of: &[&Adapter]| models(&of.iter().map(|a| a.model.clone()).collect::<Vec<_>>());
    // Ports that are only counted have no links to tell of.
    let read: Vec<&Port> = network.iter().flat_map(|a| &a.read).collect();
    let all_read = network.iter().all(|a| a.ports == u32::try_from(a.read.len()).ok());
    let (ports_up, link_mbps) = if all_read { links(&read) } else { (None, None) };
    let most = read.iter().map(|p| p.most).collect::<Option<Vec<f64>>>().filter(|_| all_read);
    facts.network = NetworkFacts {
        adapters: u32::try_from(network.len()).ok(),
        ports: ports(&network),
        ports_up,
        speed_mbps: mbps(most.and_then(|m| m.into_iter().reduce(f64::max))),
        link_mbps,
        models: named(&network),
    };
    facts.hbas = HbaFacts { count: u32::try_from(hbas.len()).ok(), ports: ports(&hbas), models: named(&hbas) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_of_either_schema_are_read_and_what_is_disabled_is_not_up() {
        let of = |v: Value| port(Part::of(&v));
        let up = Port { fibre_channel: false, up: Some(true), most: Some(25_000.0), now: Some(10_000.0) };
        assert_eq!(of(json!({"LinkStatus": "LinkUp", "MaxSpeedGbps": 25, "CurrentSpeedGbps": 10})), up);
        let old = json!({"LinkStatus": "Up", "CurrentLinkSpeedMbps": "10000", "SupportedLinkCapabilities": [{"LinkSpeedMbps": 25000}]});
        assert_eq!(of(old), up);
        assert_eq!(of(json!({"LinkStatus": "NoLink", "CurrentSpeedGbps": 0})), Port { up: Some(false), ..Port::default() });
        assert_eq!(of(json!({"LinkStatus": null, "Status": {"State": "Disabled"}})).up, Some(false));
        assert_eq!(of(json!({"LinkStatus": null})).up, None);
        assert!(of(json!({"PortProtocol": "FC"})).fibre_channel && of(json!({"ActiveLinkTechnology": "FibreChannel"})).fibre_channel);
    }

    #[test]
    fn a_link_of_unknown_speed_makes_the_fastest_unknown() {
        let port = |up, now| Port { up: Some(up), now, ..Port::default() };
        let (slow, fast, mute, down) = (port(true, Some(1000.0)), port(true, Some(25_000.0)), port(true, None), port(false, None));
        assert_eq!(links(&[&slow, &fast, &down]), (Some(2), Some(25_000)));
        assert_eq!(links(&[&slow, &mute]), (Some(2), None));
        assert_eq!(links(&[&down]), (Some(0), None));
        assert_eq!(links(&[&slow, &Port::default()]), (None, None));
    }
}
