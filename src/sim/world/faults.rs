//! What may go wrong in a world, and how often.

/// Chances in percent, spans in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A command is lost before it reaches anything.
    pub lost_before: u64,
    /// It took effect and its answer is lost.
    pub lost_after: u64,
    pub refused: u64,
    /// A look is not answered.
    pub blind: u64,
    /// A power command or boot configuration is accepted and nothing happens.
    pub ignored: u64,
    /// The operating system takes no notice of a soft off.
    pub soft_ignored: u64,
    /// A power command takes up to so long.
    pub slow_power_ms: u64,
    pub hook_fails: u64,
    /// Somebody presses the source's button, per power-off that has landed.
    pub button: u64,
    /// A source's BMC is dead from the beginning, or dies on the way.
    pub dead: u64,
    /// An agent acknowledges `off` and does nothing, or does not succeed and does it all the same.
    pub agent_lies: u64,
    /// An agent's `status` cannot be had.
    pub agent_blind: u64,
    /// Somebody plugs a source in again that an agent switched off, and its BMC with it.
    pub replugged: u64,
    /// Somebody writes another boot configuration into a destination, or its BMC forgets it, per one that was set.
    pub tampered: u64,
    /// Somebody goes to a source whose BMC is silent, pulls its cords and attests that it is off, per source.
    pub attested: u64,
    /// A BMC gives no power state (null) for once.
    pub null_power: u64,
    /// A BMC shows a machine that is Off as still on its way down, for once.
    pub lags: u64,
    /// Somebody starts a spare in the first seconds, per spare.
    pub strangers: u64,
    /// A deployment or adoption fails.
    pub provision_fails: u64,
    /// Somebody puts another instance at a spare that carries neither claim nor instance for a moment.
    pub foreign: u64,
}
