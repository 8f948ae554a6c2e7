mod assign;
mod assignment_laws;
mod fleets;
mod matching;
mod tidy;
