//! Plans of hundreds of switchovers, which are composed on all processors: as if one were made after the other.

use crate::fleets::{Builder, runbook};
use coldswap::model::*;
use coldswap::plan::{Landing, LeftOutCode, Plan, Request, plan};
use coldswap::step::Step;

const SOURCES: usize = 700;

/// No adapter with iSCSI boot, which is found out only when the steps are composed.
fn unfit(at: usize) -> bool {
    matches!(at, 3 | 254..=258 | 511 | 699)
}

fn fleet() -> Fleet {
    let mut b = Builder::default();
    for at in 0..SOURCES {
        b.source(&format!("web-{at:03}"), |n| n.abilities.iscsi_boot = !unfit(at));
        b.spare(&format!("spare-{at:03}"), |n| n.abilities.iscsi_boot = true);
    }
    for target in b.fleet.targets.values_mut() {
        let iqn = Scalar::Text(format!("iqn.2026-01.example:{}", target.volume_id));
        target.properties = [("target_iqn".to_owned(), iqn), ("target_lun".to_owned(), Scalar::Integer(0))].into();
        target.properties.insert("target_portal".into(), Scalar::Text("10.0.0.1:3260".into()));
    }
    b.fleet
}

fn planned(fleet: &Fleet, first: usize) -> Plan {
    let request = Request {
        id: "p-1".into(),
        store: "s".into(),
        now: Time(1),
        landing: Landing::default(),
        only: (0..first).map(|at| format!("web-{at:03}")).collect(),
        exclude: Vec::new(),
        allow_storm: true,
        allow_boot_cleared: Vec::new(),
        home: Default::default(),
    };
    plan(&runbook(), fleet, &request).unwrap_or_else(|e| panic!("{:?}", e.0)).0
}

#[test]
fn hundreds_of_switchovers_are_numbered_as_if_made_one_by_one() {
    let fleet = fleet();
    let whole = planned(&fleet, SOURCES);
    let left: Vec<_> = whole.left_out.iter().map(|l| (l.name.clone(), l.code)).collect();
    let expected: Vec<_> = (0..SOURCES).filter(|at| unfit(*at)).map(|at| (format!("web-{at:03}"), LeftOutCode::BootUnsupported)).collect();
    assert_eq!(left, expected);
    assert_eq!(whole.switchovers.len(), SOURCES - expected.len());
    for (at, switchover) in whole.switchovers.iter().enumerate() {
        assert_eq!(switchover.id, SwitchoverId(at as u32 + 1), "{}", switchover.source.name);
        let reason = switchover.steps.iter().find_map(|s| if let Step::SetMaintenance(m) = s { Some(&m.reason) } else { None });
        assert!(reason.expect("maintenance").ends_with(&switchover.id.to_string()), "{reason:?} of {}", switchover.id);
    }
    // Few enough to be made in one go.
    let few = planned(&fleet, 100);
    assert_eq!(few.switchovers[..], whole.switchovers[..few.switchovers.len()]);
}
