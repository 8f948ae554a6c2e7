mod expression;
mod predicate;
mod types;

pub use expression::*;
pub use predicate::*;
pub use types::*;
