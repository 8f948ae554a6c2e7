//! The Redfish adapter against canned answers: what BMCs really say, and what must become of it.

mod boot;
mod deadline;
pub mod fake;
pub mod hardware;
mod power;
mod sessions;
mod trust;
mod vendors;
