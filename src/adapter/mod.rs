pub mod inventory_memory;
pub mod store_sqlite;
pub mod redfish;
pub mod secrets;
pub mod clock;
mod hook_command;
mod hook_http;
pub mod hooks;
