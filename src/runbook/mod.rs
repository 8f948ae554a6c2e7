mod expression;
mod types;

pub mod document;

pub use expression::*;
pub use types::*;
