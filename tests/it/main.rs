mod hooks;
mod redfish;
mod tidy;
