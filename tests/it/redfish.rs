//! The Redfish adapter against canned answers: what BMCs really say, and what must become of it.

mod fake;
mod power;
