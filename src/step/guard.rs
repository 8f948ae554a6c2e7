//! Rule S1 as one function: what the power of both ends allows.

use super::{Context, Machine, Observation, Pair, StandIn, Verdict};
use crate::model::gate_table::gates;
use crate::model::*;

/// What one look says of one machine's power, once it is certain who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Off,
    On,
    Neither(Reason),
    Wrong(Reason),
}

/// Read a look at `machine`. An Off from a machine that is not recognised proves nothing; an On is believed from
/// anyone, because believing it only ever stops us.
pub fn power_of(machine: &Machine, seen: &Observation) -> Seen {
    let reading = match seen {
        Observation::System(reading) => reading,
        Observation::Unreadable(fault) => {
            let text = format!("the BMC of `{}` cannot be read: {fault}", machine.name);
            return Seen::Neither(Reason::new(ReasonCode::Silent, text));
        }
        other => unreachable!("a look at a system gives a reading, not {other:?}"),
    };
    match machine.identity.recognises(&reading.identity) {
        Some(true) => {}
        Some(false) => {
            let text = format!(
                "the BMC of `{}` speaks for another machine ({}); check its address and system in the inventory",
                machine.name,
                describe(&reading.identity)
            );
            return Seen::Wrong(Reason::new(ReasonCode::WrongMachine, text));
        }
        None if reading.power == PowerState::On => {}
        None => {
            let text =
                format!("the BMC of `{}` does not say which machine it speaks for, so its {} proves nothing", machine.name, reading.power);
            return Seen::Neither(Reason::new(ReasonCode::Unidentified, text));
        }
    }
    match reading.power {
        PowerState::Off => Seen::Off,
        PowerState::On => Seen::On,
        other => {
            let text = format!("`{}` reads {other}, which is neither On nor Off", machine.name);
            Seen::Neither(Reason::new(ReasonCode::InTransition, text))
        }
    }
}

fn describe(identity: &Identity) -> String {
    match (&identity.system_uuid, &identity.serial_number) {
        (Some(uuid), _) => format!("system UUID {uuid}"),
        (None, Some(serial)) => format!("serial number {serial}"),
        (None, None) => "without identity".to_owned(),
    }
}

/// Did the BMC leave the question open, so that somebody else may answer it? Only silence does, and an Off without any
/// machine's identity. A BMC that says anything else is never overridden.
pub fn leaves_open(machine: &Machine, seen: &Observation) -> bool {
    match seen {
        // A BMC that refuses to say (a locked account, another certificate) or answers what cannot be used is there: it has
        // standby power, and so may its machine.
        Observation::Unreadable(fault) => fault.is_silence(),
        Observation::System(reading) => reading.power == PowerState::Off && machine.identity.recognises(&reading.identity).is_none(),
        _ => false,
    }
}

/// Rule S1: `Ok` only when this very look saw source and destination Off, or a recorded fence stands in for a source that
/// is silent in this very look. Asked before every ClearSourceBoot, MoveConnector, MoveTarget and ConfigureBoot, forward
/// and back.
pub fn both_off(cx: &Context, pair: &Pair, source: &Observation, destination: &Observation) -> Result<(), Verdict> {
    source_off(cx, &pair.source, source)?;
    destination_off(&pair.destination, destination)
}

/// The destination's half of it.
pub fn destination_off(destination: &Machine, seen: &Observation) -> Result<(), Verdict> {
    match power_of(destination, seen) {
        Seen::Off => Ok(()),
        Seen::On => {
            let text = format!("`{}` is On, and nothing of this run started it; find out who did", destination.name);
            Err(Verdict::Refuse(Reason::new(ReasonCode::DestinationOn, text)))
        }
        Seen::Neither(why) => Err(Verdict::Wait(why)),
        Seen::Wrong(why) => Err(Verdict::Refuse(why)),
    }
}

/// The source's half of it.
pub fn source_off(cx: &Context, source: &Machine, seen: &Observation) -> Result<(), Verdict> {
    let starting = matches!(seen, Observation::System(reading) if reading.power == PowerState::PoweringOn);
    match power_of(source, seen) {
        Seen::Off => Ok(()),
        Seen::Wrong(why) => Err(Verdict::Refuse(why)),
        // One that starts is as bad as one that runs.
        seen if starting || seen == Seen::On => {
            let text = format!("`{}` is On and must be Off; a button, a watchdog or a restored feed may have started it", source.name);
            Err(Verdict::Refuse(Reason::new(ReasonCode::SourceOn, text)))
        }
        Seen::Neither(why) => match &cx.stand_in {
            StandIn::Holds if leaves_open(source, seen) => Ok(()),
            StandIn::Expired(why) if leaves_open(source, seen) => Err(Verdict::Refuse(why.clone())),
            _ => Err(Verdict::Wait(why)),
        },
        Seen::On => unreachable!("an On is refused above"),
    }
}

gates! {
    "both machines Off", "before anything that could let the destination write: the same look saw both machines Off",
        Closed, "two machines that write to one volume destroy it; no time-out stands for Off", no_fence;
    "the right machine", "an Off counts only from the BMC that speaks for the machine that is meant",
        Closed, "an Off of another machine says nothing of this one", an_off_from_another_machine_proves_nothing;
}
