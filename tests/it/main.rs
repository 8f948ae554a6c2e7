mod redfish;
mod tidy;
