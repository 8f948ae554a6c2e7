pub mod redfish;
pub mod secrets;
