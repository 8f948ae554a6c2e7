pub mod assign;
pub mod candidates;
