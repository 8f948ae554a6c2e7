//! OpenStack clouds: where one is found and how one logs in, as openstacksdk and keystoneauth do it.
//!
//! - `files`: clouds.yaml, secure.yaml and the `OS_*` environment
//! - `cloud`: what an entry means
//! - `keystone`: tokens and the catalogue; `session`: requests that carry the login

mod cloud;
mod files;
mod keystone;
mod session;

pub use cloud::{Auth, Cloud, Keystone, Login, Scope};
pub use files::{Surroundings, find};
pub(super) use session::{Answer, NoAnswer, Order, Session};
