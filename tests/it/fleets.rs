//! Small fleets and runbooks for the tests of matching and assignment.

use coldswap::model::*;
use coldswap::runbook::*;
use std::collections::BTreeMap;

pub type Vars = BTreeMap<String, serde_json::Value>;

pub fn expression(text: &str, names: Names) -> Expression {
    Expression::parse(text, names, &Vars::new()).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

pub fn pool(name: &str, select: &str, keep: u32) -> Pool {
    let provision_states = vec![ProvisionState::Manageable, ProvisionState::Available, ProvisionState::Enroll];
    Pool { name: name.into(), select: expression(select, Names::SpareAndSource), keep, provision_states }
}

pub fn prefer(when: &str, weight: u32) -> Prefer {
    Prefer { name: when.into(), when: expression(when, Names::SpareAndSource), weight }
}

pub fn when(text: &str) -> Require {
    Require { name: text.into(), rule: Rule::When(expression(text, Names::SpareAndSource)) }
}

pub fn builtin() -> Vec<String> {
    BUILTIN_IDENTICAL.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Every node labelled `role: web` is a source, every one labelled `role: spare` is in the one pool.
pub fn runbook() -> Runbook {
    Runbook {
        name: "test".into(),
        description: None,
        labels: BTreeMap::new(),
        digest: String::new(),
        vars: Vars::new(),
        mode: Mode::Planned,
        sources: Sources {
            nodes: Vec::new(),
            select: Some(expression("node.labels.role == 'web'", Names::Node)),
            destinations: BTreeMap::new(),
            priority: Some(expression("node.labels.tier | default(9) | int", Names::Node)),
            left_out: None,
            nova_aware: false,
        },
        pools: vec![pool("any", "spare.labels.role == 'spare'", 0)],
        matching: Matching { identical: builtin(), require: Vec::new(), prefer: Vec::new(), spread: Vec::new() },
        power: PowerPolicy { soft_off: Span::mins(5), hard_off: HardOff::AfterSoft, crash_dump: None },
        fence: BmcFence::default(),
        vouchers: Vouchers::default(),
        further: Further::ALL,
        boot: BootPolicy { via: Some(BootVia::RedfishIscsi), timeout: Span::mins(15), ready: vec![BootReady::BootProgress] },
        hooks: Vec::new(),
        limits: Limits::default(),
        windows: Vec::new(),
        approval: None,
        notify: Vec::new(),
        report: None,
    }
}

pub fn facts() -> Facts {
    serde_json::from_value(serde_json::json!({
        "manufacturer": "Contoso", "model": "C1", "memory_mib": 524_288, "boot_mode": "uefi",
        "cpu": {"model": "X", "count": 2}, "firmware": {"bios": "1.2"}
    }))
    .expect("facts")
}

pub fn reading(node: &Node, power: PowerState) -> Live {
    let reading = SystemReading { power, identity: node.identity.clone(), ..SystemReading::default() };
    Live::Answered { reading, boot: BootSettings::default() }
}

#[derive(Default)]
pub struct Builder {
    pub fleet: Fleet,
    /// Mixed into every id: the same fleet with other ids.
    pub salt: String,
}

impl Builder {
    fn add(&mut self, name: &str, role: &str, power: PowerState, change: impl FnOnce(&mut Node)) -> NodeId {
        let mut node = Node::named(name, "https://10.0.0.1");
        node.id = NodeId::derived(&format!("{}{name}", self.salt));
        node.labels.insert("role".into(), Scalar::Text(role.into()));
        node.declared_facts = facts().into();
        node.resource_class = Some("web".into());
        node.identity.serial_number = Some(format!("SN-{name}"));
        change(&mut node);
        let id = node.id;
        self.fleet.live.insert(id, reading(&node, power));
        self.fleet.nodes.insert(id, node);
        id
    }

    /// An active node that boots from a volume of its own.
    pub fn source(&mut self, name: &str, change: impl FnOnce(&mut Node)) -> NodeId {
        let id = self.add(name, "web", PowerState::On, |node| {
            node.provision_state = ProvisionState::Active;
            change(node);
        });
        self.target(id, name, 0);
        id
    }

    pub fn spare(&mut self, name: &str, change: impl FnOnce(&mut Node)) -> NodeId {
        self.add(name, "spare", PowerState::Off, |node| {
            node.provision_state = ProvisionState::Manageable;
            change(node);
        })
    }

    pub fn target(&mut self, node: NodeId, volume: &str, boot_index: u32) -> TargetId {
        let id = TargetId::derived(&format!("{node}/{volume}"));
        let target = VolumeTarget {
            id,
            node,
            volume_type: VolumeType::Iscsi,
            boot_index,
            volume_id: volume.into(),
            properties: BTreeMap::new(),
            shareable: false,
            generation: Generation(0),
        };
        self.fleet.targets.insert(id, target);
        id
    }

    pub fn name(&self, id: NodeId) -> String {
        self.fleet.nodes[&id].name.clone()
    }
}
