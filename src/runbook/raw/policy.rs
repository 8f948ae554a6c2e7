//! Power, fence and boot as written.

use super::hooks::span;
use super::secret::{RawSensitive, secret};
use crate::model::Span;
use crate::runbook::shape::*;
use crate::runbook::{BootReady, BootVia, HardOff};

#[derive(Clone, Debug, Default)]
pub struct RawPower {
    pub soft_off: Option<At<Span>>,
    pub hard_off: Option<At<HardOff>>,
    pub nmi_before_off: Option<At<bool>>,
    pub crash_dump: Option<At<Span>>,
}

/// One level of the fence.
#[derive(Clone, Debug)]
pub enum RawFence {
    Bmc { reads: Option<At<i64>>, apart: Option<At<Span>>, silent: Option<At<Span>> },
    Agent(RawAgent),
    Attestation { expires: Option<At<Span>> },
    All(Vec<At<RawFence>>),
}

/// A fence agent (`fence_apc_snmp`, ...) and what it is told.
#[derive(Clone, Debug)]
pub struct RawAgent {
    pub name: At<String>,
    pub options: Map<RawSensitive>,
}

#[derive(Clone, Debug, Default)]
pub struct RawBoot {
    pub via: Option<At<RawVia>>,
    pub timeout: Option<At<Span>>,
    pub ready: Option<At<Vec<At<BootReady>>>>,
}

/// `boot.via`, those that do not execute yet included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawVia {
    Works(BootVia),
    NotYet(&'static str),
}

pub fn power() -> Record<RawPower> {
    record("power", |f| {
        let soft_off = f.optional("soft_off", "how long the operating system may take; 0s: it is not asked", span());
        let hard = words(&[("after_soft", HardOff::AfterSoft), ("at_once", HardOff::AtOnce), ("never", HardOff::Never)]);
        let hard_off = f.optional("hard_off", "when ForceOff may be sent", hard);
        let nmi_before_off = f.optional("nmi_before_off", "send an NMI first, for a crash dump", flag());
        let crash_dump = f.optional("crash_dump", "how long the crash dump may take; default 1m", span());
        Some(RawPower { soft_off, hard_off, nmi_before_off, crash_dump })
    })
}

pub fn fence() -> ListOf<Placed<Record<RawFence>>> {
    list_of(
        "a list of fence levels",
        Placed(record("fence level", |f| {
            f.exactly_one(&["bmc", "agent", "attestation", "all"]);
            let one = single(f);
            let all = list_of(
                "a list of fence levels",
                Placed(record("fence member", |f| {
                    f.exactly_one(&["bmc", "agent", "attestation"]);
                    single(f)
                })),
            );
            let all = f.optional("all", "every one of them, together", all.not_empty());
            one.or(all.map(RawFence::All))
        })),
    )
    .not_empty()
}

fn single(f: &mut Fields<'_>) -> Option<RawFence> {
    let bmc = f.optional(
        "bmc",
        "the BMC reads Off several times",
        record("bmc fence", |f| {
            let reads = f.optional("reads", "how often Off must be read; default 3", number(2, 100));
            let apart = f.optional("apart", "time between two reads; default 10s", span());
            let about = "how long a BMC that does not answer is tried before the next level is asked; default 5m, 1m in a disaster";
            let silent = f.optional("silent", about, span());
            Some(RawFence::Bmc { reads, apart, silent })
        }),
    );
    let agent = f.optional(
        "agent",
        "a fence agent",
        record("fence agent", |f| {
            let name = f.required("name", "the program, such as fence_apc_snmp", text("the name of a fence agent"));
            // A plug is `7` as often as it is a template: everything is text here.
            let option =
                Forms::new("text or `{secret: ...}`").scalar(text("text"), RawSensitive::Plain).map(secret(), RawSensitive::Secret);
            let options = f.optional("options", "what it is told; texts are templates", map_of("a map of options", option));
            Some(RawFence::Agent(RawAgent { name: name?, options: options.unwrap_or_default() }))
        }),
    );
    let attestation = f.optional(
        "attestation",
        "a person vouches",
        record("attestation", |f| {
            let expires = f.optional("expires", "how long the word of a person counts", span());
            Some(RawFence::Attestation { expires })
        }),
    );
    bmc.or(agent).or(attestation)
}

pub fn boot() -> Record<RawBoot> {
    record("boot", |f| {
        let ways = words(&[
            ("redfish-iscsi", RawVia::Works(BootVia::RedfishIscsi)),
            ("redfish-override", RawVia::Works(BootVia::RedfishOverride)),
            ("none", RawVia::Works(BootVia::None)),
            ("redfish-fc", RawVia::NotYet("redfish-fc")),
            ("ipxe", RawVia::NotYet("ipxe")),
            ("inventory", RawVia::Works(BootVia::Inventory)),
        ]);
        let via =
            f.optional("via", "how a machine learns what to boot; default redfish-iscsi, and inventory where Ironic keeps the nodes", ways);
        let timeout = f.optional("timeout", "how long a boot may take; default 15m", span());
        let signs = words(&[("boot_progress", BootReady::BootProgress), ("post_boot_hooks", BootReady::PostBootHooks)]);
        let ready = f.optional("ready", "what counts as booted, best first", Placed(list_of("a list of signs", signs).not_empty()));
        Some(RawBoot { via, timeout, ready })
    })
}
