pub mod clock;
mod hook_command;
mod hook_http;
pub mod hooks;
pub mod redfish;
pub mod secrets;
