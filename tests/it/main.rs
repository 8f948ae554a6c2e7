mod assign;
mod fleets;
mod tidy;
