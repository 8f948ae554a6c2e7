pub mod assign;
pub mod candidates;
pub mod explain;
