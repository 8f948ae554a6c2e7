mod crash;
mod seeds;
mod tidy;
mod assign;
mod fleets;
mod bmcsim;
mod redfish;
