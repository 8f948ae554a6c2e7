mod expression;
mod predicate;
mod types;

pub mod document;
pub mod shape;

pub use expression::*;
pub use predicate::*;
pub use types::*;
