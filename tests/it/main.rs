mod assign;
mod bmcsim;
mod crash;
mod fleets;
mod language;
mod redfish;
mod seeds;
mod tidy;
