mod assign;
mod bmcsim;
mod crash;
mod fleets;
mod redfish;
mod seeds;
mod tidy;
